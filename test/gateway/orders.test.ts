import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { OrderView } from "../../src/orchestration/order.ts";
import { anOrder, type Call, clientOf } from "./client.ts";
import { keyOf, startFakeWorld } from "./world.ts";

interface BatchAnswer {
  results: {
    status: number;
    order?: OrderView;
    problem?: { code: string; errors?: { pointer: string }[]; order?: OrderView };
    replayed?: boolean;
    idempotencyKey?: string;
  }[];
}

let world: Awaited<ReturnType<typeof startFakeWorld>>;
let call: Call;
let other: Call;
let admin: Call;

before(async () => {
  world = await startFakeWorld();
  call = clientOf(world.url, keyOf.write!);
  other = clientOf(world.url, keyOf.other!);
  admin = clientOf(world.url, keyOf.all!);
});
after(() => world.stop());
beforeEach(() => {
  world.outcome = {};
  world.views.clear();
  world.told.clear();
});

const place = async (body: unknown = anOrder(), headers: Record<string, string> = {}) =>
  call<OrderView & { order: OrderView }>("POST", "/v1/orders", body, headers);

test("a confirmed order is 201, with its address, its version and the key that was made for it", async () => {
  const { status, headers, body } = await place();
  assert.equal(status, 201);
  assert.equal(headers.get("location"), `/v1/orders/${body.id}`);
  assert.equal(headers.get("etag"), '"4"');
  assert.match(headers.get("idempotency-key")!, /^key_/);
  assert.equal(headers.get("idempotency-replayed"), null);
  assert.equal(headers.get("retry-after"), null);
});

test("an order on its way is 202 with Retry-After, one that could not be fulfilled 409 with the order inside", async () => {
  world.outcome = { status: "booked" };
  const booked = await place();
  assert.equal(booked.status, 202);
  assert.equal(booked.headers.get("retry-after"), "1");
  assert.equal(booked.headers.get("location"), `/v1/orders/${booked.body.id}`);

  world.outcome = { status: "failed", reason: { code: "not_serviceable", detail: "nearest is 40 km away" } };
  const failed = await place();
  assert.equal(failed.status, 409);
  assert.equal(failed.body.code, "order_unfulfillable");
  assert.equal(failed.body.detail, "nearest is 40 km away");
  assert.equal(failed.body.order.status, "failed");
  assert.equal(failed.headers.get("location"), `/v1/orders/${failed.body.order.id}`);
});

test("Prefer: respond-async is honoured and said so", async () => {
  const { status, headers } = await place(anOrder(), { prefer: "wait=5, Respond-Async" });
  assert.equal(status, 202);
  assert.equal(headers.get("preference-applied"), "respond-async");
  assert.equal((await place(anOrder(), { prefer: "handling=lenient" })).status, 201);
});

test("the same key and body again is the same order, however the body is written; another body is 422", async () => {
  const body = anOrder();
  const { start, end } = body.delivery.window;
  const shifted = { start: start.replace("Z", "+00:00"), end };
  const first = await place(body, { "idempotency-key": "k-1" });
  const again = await place(
    { ...body, delivery: { ...body.delivery, window: shifted } },
    { "idempotency-key": "k-1" },
  );
  assert.equal(again.status, 201);
  assert.equal(again.body.id, first.body.id);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  const changed = await place(anOrder({ customerId: "cus_43" }), { "idempotency-key": "k-1" });
  assert.equal(changed.status, 422);
  assert.equal(changed.body.code, "idempotency_key_reused");
});

test("externalId is the key when there is no header, in a namespace of its own", async () => {
  const body = anOrder({ externalId: "cal-1" });
  const first = await place(body);
  assert.equal((await place(body)).body.id, first.body.id);
  assert.equal(first.headers.get("idempotency-key"), null);
  assert.notEqual((await place(body, { "idempotency-key": "cal-1" })).body.id, first.body.id);
});

test("a key that the server made is good for the same order again", async () => {
  const body = anOrder();
  const first = await place(body);
  const again = await place(body, { "idempotency-key": first.headers.get("idempotency-key")! });
  assert.equal(again.body.id, first.body.id);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
});

