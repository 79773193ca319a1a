import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { problems } from "../../src/platform/errors.ts";
import { aChannel, anOrder, type Call, clientOf } from "./client.ts";
import { keyOf, startFakeWorld } from "./world.ts";

let world: Awaited<ReturnType<typeof startFakeWorld>>;
let call: Call;

before(async () => {
  world = await startFakeWorld();
  call = clientOf(world.url, keyOf.all!);
});
after(() => world.stop());

const delivery = (change: object) => ({ delivery: { ...anOrder().delivery, ...change } });
const at = "2030-01-01T08:00:00Z";
const later = "2030-01-01T10:00:00Z";

/** name, method, path, body, code, pointer of the first wrong field. */
const bad: [string, string, string, unknown, string, string?][] = [
  ["a body that is not JSON", "POST", "/v1/orders", "{bad", "bad_request"],
  ["a body that is cut off", "POST", "/v1/orders", JSON.stringify(anOrder()).slice(0, -5), "bad_request"],
  ["a body with __proto__", "POST", "/v1/orders", '{"__proto__":{"a":1}}', "bad_request"],
  [
    "a body of 5 MB",
    "POST",
    "/v1/orders",
    JSON.stringify(anOrder({ metadata: { a: "x".repeat(5_000_000) } })),
    "payload_too_large",
  ],
  ["no body", "POST", "/v1/orders", undefined, "validation_failed", ""],
  ["an array", "POST", "/v1/orders", [], "validation_failed", ""],
  ["null", "POST", "/v1/orders", "null", "validation_failed", ""],
  ["an unknown field", "POST", "/v1/orders", anOrder({ custmer: 1 }), "validation_failed", "/custmer"],
  [
    "an unknown field deep inside",
    "POST",
    "/v1/orders",
    anOrder(delivery({ location: { lat: 1, lng: 2, alt: 3 } })),
    "validation_failed",
    "/delivery/location/alt",
  ],
  [
    "a missing field",
    "POST",
    "/v1/orders",
    anOrder({ customerId: undefined }),
    "validation_failed",
    "/customerId",
  ],
  [
    "a number as text",
    "POST",
    "/v1/orders",
    anOrder({ items: [{ sku: "a", quantity: "2", unitPriceMinor: 1 }] }),
    "validation_failed",
    "/items/0/quantity",
  ],
  [
    "a quantity of 0",
    "POST",
    "/v1/orders",
    anOrder({ items: [{ sku: "a", quantity: 0, unitPriceMinor: 1 }] }),
    "validation_failed",
    "/items/0/quantity",
  ],
  [
    "a quantity of a billion",
    "POST",
    "/v1/orders",
    anOrder({ items: [{ sku: "a", quantity: 1e9, unitPriceMinor: 1 }] }),
    "validation_failed",
    "/items/0/quantity",
  ],
  [
    "half a meal",
    "POST",
    "/v1/orders",
    anOrder({ items: [{ sku: "a", quantity: 1.5, unitPriceMinor: 1 }] }),
    "validation_failed",
    "/items/0/quantity",
  ],
  [
    "a negative price",
    "POST",
    "/v1/orders",
    anOrder({ items: [{ sku: "a", quantity: 1, unitPriceMinor: -1 }] }),
    "validation_failed",
    "/items/0/unitPriceMinor",
  ],
  ["no items", "POST", "/v1/orders", anOrder({ items: [] }), "validation_failed", "/items"],
  [
    "101 items",
    "POST",
    "/v1/orders",
    anOrder({ items: Array(101).fill(anOrder().items[0]) }),
    "validation_failed",
    "/items",
  ],
  [
    "a currency per item (mixed currencies)",
    "POST",
    "/v1/orders",
    anOrder({ items: [{ sku: "a", quantity: 1, unitPriceMinor: 1, currency: "EUR" }] }),
    "validation_failed",
    "/items/0/currency",
  ],
  [
    "an unknown currency",
    "POST",
    "/v1/orders",
    anOrder({ currency: "ZZZ" }),
    "currency_unknown",
    "/currency",
  ],
  [
    "a currency in small letters",
    "POST",
    "/v1/orders",
    anOrder({ currency: "aed" }),
    "validation_failed",
    "/currency",
  ],
  [
    "a latitude out of range",
    "POST",
    "/v1/orders",
    anOrder(delivery({ location: { lat: 91, lng: 0 } })),
    "validation_failed",
    "/delivery/location/lat",
  ],
  [
    "a longitude out of range",
    "POST",
    "/v1/orders",
    anOrder(delivery({ location: { lat: 0, lng: -181 } })),
    "validation_failed",
    "/delivery/location/lng",
  ],
  [
    "an infinite latitude",
    "POST",
    "/v1/orders",
    JSON.stringify(anOrder()).replace('"lat":25.0772', '"lat":1e999'),
    "validation_failed",
    "/delivery/location/lat",
  ],
  [
    "a reversed window",
    "POST",
    "/v1/orders",
    anOrder(delivery({ window: { start: later, end: at } })),
    "window_reversed",
    "/delivery/window/end",
  ],
  [
    "an empty window",
    "POST",
    "/v1/orders",
    anOrder(delivery({ window: { start: at, end: at } })),
    "window_reversed",
    "/delivery/window/end",
  ],
  [
    "a window in the past",
    "POST",
    "/v1/orders",
    anOrder(delivery({ window: { start: "2020-01-01T08:00:00Z", end: "2020-01-01T09:00:00Z" } })),
    "window_in_past",
  ],
  [
    "a time without offset",
    "POST",
    "/v1/orders",
    anOrder(delivery({ window: { start: "2030-01-01T08:00:00", end: later } })),
    "validation_failed",
    "/delivery/window/start",
  ],
  [
    "30 February",
    "POST",
    "/v1/orders",
    anOrder(delivery({ window: { start: "2030-02-30T08:00:00Z", end: "2030-03-30T08:00:00Z" } })),
    "validation_failed",
    "/delivery/window/start",
  ],
  [
    "an unknown vehicle",
    "POST",
    "/v1/orders",
    anOrder(delivery({ vehicle: "rocket" })),
    "validation_failed",
    "/delivery/vehicle",
  ],
  ["an empty name", "POST", "/v1/orders", anOrder({ customerId: "" }), "validation_failed", "/customerId"],
  [
    "a name of 129 characters",
    "POST",
    "/v1/orders",
    anOrder({ customerId: "x".repeat(129) }),
    "validation_failed",
    "/customerId",
  ],
  [
    "a NUL in a name",
    "POST",
    "/v1/orders",
    anOrder({ customerId: "a\u0000b" }),
    "validation_failed",
    "/customerId",
  ],
  [
    "half a surrogate pair in a name",
    "POST",
    "/v1/orders",
    anOrder({ customerId: "a\ud800" }),
    "validation_failed",
    "/customerId",
  ],
  [
    "a NUL in the metadata",
    "POST",
    "/v1/orders",
    anOrder({ metadata: { a: ["\u0000"] } }),
    "validation_failed",
    "/metadata",
  ],
  [
    "half a surrogate pair in a metadata key",
    "POST",
    "/v1/orders",
    anOrder({ metadata: { "\udc00": 1 } }),
    "validation_failed",
    "/metadata",
  ],
  [
    "metadata of 17 KiB",
    "POST",
    "/v1/orders",
    anOrder({ metadata: { a: "x".repeat(17_000) } }),
    "validation_failed",
    "/metadata",
  ],
  [
    "metadata that is a list",
    "POST",
    "/v1/orders",
    anOrder({ metadata: [1] }),
    "validation_failed",
    "/metadata",
  ],
  [
    "metadata 17 levels deep",
    "POST",
    "/v1/orders",
    `${JSON.stringify(anOrder()).slice(0, -1)},"metadata":${'{"a":'.repeat(17)}1${"}".repeat(17)}}`,
    "validation_failed",
    "/metadata",
  ],
  [
    "no channel type",
    "POST",
    "/v1/orders",
    anOrder({ routing: { channelTypes: [] } }),
    "validation_failed",
    "/routing/channelTypes",
  ],
  ["an empty batch", "POST", "/v1/orders/batch", { orders: [] }, "validation_failed", "/orders"],
  [
    "a batch of 5,001",
    "POST",
    "/v1/orders/batch",
    { orders: Array(5_001).fill(1) },
    "validation_failed",
    "/orders",
  ],
  ["a batch that is a list", "POST", "/v1/orders/batch", [anOrder()], "validation_failed", ""],
  ["an order id that is none", "GET", "/v1/orders/ord_nonsense", undefined, "order_not_found"],
  ["an order id with a NUL", "GET", "/v1/orders/ord_%00", undefined, "order_not_found"],
  [
    "an order that is not there",
    "GET",
    "/v1/orders/ord_01kq5g3v9te3h8m8h8m8h8m8h8",
    undefined,
    "order_not_found",
  ],
  ["the events of no order", "GET", "/v1/orders/x/events", undefined, "order_not_found"],
  ["the stream of no order", "GET", "/v1/orders/x/stream", undefined, "order_not_found"],
  ["the decision of no order", "GET", "/v1/orders/x/decision", undefined, "order_not_found"],
  ["cancelling no order", "POST", "/v1/orders/x/cancel", undefined, "order_not_found"],
  ["a limit of 0", "GET", "/v1/orders?limit=0", undefined, "validation_failed", "/query/limit"],
  ["a limit that is text", "GET", "/v1/orders?limit=many", undefined, "validation_failed", "/query/limit"],
  ["two limits", "GET", "/v1/orders?limit=1&limit=2", undefined, "validation_failed", "/query/limit"],
  ["a misspelt filter", "GET", "/v1/orders?custmerId=1", undefined, "validation_failed", "/query/custmerId"],
  ["an unknown status", "GET", "/v1/orders?status=lost", undefined, "validation_failed", "/query/status"],
  [
    "a range that is reversed",
    "GET",
    `/v1/orders?from=${later}&to=${at}`,
    undefined,
    "window_reversed",
    "/query/to",
  ],
  ["a cursor that is none", "GET", "/v1/orders?cursor=abc", undefined, "cursor_invalid"],
  ["a broken percent sign", "GET", "/v1/orders/%zz", undefined, "bad_request"],
  [
    "an unknown event type",
    "GET",
    "/v1/events/stream?types=order.lost",
    undefined,
    "validation_failed",
    "/query/types",
  ],
  ["an address that is none", "GET", "/v1/nothing", undefined, "not_found"],
  ["a very long address", "GET", `/v1/orders/${"x".repeat(500)}`, undefined, "not_found"],
  ["a method that is not for it", "DELETE", "/v1/orders", undefined, "method_not_allowed"],
  [
    "a channel without a name",
    "POST",
    "/v1/channels",
    aChannel({ name: undefined }),
    "validation_failed",
    "/name",
  ],
  [
    "a partner without an endpoint",
    "POST",
    "/v1/channels",
    aChannel({ type: "external_partner" }),
    "validation_failed",
    "/endpoint",
  ],
  [
    "a partner at a file",
    "POST",
    "/v1/channels",
    aChannel({ type: "external_partner", endpoint: "file:///etc" }),
    "validation_failed",
    "/endpoint",
  ],
  [
    "a network without members",
    "POST",
    "/v1/channels",
    aChannel({ type: "partner_network" }),
    "validation_failed",
    "/partners",
  ],
  [
    "a kitchen with an endpoint",
    "POST",
    "/v1/channels",
    aChannel({ endpoint: "http://127.0.0.1:1" }),
    "validation_failed",
    "/endpoint",
  ],
  [
    "a channel in an unknown currency",
    "POST",
    "/v1/channels",
    aChannel({ costModel: { currency: "ABC", baseMinor: 1, perKmMinor: 1, perUnitMinor: 1 } }),
    "currency_unknown",
    "/costModel/currency",
  ],
  [
    "the capacity of no channel",
    "PUT",
    "/v1/channels/x/capacity",
    { slots: [{ start: at, end: later, capacity: 1 }] },
    "channel_not_found",
  ],
  ["no such channel", "GET", "/v1/channels/chn_01kq5g3v9te3h8m8h8m8h8m8h8", undefined, "channel_not_found"],
  ["pausing no channel", "POST", "/v1/channels/chn_1/pause", undefined, "channel_not_found"],
  ["rankings of nowhere", "GET", "/v1/channels/rankings", undefined, "validation_failed", "/query/lat"],
];

