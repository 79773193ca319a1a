import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { isHttpUrl, isInstant } from "../../src/gateway/validation.ts";
import { type Document, fitting, type Operation, type Schema, spoiled } from "../gateway/arbitrary.ts";
import { aChannel, anOrder, clientOf } from "../gateway/client.ts";
import { startPlatform } from "../support/platform.ts";

/** `FUZZ_SEED=… npm test test/one-process/fuzz.test.ts` plays a run again. */
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const limitMs = 40_000;
const maxRuns = 6_000;

interface Wish {
  path: string;
  method: string;
  operation: Operation;
  pick: number;
  wildId: string | null;
  query: Record<string, unknown>;
  headers: Record<string, unknown>;
  /** Undefined: none; text is sent as it is. */
  body: unknown;
}

const platform = await startPlatform({ env: { ANSWER_WITHIN_MS: "50", LOG_LEVEL: "silent" } });
after(() => platform.stop());
const call = clientOf(platform.url, platform.apiKey);
const document = (await call<Document>("GET", "/openapi.json")).body as Document;

const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addFormat("date-time", { type: "string", validate: isInstant });
ajv.addFormat("http-url", { type: "string", validate: isHttpUrl });
ajv.addSchema(document, "api");

/** Real things to ask for: orders, channels and their secrets. */
const pool = { ord: [] as string[], chn: [] as string[], secrets: new Map<string, string>() };
const slots = [
  {
    start: new Date().toISOString(),
    end: new Date(Date.now() + 72 * 3_600_000).toISOString(),
    capacity: 100_000,
  },
];
for (let index = 0; index < 3; index += 1) {
  const { body } = await call<{ id: string; callbackSecret: string }>(
    "POST",
    "/v1/channels",
    aChannel({ serviceRadiusMeters: 50_000 }),
  );
  await call("PUT", `/v1/channels/${body.id}/capacity`, { slots });
  pool.secrets.set(body.id, body.callbackSecret);
  // The first is left alone, so that there is always one that takes orders.
  if (index > 0) pool.chn.push(body.id);
  pool.ord.push((await call<{ id: string }>("POST", "/v1/orders", anOrder())).body.id);
}

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

const mostly = <T>(usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: rare });

const wild = fc.oneof(
  fc.jsonValue(),
  fc.string(),
  fc.constantFrom<unknown>("{", '{"a":', "[1,]", "\u0000", "nul"),
);

