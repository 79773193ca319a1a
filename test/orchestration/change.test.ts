import assert from "node:assert";
import { after, before, test } from "node:test";
import type { BookingOutcome, HoldOutcome } from "../../src/channels/api.ts";
import type { OrderChange } from "../../src/orchestration/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { Partner } from "./partner.ts";
import { assertInvariants, by, submission, type TestWorld, testWorld, window } from "./world.ts";

const hourMs = 3_600_000;
const inHours = (hours: number): string => new Date(Date.parse(window.start) + hours * hourMs).toISOString();
const evening = { start: inHours(6), end: inHours(8) };

const partner = new Partner();
let world: TestWorld;
before(async () => {
  world = await testWorld(() => partner);
  await world.channel({ name: "kitchen" }, [
    { ...window, capacity: 10 },
    { ...evening, capacity: 1_000 },
  ]);
  const slots = [
    { ...window, capacity: 1_000 },
    { ...evening, capacity: 1_000 },
  ];
  for (const name of ["bistro", "diner"]) await world.channel({ name, type: "external_partner" }, slots);
});
after(() => world.stop());

type Type = "internal_kitchen" | "external_partner";

async function place(key: string, type: Type = "external_partner", quantity = 1): Promise<OrderView> {
  partner.reset();
  const items = [{ sku: "meal-123", quantity, unitPriceMinor: 4_500 }];
  const [result] = await world.orchestration.submit(
    [submission(key, { items, routing: { channelTypes: [type] } })],
    { waitMs: 5_000 },
  );
  const order = result?.kind === "order" ? result.order : assert.fail(JSON.stringify(result));
  assert.strictEqual(order.status, "confirmed");
  return order;
}

/** What came of it: the order, or the code of the refusal. */
async function change(
  order: OrderView,
  wanted: OrderChange,
  expectedVersion: number | null = null,
  waitMs = 5_000,
) {
  const request = { id: order.id, clientId: "cli_test", expectedVersion, change: wanted, by };
  const [result] = await world.orchestration.change([request], { waitMs });
  return result!.kind === "order" ? result!.order : result!.code;
}

const now = async (id: string): Promise<OrderView> => (await world.orchestration.read([id]))[0]!.order;
const itemsOf = (quantity: number) => [{ sku: "meal-123", quantity, unitPriceMinor: 4_500 }];

async function reservedOf(order: OrderView): Promise<number[]> {
  const slots = await world.capacity.getCapacity(order.channel!.id, { fromMs: 0, toMs: Date.now() + 1e10 });
  return slots.map(({ reserved }) => reserved);
}

const eventsOf = async (id: string): Promise<string[]> => {
  const text = `select e ->> 'type' || coalesce(' ' || (e -> 'data' ->> 'to'), ' ' || (e -> 'data' ->> 'changed'), '') as what
    from outbox, json_array_elements(events::json) e where subject = $1 order by id`;
  return (await world.database.run<{ what: string }>({ name: "", text }, [id])).map(({ what }) => what);
};

test("more and fewer items in the slot that an order has: in place, one commit, exact units", async () => {
  const order = await place("in-place", "internal_kitchen", 4);
  const [before] = await reservedOf(order);
  const more = await change(order, { items: itemsOf(6) });
  assert.partialDeepStrictEqual(more, { status: "confirmed", version: order.version + 1, items: itemsOf(6) });
  assert.deepStrictEqual((await reservedOf(order))[0], before! + 2);
  // The slot is full but for what this order gives back.
  await place("fills", "internal_kitchen", 10 - before! - 2);
  assert.partialDeepStrictEqual(await change(order, { items: itemsOf(1) }), { items: itemsOf(1) });
  assert.deepStrictEqual((await reservedOf(order))[0], 10 - 5);
  assert.deepStrictEqual((await eventsOf(order.id)).slice(-2), [
    'order.updated ["items"]',
    'order.updated ["items"]',
  ]);
});

