import fc from "fast-check";
import { printable, printableLines } from "../../src/gateway/schemas.ts";
import { idempotencyKeyPattern } from "../../src/gateway/schemas-orders.ts";
import { closePattern, datePattern, hourPattern } from "../../src/gateway/schemas-schedules.ts";

/** The part of JSON Schema that our own OpenAPI document uses. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
}

export interface Document {
  components: { schemas: Record<string, Schema> };
  paths: Record<string, Record<string, Operation>>;
}

export interface Operation {
  operationId: string;
  parameters?: { name: string; in: "path" | "query" | "header"; required?: boolean; schema: Schema }[];
  requestBody?: { content: { "application/json": { schema: Schema } } };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

/** What fits the schema: for OpenAPI documents, by their own words. `document` resolves references. */
export function fitting(schema: Schema, document: Document): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return fitting(resolve(schema.$ref, document), document);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case "string":
      return text(schema);
    case "integer":
      return fc.integer({ min: schema.minimum ?? -1_000, max: schema.maximum ?? 1_000_000 });
    case "number":
      return fc.double({ min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e6, noNaN: true });
    case "boolean":
      return fc.boolean();
    case "array":
      return list(schema, document);
    case "object":
      return record(schema, document);
    default:
      return fc.jsonValue();
  }
}

const resolve = (ref: string, document: Document): Schema => {
  const found = document.components.schemas[ref.replace("#/components/schemas/", "")];
  if (!found) throw new Error(`the document has no ${ref}`);
  return found;
};

const byPattern: Record<string, fc.Arbitrary<string>> = {
  [printable]: fc.string({ unit: fc.constantFrom(..."abcXYZ 0189-_.äß漢字🍲'\"\\{}") }),
  [printableLines]: fc.string({ unit: fc.constantFrom(..."ab \n\t漢🍲'") }),
  [idempotencyKeyPattern]: fc.stringMatching(/^[!-~]{1,40}$/),
  "^[A-Z]{3}$": fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom("AED", "EUR", "JPY") },
    { weight: 1, arbitrary: fc.stringMatching(/^[A-Z]{3}$/) },
  ),
  // Often hours that fit together, a date that exists, a time zone.
  [hourPattern]: fc.integer({ min: 0, max: 23 }).map((hour) => `${String(hour).padStart(2, "0")}:00`),
  [closePattern]: fc.constantFrom("24:00", "12:00", "02:00", "22:15"),
  [datePattern]: fc.constantFrom("2026-12-02", "2027-03-28", "2026-02-30"),
  "^[A-Z]{2}$": fc.stringMatching(/^[A-Z]{2}$/),
};

function text(schema: Schema): fc.Arbitrary<string> {
  if (schema.format === "date-time") return instants;
  // Nothing listens there: what is booked there is refused at once, and nothing leaves the machine.
  if (schema.format === "http-url") return fc.constantFrom("http://127.0.0.1:9", "http://127.0.0.1:9/p?q=1");
  const { minLength = 0, maxLength = 50 } = schema;
  const found = schema.pattern === undefined ? fc.string() : byPattern[schema.pattern];
  if (!found) throw new Error(`no strings are known for the pattern ${schema.pattern}`);
  return found
    .map((made) => made.slice(0, maxLength).toWellFormed())
    .filter((made) => made.length >= minLength);
}

const hourMs = 3_600_000;

/** Mostly the coming days, where slots are; sometimes any time there is, and any offset. */
const instants = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .integer({ min: -2, max: 72 })
      .map((hours) => new Date(Date.now() + hours * hourMs).toISOString()),
  },
  {
    weight: 1,
    arbitrary: fc
      .date({ min: new Date(0), max: new Date("9999-01-01"), noInvalidDate: true })
      .map((date) => date.toISOString()),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("2030-01-01T00:00:00+14:00", "2030-06-30T23:59:59.999999999-12:00"),
  },
);

function list(schema: Schema, document: Document): fc.Arbitrary<unknown[]> {
  const items = fitting(schema.items ?? {}, document);
  const minLength = schema.minItems ?? 0;
  const maxLength = Math.min(schema.maxItems ?? 5, minLength + 4);
  if (schema.uniqueItems) return fc.uniqueArray(items, { minLength, maxLength: Math.min(maxLength, 4) });
  return fc.array(items, { minLength, maxLength });
}

function record(schema: Schema, document: Document): fc.Arbitrary<unknown> {
  const { properties, required = [] } = schema;
  if (!properties) {
    const names = fc.string({ maxLength: 8 }).filter((name) => name !== "__proto__");
    return fc.dictionary(names, fc.jsonValue(), { maxKeys: 4 });
  }
  const shape = Object.fromEntries(
    Object.entries(properties).map(([name, inner]) => [name, fitting(inner, document)]),
  );
  const any = fc.record(shape, { requiredKeys: required as never[] });
  const names = Object.keys(properties);
  if (names.includes("lat")) return fc.oneof({ weight: 4, arbitrary: near }, { weight: 1, arbitrary: any });
  if (names.includes("start"))
    return fc.oneof({ weight: 4, arbitrary: any.map(inOrder) }, { weight: 1, arbitrary: any });
  return any;
}

// What no schema says, but what most good requests have: a place that is served, a window that begins before it ends.
const near = fc.record({
  lat: fc.double({ min: 25.0, max: 25.2, noNaN: true }),
  lng: fc.double({ min: 55.0, max: 55.3, noNaN: true }),
});

function inOrder(window: Record<string, unknown>): object {
  const [start, end] = [String(window.start), String(window.end)];
  if (Date.parse(start) < Date.parse(end)) return window;
  return { ...window, start: end, end: new Date(Date.parse(start) + hourMs).toISOString() };
}

/** The value with one thing changed somewhere inside: gone, of another type, or beside a field that nobody knows. */
export const spoiled = (value: unknown): fc.Arbitrary<unknown> =>
  fc
    .tuple(fc.nat(), fc.constantFrom("remove", "replace", "add"), fc.oneof(fc.jsonValue(), extremes))
    .map(([where, how, other]) => {
      const copy = { root: structuredClone(value) };
      const places = placesIn(copy);
      const { holder, key } = places[where % places.length]!;
      if (how === "remove") delete holder[key];
      else if (how === "replace") holder[key] = other;
      else if (typeof holder[key] === "object" && holder[key] !== null)
        (holder[key] as Record<string, unknown>).surprise = other;
      return copy.root;
    });

const extremes = fc.constantFrom<unknown>(
  ...[
    null,
    0,
    -1,
    1e9,
    1e308,
    -0,
    0.1,
    "",
    "\u0000",
    "\ud800",
    "x".repeat(5_000),
    [],
    {},
    true,
    "2026-13-01T00:00:00Z",
    "NaN",
  ],
);

interface Place {
  holder: Record<string, unknown>;
  key: string;
}

function placesIn(value: unknown): Place[] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(holder).flatMap((key) => [{ holder, key }, ...placesIn(holder[key])]);
}