for (const [name, method, path, body, code, pointer] of bad) {
  test(`${name} is answered ${code}`, async () => {
    const answer = await call(method, path, body);
    assert.equal(answer.body.code, code, answer.text);
    assert.equal(answer.status, problems[code as keyof typeof problems].status);
    assert.match(answer.headers.get("content-type")!, /^application\/problem\+json/);
    assert.deepEqual(Object.keys(answer.body).slice(0, 6), [
      "type",
      "title",
      "status",
      "code",
      "detail",
      "retryable",
    ]);
    if (pointer !== undefined) assert.equal(answer.body.errors?.[0]?.pointer, pointer);
    assert.equal(
      world.submitted.length,
      name === "a window in the past" ? 1 : 0,
      "nothing reached orchestration",
    );
    world.submitted.length = 0;
  });
}

test("every wrong field is named at once, and what to do", async () => {
  const { body } = await call(
    "POST",
    "/v1/orders",
    anOrder({ customerId: 5, items: [{ sku: "", quantity: 0 }], extra: 1 }),
  );
  assert.deepEqual(body.errors?.map(({ pointer }) => pointer).sort(), [
    "/customerId",
    "/extra",
    "/items/0/quantity",
    "/items/0/sku",
    "/items/0/unitPriceMinor",
  ]);
  assert.match(body.errors!.find(({ pointer }) => pointer === "/items/0/quantity")!.message, /at least 1/);
});