test("an order of our own kitchen moves to another slot, and its old units are free again", async () => {
  const order = await place("other-slot", "internal_kitchen");
  const [before] = await reservedOf(order);
  const moved = await change(order, { window: evening });
  assert.partialDeepStrictEqual(moved, {
    status: "confirmed",
    delivery: { window: evening },
    legs: [{ attempt: 2, slot: evening }],
  });
  assert.strictEqual((await reservedOf(order))[0], before! - 1);
  assert.deepStrictEqual((await eventsOf(order.id)).slice(-6), [
    "order.status_changed rerouting",
    'order.updated ["delivery.window"]',
    "order.status_changed reserved",
    "channel.assigned",
    "order.status_changed booked",
    "order.status_changed confirmed",
  ]);
});

test("an address changes in place at our own, and is in no event", async () => {
  const order = await place("address", "internal_kitchen");
  const address = { line1: "New Street 7", city: "Dubai", countryCode: "AE" };
  const changed = await change(order, { personal: { address } });
  assert.partialDeepStrictEqual(changed, { status: "confirmed", version: order.version + 1 });
  assert.deepStrictEqual(await world.orchestration.contacts([order.id]), [
    { instructions: "leave at the desk", address },
  ]);
  const text = "select 1 from outbox where subject = $1 and events like '%New Street%'";
  assert.deepStrictEqual(await world.database.run({ name: "", text }, [order.id]), []);
});

test("a partner's order moves: room is kept, the old booking cancelled, the new one made with what is new", async () => {
  const order = await place("partner");
  const address = { line1: "New Street 8", city: "Dubai", countryCode: "AE" };
  const moved = await change(order, { window: evening, items: itemsOf(3), personal: { address } });
  assert.partialDeepStrictEqual(moved, {
    status: "confirmed",
    items: itemsOf(3),
    legs: [{ attempt: 2, slot: evening }],
  });
  assert.deepStrictEqual(partner.live(order.id), [`${order.id}.1.2`]);
  assert.strictEqual(partner.held.get(`${order.id}.1.1`)?.state, "cancelled");
  const asked = partner.held.get(`${order.id}.1.2`)!.request!;
  assert.partialDeepStrictEqual(asked, {
    units: 3,
    items: itemsOf(3),
    personal: { address, instructions: "leave at the desk" },
  });
  assert.partialDeepStrictEqual((await world.orchestration.contacts([order.id]))[0], { address });
});

const refusals: [string, () => void][] = [
  ["keeps no room", () => (partner.holding = async () => ({ kind: "refused", reason: "hold_unsupported" }))],
  ["never answers", () => (partner.holding = async () => ({ kind: "unknown", detail: "timeout" }))],
  [
    "can't be reached for the old one's cancellation",
    () => {
      partner.cancelling = async (key) =>
        key.endsWith(".1.1")
          ? { kind: "retry", afterMs: 1, detail: "connection refused" }
          : { kind: "cancelled" };
    },
  ],
  [
    "will not let the old one go",
    () => {
      partner.cancelling = async (key) =>
        key.endsWith(".1.1") ? { kind: "refused", reason: "too_late" } : { kind: "cancelled" };
    },
  ],
];
for (const [what, arrange] of refusals) {
  test(`a partner that ${what}: nothing has changed, and what was promised stands`, async () => {
    const order = await place(`refused-${what}`);
    arrange();
    const [before] = await reservedOf(order);
    assert.strictEqual(await change(order, { window: evening }), "change_refused");
    const { version: _v, updatedAt: _u, reason, ...kept } = await now(order.id);
    const { version: _w, updatedAt: _x, ...was } = order;
    assert.deepStrictEqual(kept, was);
    assert.strictEqual(reason?.code, "change_refused");
    assert.deepStrictEqual(partner.live(order.id), [`${order.id}.1.1`]);
    assert.strictEqual((await reservedOf(order))[0], before);
    // Later the same change may go through.
    partner.reset();
    assert.partialDeepStrictEqual(await change(order, { window: evening }), {
      delivery: { window: evening },
    });
  });
}