test("each item of a batch is answered by itself, whatever the others are", async () => {
  const good = anOrder({ externalId: "b-1" });
  const { status, body } = await call<BatchAnswer>("POST", "/v1/orders/batch", {
    orders: [
      good,
      null,
      7,
      [],
      "x",
      anOrder({ items: [] }),
      anOrder({ currency: "ZZZ" }),
      { ...anOrder(), idempotencyKey: "b-2" },
      good,
      anOrder(),
    ],
  });
  assert.equal(status, 200);
  assert.deepEqual(
    body.results.map((result) => result.status),
    [201, 400, 400, 400, 400, 400, 400, 201, 201, 201],
  );
  assert.deepEqual(
    body.results.slice(1, 6).map(({ problem }) => problem?.code),
    Array(5).fill("validation_failed"),
  );
  assert.equal(body.results[5]!.problem?.errors?.[0]?.pointer, "/items");
  assert.equal(body.results[6]!.problem?.code, "currency_unknown");
  assert.equal(body.results[8]!.replayed, true);
  assert.equal(body.results[8]!.order?.id, body.results[0]!.order?.id);
  assert.match(body.results[9]!.idempotencyKey!, /^key_/);
  assert.equal(body.results[0]!.idempotencyKey, undefined);
});

test("an unfulfillable item of a batch carries the order in its problem", async () => {
  world.outcome = { status: "failed", reason: { code: "no_slot", detail: "no slot then" } };
  const { body } = await call<BatchAnswer>("POST", "/v1/orders/batch", { orders: [anOrder()] });
  assert.equal(body.results[0]!.status, 409);
  assert.equal(body.results[0]!.problem?.order?.status, "failed");
});

test("a batch of 5,000 in one request", async () => {
  const orders = Array.from({ length: 5_000 }, (_, index) => anOrder({ externalId: `many-${index}` }));
  const { status, body } = await call<BatchAnswer>("POST", "/v1/orders/batch", { orders });
  assert.equal(status, 200);
  assert.equal(body.results.length, 5_000);
  assert.ok(body.results.every((result) => result.status === 201));
});

const whole: Partial<OrderView> = {
  status: "delivered",
  version: 9,
  reason: { code: "given_back", detail: "once" },
  legs: [
    {
      leg: 1,
      attempt: 2,
      channel: { id: "chn_1", type: "dark_store" },
      slot: { start: "2030-01-01T08:00:00.000Z", end: "2030-01-01T10:00:00.000Z" },
      promised: { start: "2030-01-01T08:00:00.000Z", end: "2030-01-01T09:00:00.000Z" },
      costMinor: 900,
      bookingRef: "b",
    },
  ],
  channel: { id: "chn_1", type: "dark_store" },
  bookingRef: "b",
  promised: { start: "2030-01-01T08:00:00.000Z", end: "2030-01-01T09:00:00.000Z" },
  costMinor: 900,
};

test("every field of an order reaches the client, and personal data only the one who reads the order", async () => {
  world.outcome = whole;
  const personal = {
    address: { line1: "Marina Walk 12", line2: "", city: "Dubai", postalCode: "0", countryCode: "AE" },
    contact: { name: "N", phone: "+971 1" },
    instructions: "leave at\nthe desk",
  };
  const asked = anOrder({
    externalId: "whole-1",
    priority: "express",
    routing: { channelTypes: ["dark_store"], maxCostMinor: 1_500 },
    metadata: { campaign: { id: 5, tags: ["a", null, true, 1.5] } },
    delivery: { ...anOrder().delivery, vehicle: "bike", ...personal },
  });
  const placed = await place(asked);
  const { order } = world.orders.get(placed.body.id)!;
  assert.deepEqual(placed.body, order, "the serializer drops nothing");
  assert.equal(JSON.stringify(placed.body).includes("Marina"), false);

  const read = await call("GET", `/v1/orders/${placed.body.id}`);
  assert.deepEqual(read.body, { ...order, delivery: { ...order.delivery, ...personal } });
  const listed = await call<{ items: unknown[] }>("GET", "/v1/orders?limit=1");
  assert.deepEqual(listed.body.items, [order]);
});

test("an order is read from the read model, and from the truth when that is behind what was told or away", async () => {
  const { id } = (await place()).body;
  const { clientId, order } = world.orders.get(id)!;
  const version = async () => (await call<OrderView>("GET", `/v1/orders/${id}`)).body.version;

  world.views.set(id, { clientId, order: { ...order, version: 3 } });
  assert.equal(await version(), 3, "nobody was told of more");
  world.told.set(id, 4);
  assert.equal(await version(), 4, "the truth: 4 was told");
  world.views.set(id, { clientId, order: { ...order, version: 5 } });
  assert.equal(await version(), 5);

  const { get } = world.readModel;
  world.readModel.get = () => Promise.reject(new Error("away"));
  assert.equal(await version(), 4);
  world.readModel.get = get;
});