test("four megabytes of rubbish are refused without naming each piece", async () => {
  const { status, body, text } = await call("POST", "/v1/orders", `{"items":[${"1,".repeat(1_900_000)}1]}`);
  assert.equal(status, 400);
  assert.equal(body.code, "validation_failed");
  assert.ok(text.length < 2_000);
});

test("a body that is not JSON by its content type is 415", async () => {
  const answer = await call("POST", "/v1/orders", "a=1", {
    "content-type": "application/x-www-form-urlencoded",
  });
  assert.equal(answer.status, 415);
  assert.equal(answer.body.code, "media_type_unsupported");
});

test("a wrong method names those that are right", async () => {
  const { headers } = await call("DELETE", "/v1/channels/chn_1");
  assert.equal(headers.get("allow"), "GET, HEAD, PATCH");
});

test("an idempotency key with control characters or without end is refused", async () => {
  for (const key of ["", "x".repeat(256), "ümlaut"]) {
    const { body } = await call("POST", "/v1/orders", anOrder(), { "idempotency-key": key });
    assert.equal(body.code, "validation_failed", key);
    assert.equal(body.errors?.[0]?.pointer, "/headers/idempotency-key");
  }
});

test("without a key, with an unknown one, or with another scheme it is 401", async () => {
  const wrong: Record<string, string>[] = [
    {},
    { authorization: "Bearer uoop_unknown" },
    { authorization: `Bearer uoop_${"a".repeat(43)}` },
    { authorization: "Basic abc" },
    { authorization: "Bearer" },
  ];
  const anonymous = clientOf(world.url, null);
  for (const headers of wrong) {
    for (const [method, path] of [
      ["POST", "/v1/orders"],
      ["GET", "/v1/orders/x"],
      ["GET", "/v1/channels"],
    ] as const) {
      const answer = await anonymous(method, path, undefined, headers);
      assert.equal(answer.body.code, "unauthorized");
      assert.equal(answer.headers.get("www-authenticate"), "Bearer");
    }
  }
});

test("a key without the scope is told which it lacks", async () => {
  const reader = clientOf(world.url, keyOf.read!);
  const place = await reader("POST", "/v1/orders", anOrder());
  assert.equal(place.status, 403);
  assert.match(place.body.detail!, /orders:write/);
  const add = await clientOf(world.url, keyOf.write!)("POST", "/v1/channels", aChannel());
  assert.equal(add.body.code, "forbidden");
  assert.match(add.body.detail!, /channels:write/);
  const read = await clientOf(world.url, keyOf.channels!)("GET", "/v1/orders");
  assert.equal(read.body.code, "forbidden");
});

test("what is not HTTP is answered as a problem too", async () => {
  const { connect } = await import("node:net");
  const { hostname, port } = new URL(world.url);
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write("NOT HTTP AT ALL\r\n\r\n"));
    let all = "";
    socket
      .on("data", (chunk) => (all += chunk))
      .on("end", () => resolve(all))
      .on("error", reject);
  });
  assert.match(text, /^HTTP\/1\.1 400 /);
  assert.match(text, /application\/problem\+json/);
  assert.equal(JSON.parse(text.slice(text.indexOf("\r\n\r\n"))).code, "bad_request");
});