test("an address of a change that was refused is not brought along by a later one", async () => {
  const order = await place("stale-address");
  partner.holding = async () => ({ kind: "refused", reason: "no_room" });
  const address = { line1: "Nowhere 1", city: "Dubai", countryCode: "AE" };
  assert.strictEqual(await change(order, { window: evening, personal: { address } }), "change_refused");
  const left = "select 1 from order_contacts where order_id = $1 and doc like '%Nowhere%'";
  assert.deepStrictEqual(await world.database.run({ name: "", text: left }, [order.id]), []);

  // Nor when the move was ended by something else: here by food that left.
  partner.reset();
  const { promise, resolve } = Promise.withResolvers<HoldOutcome>();
  partner.holding = () => promise;
  await change(order, { window: evening, personal: { address } }, null, 0);
  partner.cancelling = async (key) =>
    key.endsWith(".1.1") ? { kind: "refused", reason: "too_late" } : { kind: "cancelled" };
  const cancelling = world.orchestration.cancel([{ id: order.id, clientId: null, by }], { waitMs: 5_000 });
  resolve({ kind: "held" });
  assert.partialDeepStrictEqual((await cancelling)[0], { order: { status: "confirmed" } });
  partner.reset();
  assert.partialDeepStrictEqual(await change(order, { window: evening }), { delivery: { window: evening } });
  assert.deepStrictEqual(await world.orchestration.contacts([order.id]), [
    { instructions: "leave at the desk" },
  ]);
});

test("what no channel can do is refused with its reason, and nothing is written", async () => {
  const order = await place("nowhere", "internal_kitchen");
  assert.strictEqual(
    await change(order, { window: { start: inHours(20), end: inHours(21) } }),
    "change_refused",
  );
  assert.strictEqual(await change(order, { location: { lat: -33.9, lng: 18.4 } }), "change_refused");
  assert.strictEqual(
    await change(order, { window: { start: inHours(-90), end: inHours(-80) } }),
    "window_in_past",
  );
  assert.strictEqual(await change(order, { items: itemsOf(100_000) }), "change_refused");
  assert.deepStrictEqual(await now(order.id), order);
});

test("a change that is there already changes nothing; another version than expected is a conflict", async () => {
  const order = await place("again", "internal_kitchen");
  assert.deepStrictEqual(
    await change(order, { window, items: order.items, personal: { instructions: "leave at the desk" } }),
    order,
  );
  assert.strictEqual(await change(order, { items: itemsOf(2) }, order.version - 1), "version_conflict");
  const changed = await change(order, { window: evening, items: itemsOf(2) }, order.version);
  assert.partialDeepStrictEqual(changed, { items: itemsOf(2) });
});

test("what is being prepared, has ended or is another client's can't be changed", async () => {
  const order = await place("preparing", "internal_kitchen");
  const report = { channelId: order.channel!.id, callbackId: "c-1", attemptKey: `${order.id}.1.1`, by };
  await world.orchestration.callbacks([{ ...report, kind: "preparing", at: new Date().toISOString() }]);
  assert.strictEqual(await change(order, { items: itemsOf(2) }), "transition_refused");
  const [other] = await world.orchestration.change(
    [{ id: order.id, clientId: "cli_other", expectedVersion: null, change: { items: itemsOf(2) }, by }],
    { waitMs: 0 },
  );
  assert.partialDeepStrictEqual(other, { code: "order_not_found" });
});

test("an order that waits for room is other at once, and goes where it now can", async () => {
  const fill = await world.capacity.getCapacity((await place("probe", "internal_kitchen")).channel!.id, {
    fromMs: 0,
    toMs: Date.now() + 1e10,
  });
  const free = fill[0]!.capacity - fill[0]!.reserved;
  if (free > 0) await place("fills-up", "internal_kitchen", free);
  const [made] = await world.orchestration.submit(
    [submission("waiting", { routing: { channelTypes: ["internal_kitchen"] } })],
    { waitMs: 100 },
  );
  assert.ok(made?.kind === "order" && made.order.status === "received");
  assert.partialDeepStrictEqual(await change(made.order, { window: evening }), {
    status: "confirmed",
    legs: [{ slot: evening }],
  });
});

