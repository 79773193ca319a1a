import assert from "node:assert";
import { after, before, test } from "node:test";
import type { CancelOutcome, ChannelAdapter } from "../../src/channels/api.ts";
import type { CallbackKind, OperatorAction } from "../../src/orchestration/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { assertInvariants, by, submission, type TestWorld, testWorld } from "./world.ts";

/** A partner that books whatever comes, and answers cancellations as a test wants. */
let cancelling: () => Promise<CancelOutcome> = async () => ({ kind: "cancelled" });
const cancelled: string[] = [];
const partner: ChannelAdapter = {
  local: false,
  batches: true,
  offer: async () => [],
  hold: async (_channel, requests) => requests.map(() => ({ kind: "held" })),
  book: async (_channel, requests) => requests.map(({ key }) => ({ kind: "booked", bookingRef: key })),
  async cancel(_channel, requests) {
    const answer = await cancelling();
    if (answer.kind === "cancelled") cancelled.push(...requests.map(({ key }) => key));
    return requests.map(() => answer);
  },
};

let world: TestWorld;
before(async () => {
  world = await testWorld(() => partner);
  for (const name of ["first", "second"]) await world.channel({ name, type: "external_partner" });
  await world.channel({ name: "kitchen" });
});
after(() => world.stop());

async function place(key: string, type: "internal_kitchen" | "external_partner" = "external_partner") {
  cancelling = async () => ({ kind: "cancelled" });
  const [result] = await world.orchestration.submit(
    [submission(key, { routing: { channelTypes: [type] } })],
    { waitMs: 5_000 },
  );
  const order = result?.kind === "order" ? result.order : assert.fail(JSON.stringify(result));
  assert.strictEqual(order.status, "confirmed");
  return order;
}

/** What came of it: the order, or the code of the refusal. */
async function operate(order: OrderView, action: OperatorAction, key: string | null = null) {
  const request = { id: order.id, action, note: "the oven is broken", key, by };
  const [result] = await world.orchestration.operate([request], { waitMs: 5_000 });
  return result!.kind === "order" ? result!.order : result!.code;
}

let reports = 0;
async function report(order: OrderView, kind: CallbackKind) {
  reports += 1;
  const [answer] = await world.orchestration.callbacks([
    {
      channelId: order.channel!.id,
      callbackId: `operate-${reports}`,
      attemptKey: `${order.id}.1.${order.legs[0]!.attempt}`,
      kind,
      at: new Date().toISOString(),
      by,
    },
  ]);
  return answer!.kind;
}

const now = async (id: string): Promise<OrderView> => (await world.orchestration.read([id]))[0]!.order;

async function stuck(key: string): Promise<OrderView> {
  const order = await place(key);
  cancelling = async () => ({ kind: "refused", reason: "no" });
  assert.partialDeepStrictEqual(await operate(order, "force_cancel"), { status: "stuck" });
  return order;
}

test("an order is given to another channel once its own has cancelled it", async () => {
  const order = await place("reroute");
  const moved = await operate(order, "reroute");
  assert.partialDeepStrictEqual(moved, { status: "confirmed", legs: [{ attempt: 2 }] });
  assert.notStrictEqual((moved as OrderView).channel?.id, order.channel?.id);
  assert.ok(cancelled.includes(`${order.id}.1.1`));
});

test("a channel that will not let go keeps the order, which says so", async () => {
  const order = await place("kept");
  await report(order, "preparing");
  cancelling = async () => ({ kind: "refused", reason: "too_late" });
  assert.partialDeepStrictEqual(await operate(order, "reroute"), {
    status: "preparing",
    channel: order.channel,
    bookingRef: order.bookingRef,
    reason: { code: "too_late_to_undo" },
  });
  assert.strictEqual(await report(order, "ready"), "applied");
});

test("while nobody else could take it, an order stays where it is", async () => {
  const order = await place("only-kitchen", "internal_kitchen");
  assert.strictEqual(await operate(order, "reroute"), "no_other_channel");
  assert.deepStrictEqual(await now(order.id), order);
});

test("an action repeated with its key changes nothing, also when both come at once; without one it is another", async () => {
  const order = await place("twice");
  await Promise.all([1, 2, 3].map(() => operate(order, "reroute", "same")));
  const moved = await now(order.id);
  assert.strictEqual(moved.legs[0]?.attempt, 2);
  assert.deepStrictEqual(await operate(order, "reroute", "same"), moved);
  // The channel that was left is passed over for this order, so there is nobody else now.
  assert.strictEqual(await operate(order, "reroute"), "no_other_channel");
});

test("a stuck order is tried again at once, and forced to its end without the channel's word", async () => {
  const order = await stuck("retry");
  assert.partialDeepStrictEqual(await operate(order, "retry"), { status: "stuck" });
  cancelling = async () => ({ kind: "cancelled" });
  assert.partialDeepStrictEqual(await operate(order, "retry"), { status: "cancelled" });
  assert.partialDeepStrictEqual(await operate(order, "retry"), { status: "cancelled" });

  const other = await stuck("force");
  assert.partialDeepStrictEqual(await operate(other, "force_cancel"), { status: "cancelled" });
  assert.partialDeepStrictEqual(await operate(other, "force_cancel"), { status: "cancelled" });
});