const bodyFor = (schema: Schema): fc.Arbitrary<unknown> => {
  const good = fitting(schema, document);
  return fc.oneof(
    { weight: 5, arbitrary: good },
    { weight: 4, arbitrary: good.chain(spoiled) },
    { weight: 1, arbitrary: wild },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
};

/** Parameters whose good values no schema tells. */
const wellMeant: Record<string, fc.Arbitrary<unknown>> = {
  "if-match": fc.constantFrom("*", '"1"'),
  types: fc.constantFrom("order.created", "order.status_changed, capacity.updated"),
};

/** All of them as documented, or one of them anything. */
const parametersFor = (
  operation: Operation,
  where: "query" | "header",
): fc.Arbitrary<Record<string, unknown>> => {
  const given = (operation.parameters ?? []).filter(
    (parameter) => parameter.in === where && parameter.name !== "last-event-id",
  );
  const shape = Object.fromEntries(
    given
      .filter(({ name }) => name !== "cursor") // only those that a list gave are good
      .map(({ name, schema }) => [name, wellMeant[name] ?? fitting(schema, document)]),
  );
  const requiredKeys = given.filter(({ required }) => required).map(({ name }) => name);
  const good = fc.record<Record<string, unknown>>(shape, { requiredKeys: requiredKeys as never[] });
  if (given.length === 0) return good;
  const spoilt = fc
    .tuple(good, fc.constantFrom(...given), fc.string({ maxLength: 20 }))
    .map(([all, { name }, value]) => ({ ...all, [name]: value }));
  return mostly(good, spoilt);
};

// A path segment of one or two dots never leaves the client: it is another address.
const wildIds = fc.string({ minLength: 1, maxLength: 40 }).filter((id) => id !== "." && id !== "..");

const wishes: fc.Arbitrary<Wish> = fc.constantFrom(...operations).chain(({ path, method, operation }) =>
  fc.record({
    path: fc.constant(path),
    method: fc.constant(method.toUpperCase()),
    operation: fc.constant(operation),
    pick: fc.nat(),
    wildId: mostly<string | null>(fc.constant(null), wildIds),
    query: parametersFor(operation, "query"),
    headers: parametersFor(operation, "header"),
    body: operation.requestBody
      ? bodyFor(operation.requestBody.content["application/json"].schema)
      : fc.constant(undefined),
  }),
);

async function send(wish: Wish): Promise<{ status: number; type: string; text: string; url: string }> {
  const ids = wish.path.startsWith("/v1/orders") ? pool.ord : pool.chn;
  const id = wish.wildId ?? ids[wish.pick % ids.length]!;
  const query = new URLSearchParams(
    Object.entries(wish.query).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString();
  const url = `${platform.url}${wish.path.replace("{id}", encodeURIComponent(id.toWellFormed()))}${query && `?${query}`}`;
  const body = routesOf(reportsOf(wish), wish);
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const headers: Record<string, string> = { authorization: `Bearer ${platform.apiKey}` };
  if (text !== undefined) headers["content-type"] = "application/json";
  for (const [name, value] of Object.entries(wish.headers)) headers[name] = headerText(value);
  if (wish.path.endsWith("/callbacks") && wish.pick % 4 > 0)
    Object.assign(headers, signatureOf(id, text ?? ""));
  const leave = new AbortController();
  const response = await fetch(url, {
    method: wish.method,
    headers,
    signal: leave.signal,
    ...(text === undefined ? {} : { body: text }),
  });
  const type = response.headers.get("content-type")?.split(";")[0] ?? "";
  if (type === "text/event-stream") {
    leave.abort();
    return { status: response.status, type, text: "", url };
  }
  return { status: response.status, type, text: await response.text(), url };
}

/** Half of the reports of channels are of attempts that were made. */
function reportsOf({ body, operation, pick }: Wish): unknown {
  const real = operation.operationId === "reportFromChannel" && pick % 2 === 0;
  if (!real || typeof body !== "object" || body === null || !("attemptKey" in body)) return body;
  return { ...body, attemptKey: `${pool.ord[pick % pool.ord.length]}.1.1` };
}

/** What no schema says: half of the stops of courier routes are of pick-ups that are there. */
function routesOf(body: unknown, { operation, pick }: Wish): unknown {
  if (operation.operationId !== "planCourierRoutes" || pick % 2 === 1) return body;
  const { pickups, stops } = (body ?? {}) as { pickups?: unknown; stops?: unknown };
  const id = Array.isArray(pickups) ? (pickups[0] as { id?: unknown } | null)?.id : undefined;
  if (id === undefined || !Array.isArray(stops) || stops.includes(null)) return body;
  return { ...(body as object), stops: stops.map((stop: object) => ({ ...stop, pickupId: id })) };
}

// What a header can carry: Latin-1 without line ends.
const headerText = (value: unknown): string =>
  String(value)
    .replaceAll(/[^\x20-\x7e]/g, "?")
    .trim();

function signatureOf(channelId: string, text: string): Record<string, string> {
  const secret = pool.secrets.get(channelId);
  const at = new Date();
  if (secret === undefined) return {};
  return {
    "webhook-id": "msg",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(secret).sign("msg", at, text),
  };
}

const pointer = (...parts: string[]) =>
  parts.map((part) => `/${part.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

function assertAsDocumented(wish: Wish, answer: Awaited<ReturnType<typeof send>>): void {
  const what = `${wish.method} ${answer.url} → ${answer.status} ${answer.text.slice(0, 500)}`;
  assert.ok(answer.status < 500, `no 5xx: ${what}`);
  const documented = wish.operation.responses[String(answer.status)];
  assert.ok(documented, `the status is not documented: ${what}`);
  if (!documented.content) {
    assert.equal(answer.text, "", what);
    return;
  }
  assert.ok(documented.content[answer.type], `the content type ${answer.type} is not documented: ${what}`);
  if (!answer.type.endsWith("json")) return;
  const place = pointer(
    "paths",
    wish.path,
    wish.method.toLowerCase(),
    "responses",
    String(answer.status),
    "content",
    answer.type,
    "schema",
  );
  const validate =
    ajv.getSchema(`api#${encodeURI(place)}`) ?? ajv.compile({ $ref: `api#${encodeURI(place)}` });
  assert.ok(validate(JSON.parse(answer.text)), `${ajv.errorsText(validate.errors)}: ${what}`);
}

function remember(wish: Wish, answer: Awaited<ReturnType<typeof send>>): void {
  if (!["placeOrder", "createChannel"].includes(wish.operation.operationId) || answer.status > 299) return;
  const made = JSON.parse(answer.text) as { id: string; callbackSecret?: string };
  const ids = wish.operation.operationId === "placeOrder" ? pool.ord : pool.chn;
  if (ids.length < 50) ids.push(made.id);
  if (made.callbackSecret) pool.secrets.set(made.id, made.callbackSecret);
}

test(`whatever is sent, every answer is as documented and none is a 5xx (seed ${seed})`, async (t) => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(wishes, async (wish) => {
      const answer = await send(wish);
      assertAsDocumented(wish, answer);
      remember(wish, answer);
      const what = `${wish.operation.operationId} ${answer.status}`;
      seen.set(what, (seen.get(what) ?? 0) + 1);
    }),
    {
      seed,
      numRuns: maxRuns,
      interruptAfterTimeLimit: limitMs,
      markInterruptAsFailure: false,
      endOnFailure: true,
    },
  );
  const total = [...seen.values()].reduce((sum, count) => sum + count, 0);
  t.diagnostic(
    `${total} requests: ${[...seen]
      .sort()
      .map(([what, count]) => `${what} ×${count}`)
      .join(", ")}`,
  );
  for (const { operation } of operations) {
    assert.ok(
      [...seen.keys()].some((what) => what.startsWith(`${operation.operationId} `)),
      `${operation.operationId} was asked`,
    );
  }
  const placed = ["201", "202", "409"].some((status) => seen.has(`placeOrder ${status}`));
  assert.ok(placed, "some orders were right, and went their way");
  assert.equal((await call("GET", "/health/ready")).status, 200);
});
