import { Ajv, type ErrorObject, type Options } from "ajv";
import type { FastifySchemaCompiler } from "fastify";
import type { TSchema } from "typebox";
import { type FieldError, UoopError } from "../platform/errors.ts";
import { printable, printableLines } from "./schemas.ts";
import { idempotencyKeyPattern } from "./schemas-orders.ts";

/** Wrong fields named in one answer at most. */
const maxNamedFields = 50;
/**
 * A wrong body of more values than this is told its first error only: collecting all of them for four megabytes of
 * rubbish would take more memory than the body.
 */
const maxValuesForAllErrors = 20_000;

/** Says whether `data` is right; throws nothing, returns the error to answer with. */
export type Validator = (data: unknown) => UoopError | null;

export interface Validation {
  /** For one schema by itself (the items of a batch). */
  validator(schema: TSchema): Validator;
  /** For fastify: bodies as they are; query strings, headers and parameters are text and converted. */
  compiler: FastifySchemaCompiler<TSchema>;
  /** The same for a route whose body is checked otherwise than by its own schema: a list of items that may each be wrong. */
  compilerWithBody(check: Validator): FastifySchemaCompiler<TSchema>;
}

/** Validation by the schemas that OpenAPI is made from. `components` are those that others refer to by name. */
export function createValidation(components: readonly TSchema[]): Validation {
  const make = (options: Options) => {
    // The schemas are ours and tested: checking them against the meta-schema at every start would cost 0.1 s.
    const ajv = new Ajv({ strict: true, strictTypes: false, meta: false, validateSchema: false, ...options });
    ajv.addFormat("date-time", { type: "string", validate: isInstant });
    ajv.addFormat("http-url", { type: "string", validate: isHttpUrl });
    for (const schema of components) ajv.addSchema(schema);
    return ajv;
  };
  const first = make({});
  const all = lazily(() => make({ allErrors: true, verbose: true }));
  const text = make({ allErrors: true, verbose: true, coerceTypes: true, useDefaults: true });

  const validator = (schema: TSchema): Validator => {
    const isRight = first.compile(schema);
    const findAll = lazily(() => all().compile(schema));
    return (data) => {
      if (isRight(data)) return null;
      if (hasMoreValuesThan(data, maxValuesForAllErrors)) return toError(isRight.errors ?? [], "");
      const find = findAll();
      find(data);
      return toError(find.errors ?? [], "");
    };
  };

  const compiler: Validation["compiler"] = ({ schema, httpPart }) => {
    if (httpPart === "body") return asFastify(validator(schema));
    const isRight = text.compile(schema);
    const prefix = httpPart === "querystring" ? "/query" : `/${httpPart ?? "params"}`;
    return asFastify((data) => (isRight(data) ? null : toError(isRight.errors ?? [], prefix)));
  };
  return {
    validator,
    compiler,
    compilerWithBody: (check) => (part) => (part.httpPart === "body" ? asFastify(check) : compiler(part)),
  };
}

const asFastify = (validator: Validator) => (data: unknown) => {
  const error = validator(data);
  return error === null ? { value: data } : { error };
};

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function hasMoreValuesThan(data: unknown, limit: number): boolean {
  const waiting: unknown[] = [data];
  let seen = 0;
  while (waiting.length > 0) {
    const value = waiting.pop();
    seen += 1;
    if (seen + waiting.length > limit) return true;
    if (typeof value !== "object" || value === null) continue;
    for (const inner of Object.values(value)) waiting.push(inner);
  }
  return false;
}

/** `validation_failed`, naming each wrong field. */
export function wrongFields(fields: readonly FieldError[]): UoopError {
  const one = fields[0]!;
  const where = one.pointer === "" ? "The body" : one.pointer;
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more; see errors)` : "";
  return new UoopError("validation_failed", `${where} ${one.message}${more}.`, { fields });
}

const toError = (errors: readonly ErrorObject[], prefix: string): UoopError =>
  wrongFields(errors.slice(0, maxNamedFields).map((error) => toFieldError(error, prefix)));

function toFieldError(error: ErrorObject, prefix: string): FieldError {
  const params = error.params as Record<string, unknown>;
  const inner = params.missingProperty ?? params.additionalProperty;
  const under = inner === undefined ? "" : `/${String(inner).replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return { pointer: prefix + error.instancePath + under, message: explain(error, params) };
}

/** What is wrong and what to do, as the rest of a sentence that begins with the field. */
function explain(error: ErrorObject, params: Record<string, unknown>): string {
  switch (error.keyword) {
    case "required":
      return "is missing";
    case "additionalProperties":
      return `is not a field of this; remove it${namesOf(error)}`;
    case "type":
      return `must be ${article(params.type)}`;
    case "enum":
      return `must be one of ${(params.allowedValues as unknown[]).join(", ")}`;
    case "pattern":
      return patternHints[String(params.pattern)] ?? `must match ${String(params.pattern)}`;
    case "format":
      return formatHints[String(params.format)] ?? `must be of the format ${String(params.format)}`;
    case "minLength":
      return params.limit === 1 ? "must not be empty" : `must be at least ${params.limit} characters long`;
    case "maxLength":
      return `must be at most ${params.limit} characters long`;
    case "minItems":
      return `must hold at least ${params.limit}`;
    case "maxItems":
      return `must hold at most ${params.limit}`;
    case "minimum":
      return `must be at least ${params.limit}`;
    case "maximum":
      return `must be at most ${params.limit}`;
    case "uniqueItems":
      return "must not hold the same twice";
    case "minProperties":
      return "must hold at least one field";
    default:
      return error.message ?? "is wrong";
  }
}

function namesOf(error: ErrorObject): string {
  const properties = (error.parentSchema as { properties?: object } | undefined)?.properties;
  return properties ? ` (known: ${Object.keys(properties).join(", ")})` : "";
}

const article = (type: unknown): string =>
  String(type) === "integer" ? "a whole number" : /^[aeio]/.test(String(type)) ? `an ${type}` : `a ${type}`;

const patternHints: Record<string, string> = {
  [printable]: "must hold no control characters",
  [printableLines]: "must hold no control characters but tabs and line ends",
  "^[A-Z]{3}$": "must be three capital letters, an ISO 4217 code such as AED",
  "^[A-Z]{2}$": "must be two capital letters, an ISO 3166-1 code such as AE",
  [idempotencyKeyPattern]: "must be printable ASCII",
};

const formatHints: Record<string, string> = {
  "date-time":
    "must be an RFC 3339 time with its offset, such as 2030-11-24T08:00:00Z (in a query write + as %2B)",
  "http-url": "must be an http:// or https:// address",
};

const instantShape =
  /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** RFC 3339, of a day that exists (V8 would read 30 February as 2 March), in UTC from 1970 to 9999. */
export function isInstant(text: string): boolean {
  const match = instantShape.exec(text);
  if (!match) return false;
  const year = Number(match[1]);
  const month = Number(match[2]);
  const day = Number(match[3]);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return false;
  // Only at the ends of the range can the offset lead out of it.
  return (year > 1970 && year < 9999) || isInRange(Date.parse(text));
}

const isInRange = (ms: number): boolean => ms >= 0 && ms < 253_402_300_800_000;

const daysInMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function daysIn(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && isLeap ? 29 : daysInMonth[month - 1]!;
}

/** http or https, with a host and without a user. */
export function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}