test("a stuck order whose channel is lost goes to another one", async () => {
  const order = await stuck("lost");
  assert.partialDeepStrictEqual(await operate(order, "reroute"), {
    status: "confirmed",
    legs: [{ attempt: 2 }],
  });
});

test("what a client can't cancel any more an operator can, while it has not left", async () => {
  const order = await place("prepared", "internal_kitchen");
  await report(order, "preparing");
  assert.partialDeepStrictEqual(await operate(order, "force_cancel"), {
    status: "cancelled",
    reason: { code: "cancelled_by_operator" },
  });
  const left = await place("has-left", "internal_kitchen");
  await report(left, "dispatched");
  assert.strictEqual(await operate(left, "force_cancel"), "transition_refused");
  assert.strictEqual(await operate(left, "retry"), "transition_refused");
  assert.strictEqual(
    await operate({ ...left, id: "ord_00000000000000000000000000" }, "retry"),
    "order_not_found",
  );
});

test("a client's cancel that its channel refuses changes nothing but that the order says so", async () => {
  const order = await place("refused-cancel");
  cancelling = async () => ({ kind: "refused", reason: "too_late" });
  const [result] = await world.orchestration.cancel([{ id: order.id, clientId: "cli_test", by }], {
    waitMs: 5_000,
  });
  assert.partialDeepStrictEqual(result, {
    order: { status: "confirmed", channel: order.channel, reason: { code: "too_late_to_undo" } },
  });
});

test("food that leaves while its cancellation waits for an answer is delivered, and the late answer does nothing", async () => {
  const order = await place("leaves");
  const { promise, resolve } = Promise.withResolvers<CancelOutcome>();
  cancelling = () => promise;
  await world.orchestration.cancel([{ id: order.id, clientId: "cli_test", by }], { waitMs: 0 });
  assert.strictEqual(await report(order, "ready"), "ignored");
  assert.strictEqual(await report(order, "dispatched"), "applied");
  resolve({ kind: "refused", reason: "too_late" });
  assert.partialDeepStrictEqual(await now(order.id), { status: "dispatched", channel: order.channel });
  assert.strictEqual(await report(order, "delivered"), "applied");
  assert.partialDeepStrictEqual(await now(order.id), {
    status: "delivered",
    reason: { code: "too_late_to_undo" },
  });
});

test("a stuck order ends by itself when its channel says how: delivered, or given back", async () => {
  const delivered = await stuck("stuck-delivered");
  assert.strictEqual(await report(delivered, "delivered"), "applied");
  assert.strictEqual((await now(delivered.id)).status, "delivered");
  const back = await stuck("stuck-given-back");
  assert.strictEqual(await report(back, "refused"), "applied");
  assert.strictEqual((await now(back.id)).status, "cancelled");
});

test("why an operator did it is in the audit trail, with who did, and in no view", async () => {
  const order = await place("audited", "internal_kitchen");
  await operate(order, "force_cancel");
  const text = "select actor, entries from journal where order_id = $1 and entries like '%oven is broken%'";
  const rows = await world.database.run<{ actor: string }>({ name: "", text }, [order.id]);
  assert.deepStrictEqual(
    rows.map(({ actor }) => actor),
    [by.actor],
  );
  assert.ok(!JSON.stringify(await now(order.id)).includes("oven"));
});

test("a channel that can't be reached holds up a reroute, until an operator says that it is lost", async () => {
  const order = await place("unreachable");
  cancelling = async () => ({ kind: "unknown", detail: "timeout" });
  const request = { id: order.id, action: "reroute" as const, note: "x", key: null, by };
  const [waits] = await world.orchestration.operate([request], { waitMs: 300 });
  assert.partialDeepStrictEqual(waits, { order: { status: "rerouting" } });
  const [moved] = await world.orchestration.operate([{ ...request, lost: true }], { waitMs: 5_000 });
  assert.partialDeepStrictEqual(moved, { order: { status: "confirmed", legs: [{ attempt: 2 }] } });
});

test("a process that dies while a channel is being left: the next one goes on, with one booking at every moment", async () => {
  const order = await place("dies");
  const other = await world.another();
  const { promise, resolve } = Promise.withResolvers<CancelOutcome>();
  cancelling = () => promise;
  const request = { id: order.id, action: "reroute" as const, note: "x", key: null, by };
  await other.orchestration.operate([request], { waitMs: 0 });
  assert.partialDeepStrictEqual(await now(order.id), { status: "rerouting", legs: [] });
  cancelling = async () => ({ kind: "cancelled" });
  const heir = await world.another({ exclusive: true });
  for (let round = 0; (await now(order.id)).status !== "confirmed"; round += 1) {
    assert.ok(round < 400, JSON.stringify(await now(order.id)));
    await new Promise((done) => setTimeout(done, 10));
  }
  resolve({ kind: "cancelled" });
  await other.stop();
  await heir.stop();
  assert.strictEqual((await now(order.id)).legs[0]?.attempt, 2);
});

test("after all of this every invariant holds", () => assertInvariants(world.database));
