import assert from "node:assert";
import { after, before, test } from "node:test";
import type { BookingOutcome, ChannelAdapter } from "../../src/channels/api.ts";
import type { CallbackKind } from "../../src/orchestration/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { assertInvariants, by, submission, type TestWorld, testWorld } from "./world.ts";

/** A partner that answers when the test lets it. */
let answering: Promise<void> = Promise.resolve();
const partner: ChannelAdapter = {
  local: false,
  batches: true,
  offer: async () => [],
  hold: async (_channel, requests) => requests.map(() => ({ kind: "held" })),
  async book(_channel, requests) {
    await answering;
    return requests.map(({ key }): BookingOutcome => ({ kind: "booked", bookingRef: key }));
  },
  cancel: async (_channel, requests) => requests.map(() => ({ kind: "cancelled" })),
};

let world: TestWorld;
let kitchenId: string;
let partnerId: string;
before(async () => {
  world = await testWorld(() => partner);
  kitchenId = (await world.channel({ name: "kitchen" })).id;
  partnerId = (await world.channel({ name: "partner", type: "external_partner" })).id;
});
after(() => world.stop());

async function place(
  key: string,
  type: "internal_kitchen" | "external_partner",
  waitMs = 5_000,
): Promise<OrderView> {
  const [result] = await world.orchestration.submit(
    [submission(key, { routing: { channelTypes: [type] } })],
    { waitMs },
  );
  return result?.kind === "order" ? result.order : assert.fail(JSON.stringify(result));
}

let reports = 0;
async function report(
  order: OrderView,
  kind: CallbackKind,
  changes: { callbackId?: string; attempt?: number; channelId?: string } = {},
) {
  reports += 1;
  const [answer] = await world.orchestration.callbacks([
    {
      channelId: changes.channelId ?? order.channel?.id ?? partnerId,
      callbackId: changes.callbackId ?? `report-${reports}`,
      attemptKey: `${order.id}.1.${changes.attempt ?? 1}`,
      kind,
      at: new Date().toISOString(),
      by,
    },
  ]);
  return answer!.kind === "refused" ? answer!.code : answer!.kind;
}

const now = async (id: string): Promise<OrderView> => (await world.orchestration.read([id]))[0]!.order;

test("a report of each stage carries the order to the door, one version each", async () => {
  const order = await place("stages", "internal_kitchen");
  for (const kind of ["preparing", "ready", "dispatched", "delivered"] as const) {
    assert.strictEqual(await report(order, kind), "applied");
    assert.strictEqual((await now(order.id)).status, kind);
  }
  assert.strictEqual((await now(order.id)).version, 8);
});

test("a later stage implies those before it, and an earlier one that comes late is ignored", async () => {
  const order = await place("out-of-order", "internal_kitchen");
  assert.strictEqual(await report(order, "dispatched"), "applied");
  assert.partialDeepStrictEqual(await now(order.id), { status: "dispatched", version: 7 });
  assert.strictEqual(await report(order, "ready"), "ignored");
  assert.strictEqual((await now(order.id)).version, 7);
});

test("a repeated report changes nothing, also when both come at once", async () => {
  const order = await place("repeated", "internal_kitchen");
  const answers = await Promise.all([1, 2, 3].map(() => report(order, "preparing", { callbackId: "twice" })));
  assert.strictEqual(answers.filter((answer) => answer === "applied").length, 1);
  assert.strictEqual(await report(order, "preparing", { callbackId: "twice" }), "duplicate");
  assert.strictEqual((await now(order.id)).version, 5);
});

test("reports of one order that come at once are all counted, in whatever order they are taken", async () => {
  const order = await place("at-once", "internal_kitchen");
  await Promise.all(
    (["preparing", "ready", "dispatched", "delivered"] as const).map((kind) => report(order, kind)),
  );
  assert.partialDeepStrictEqual(await now(order.id), { status: "delivered", version: 8 });
});

test("a report before the booking's own answer is kept and applied once that is there", async () => {
  const { promise, resolve: answer } = Promise.withResolvers<void>();
  answering = promise;
  const order = await place("early", "external_partner", 0);
  await until(order.id, (view) => view.status === "reserved");
  assert.strictEqual(await report(order, "preparing"), "kept");
  assert.strictEqual((await now(order.id)).status, "reserved");
  answer();
  answering = Promise.resolve();
  assert.partialDeepStrictEqual(await until(order.id, (view) => view.status === "preparing"), { version: 5 });
});

test("a report of an attempt that was never made, or by another channel, is refused", async () => {
  const order = await place("unknown", "internal_kitchen");
  assert.strictEqual(await report(order, "ready", { attempt: 2 }), "attempt_unknown");
  assert.strictEqual(await report(order, "ready", { channelId: partnerId }), "attempt_unknown");
  const missing = { ...order, id: "ord_00000000000000000000000000" };
  assert.strictEqual(await report(missing, "ready"), "attempt_unknown");
});

test("an order that its channel gives back is routed again, and reports of the old attempt are ignored", async () => {
  const order = await place("given-back", "external_partner");
  await world.channel({ name: "heir", type: "external_partner" });
  assert.strictEqual(await report(order, "refused"), "applied");
  const again = await until(order.id, (view) => view.status === "confirmed");
  assert.strictEqual(again.legs[0]?.attempt, 2);
  assert.notStrictEqual(again.channel?.id, order.channel?.id);
  assert.strictEqual(await report(order, "ready"), "ignored");
});

test("a door that stayed shut ends the order undelivered", async () => {
  const order = await place("shut", "internal_kitchen");
  assert.strictEqual(await report(order, "undelivered"), "applied");
  assert.partialDeepStrictEqual(await now(order.id), {
    status: "undelivered",
    reason: { code: "not_at_home" },
  });
});

test("an order being prepared can't be cancelled any more", async () => {
  const order = await place("too-late", "internal_kitchen");
  await report(order, "preparing");
  const [answer] = await world.orchestration.cancel([{ id: order.id, clientId: null, by }], { waitMs: 0 });
  assert.partialDeepStrictEqual(answer, { kind: "refused", code: "transition_refused" });
});

test("another client's order is not there for a cancel", async () => {
  const order = await place("not-yours", "internal_kitchen");
  const [answer] = await world.orchestration.cancel([{ id: order.id, clientId: "cli_other", by }], {
    waitMs: 0,
  });
  assert.partialDeepStrictEqual(answer, { kind: "refused", code: "order_not_found" });
});

test("capacity of a kitchen is the kitchen's: cancelled units can be sold again", async () => {
  const before = await world.capacity.getCapacity(kitchenId, { fromMs: 0, toMs: Date.now() + 1e10 });
  const order = await place("units", "internal_kitchen");
  await world.orchestration.cancel([{ id: order.id, clientId: null, by }], { waitMs: 2_000 });
  assert.deepStrictEqual(
    await world.capacity.getCapacity(kitchenId, { fromMs: 0, toMs: Date.now() + 1e10 }),
    before,
  );
});

test("after all of this every invariant holds", () => assertInvariants(world.database));

async function until(id: string, holds: (view: OrderView) => boolean): Promise<OrderView> {
  for (let round = 0; round < 400; round += 1) {
    const view = await now(id);
    if (holds(view)) return view;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return assert.fail(`never: ${JSON.stringify(await now(id))}`);
}