test("an order whose channel is being asked waits for the answer, and is busy when that takes long", async () => {
  partner.reset();
  const { promise, resolve } = Promise.withResolvers<BookingOutcome>();
  partner.booking = () => promise;
  const [made] = await world.orchestration.submit(
    [submission("busy", { routing: { channelTypes: ["external_partner"] } })],
    { waitMs: 0 },
  );
  assert.ok(made?.kind === "order");
  assert.strictEqual(await change(made.order, { items: itemsOf(2) }, null, 100), "order_busy");
  const changing = change(made.order, { items: itemsOf(2) });
  partner.reset();
  resolve({ kind: "booked", bookingRef: "ref" });
  assert.partialDeepStrictEqual(await changing, { status: "confirmed", items: itemsOf(2) });
  assert.strictEqual(partner.live(made.order.id).length, 1);
});

test("cancelled while it moves: both attempts are undone", async () => {
  const order = await place("cancelled");
  const { promise, resolve } = Promise.withResolvers<HoldOutcome>();
  partner.holding = () => promise;
  assert.partialDeepStrictEqual(await change(order, { window: evening }, null, 0), { status: "rerouting" });
  const cancelling = world.orchestration.cancel([{ id: order.id, clientId: null, by }], { waitMs: 5_000 });
  resolve({ kind: "held" });
  assert.partialDeepStrictEqual((await cancelling)[0], { order: { status: "cancelled" } });
  assert.deepStrictEqual(partner.live(order.id), []);
});

test("food that leaves while its order moves is delivered as it was promised", async () => {
  const order = await place("left");
  const { promise, resolve } = Promise.withResolvers<HoldOutcome>();
  partner.holding = () => promise;
  await change(order, { window: evening }, null, 0);
  const report = { channelId: order.channel!.id, callbackId: "c-2", attemptKey: `${order.id}.1.1`, by };
  const [answer] = await world.orchestration.callbacks([
    { ...report, kind: "delivered", at: new Date().toISOString() },
  ]);
  assert.strictEqual(answer?.kind, "applied");
  resolve({ kind: "held" });
  assert.partialDeepStrictEqual(await now(order.id), {
    status: "delivered",
    delivery: { window },
    legs: order.legs,
  });
});

test("a hundred orders changed at once, from several sides, each end in one place with exact units", async () => {
  const orders = await Promise.all(
    Array.from({ length: 100 }, (_, index) => place(`many-${index}`, "external_partner")),
  );
  const wanted: OrderChange[] = [
    { window: evening },
    { items: itemsOf(2) },
    { personal: { instructions: "ring" } },
  ];
  // Three changes of an order come one after the other, a hundred orders at once: on a busy machine that takes its time.
  await Promise.all(orders.flatMap((order) => wanted.map((one) => change(order, one, null, 60_000))));
  for (const order of orders) {
    assert.partialDeepStrictEqual(await now(order.id), {
      status: "confirmed",
      items: itemsOf(2),
      delivery: { window: evening },
    });
    assert.strictEqual(partner.live(order.id).length, 1);
  }
});

test("a process that dies in the middle of a move: the next one finishes it, booked once", async () => {
  const phases = ["holding", "cancelling", "booking"] as const;
  const orders = await Promise.all(phases.map((where) => place(`dies-${where}`)));
  for (const [index, where] of phases.entries()) {
    const order = orders[index]!;
    const other = await world.another();
    const never = new Promise<never>(() => undefined);
    partner[where] = () => never;
    const request = { id: order.id, clientId: null, expectedVersion: null, change: { window: evening }, by };
    await other.orchestration.change([request], { waitMs: 200 });
    partner.reset();
    const heir = await world.another({ exclusive: true });
    for (let round = 0; (await now(order.id)).status !== "confirmed"; round += 1) {
      assert.ok(round < 400, `${where}: ${JSON.stringify(await now(order.id))}`);
      await new Promise((done) => setTimeout(done, 10));
    }
    assert.deepStrictEqual(partner.live(order.id), [`${order.id}.1.2`]);
    await heir.stop();
  }
});

test("after all of this every invariant holds", () => assertInvariants(world.database));