test("a client that has the newest version is told so with 304", async () => {
  const { id } = (await place()).body;
  const tags = { '"4"': 304, 'W/"4"': 304, '"3", "4"': 304, "*": 304, '"3"': 200 };
  for (const [tag, status] of Object.entries(tags)) {
    const answer = await call("GET", `/v1/orders/${id}`, undefined, { "if-none-match": tag });
    assert.equal(answer.status, status, tag);
    assert.equal(answer.headers.get("etag"), '"4"');
  }
});

test("another client's order is 404 everywhere; an admin sees all", async () => {
  const { id } = (await place()).body;
  for (const [method, path] of [
    ["GET", `/v1/orders/${id}`],
    ["GET", `/v1/orders/${id}/events`],
    ["GET", `/v1/orders/${id}/decision`],
    ["GET", `/v1/orders/${id}/stream`],
    ["POST", `/v1/orders/${id}/cancel`],
  ] as const) {
    assert.equal((await other(method, path)).body.code, "order_not_found", path);
  }
  assert.equal((await admin("GET", `/v1/orders/${id}`)).status, 200);
  const list = await other<{ items: OrderView[] }>("GET", "/v1/orders");
  assert.ok(!list.body.items.some((order) => order.id === id));
});

test("who did it is the client, or the operator with an admin key", async () => {
  await place();
  await admin("POST", "/v1/orders", anOrder());
  const [byClient, byAdmin] = world.submitted.slice(-2);
  assert.deepEqual(byClient!.by, { actor: "client:cli_a", source: "127.0.0.1" });
  assert.match(byAdmin!.by.actor, /^operator:key_/);
});

test("a list is paged by cursors that only fit their own list", async () => {
  for (let index = 0; index < 3; index += 1) await place();
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const path: string = `/v1/orders?limit=500${cursor === null ? "" : `&cursor=${cursor}`}`;
    const { body } = await call<{ items: OrderView[]; nextCursor: string | null }>("GET", path);
    seen.push(...body.items.map(({ id }) => id));
    cursor = body.nextCursor;
  } while (cursor !== null);
  const mine = [...world.orders.values()]
    .filter(({ clientId }) => clientId === "cli_a")
    .map(({ order }) => order.id);
  assert.deepEqual(seen, mine.sort().reverse());

  const first = await call<{ nextCursor: string }>("GET", "/v1/orders?limit=1");
  const elsewhere = await call("GET", `/v1/orders?limit=1&status=failed&cursor=${first.body.nextCursor}`);
  assert.equal(elsewhere.body.code, "cursor_invalid");
});

test("cancelling answers 200 once it is undone, 202 while it is, 409 when it is too late", async () => {
  const one = (await place()).body;
  const done = await call<OrderView>("POST", `/v1/orders/${one.id}/cancel`);
  assert.equal(done.status, 200);
  assert.equal(done.body.status, "cancelled");

  const replay = await place(anOrder({ externalId: "late" }));
  world.orders.get(replay.body.id)!.order = { ...replay.body, status: "dispatched" };
  const late = await call("POST", `/v1/orders/${replay.body.id}/cancel`, {});
  assert.equal(late.status, 409);
  assert.equal(late.body.code, "transition_refused");
});

test("a replay of an order that was cancelled since is 200: neither confirmed nor on its way", async () => {
  const body = anOrder({ externalId: "gone" });
  const { id } = (await place(body)).body;
  await call("POST", `/v1/orders/${id}/cancel`);
  const again = await place(body);
  assert.equal(again.status, 200);
  assert.equal(again.body.status, "cancelled");
});

test("the decisions of an order, none while it was not routed", async () => {
  type Shown = { decisions: { excluded: unknown }[] };
  const decisionsOf = async (id: unknown) =>
    ((await call("GET", `/v1/orders/${id}/decision`)).body as unknown as Shown).decisions;
  const [decision] = await decisionsOf((await place()).body.id);
  assert.deepEqual(decision?.excluded, [{ reason: "radius", channels: 3, text: "does not deliver so far" }]);
  world.outcome = { status: "received" };
  assert.deepEqual(await decisionsOf((await place()).body.id), []);
});
