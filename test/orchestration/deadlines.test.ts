import assert from "node:assert";
import { after, before, test } from "node:test";
import type { CancelOutcome, ChannelAdapter } from "../../src/channels/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { assertInvariants, by, submission, type TestWorld, testWorld, window } from "./world.ts";

/** A clock that a test puts forward; timers stay real, so that sweeps go on. */
let aheadMs = 0;
const clock: Clock = { nowMs: () => Date.now() + aheadMs, after: systemClock.after };

let cancelAnswer: CancelOutcome = { kind: "cancelled" };
const partner: ChannelAdapter = {
  local: false,
  batches: true,
  offer: async () => [],
  book: async (_channel, requests) => requests.map(({ key }) => ({ kind: "booked", bookingRef: key })),
  cancel: async (_channel, requests) => requests.map(() => cancelAnswer),
};

let world: TestWorld;
before(async () => {
  world = await testWorld(() => partner, clock);
  await world.channel({ name: "kitchen" }, [{ ...window, capacity: 1 }]);
  await world.channel({ name: "partner", type: "external_partner" });
});
after(() => world.stop());

async function place(
  key: string,
  type: "internal_kitchen" | "external_partner",
  waitMs = 3_000,
): Promise<OrderView> {
  const [result] = await world.orchestration.submit(
    [submission(key, { routing: { channelTypes: [type] } })],
    { waitMs },
  );
  return result?.kind === "order" ? result.order : assert.fail(JSON.stringify(result));
}

async function until(id: string, status: string): Promise<OrderView> {
  for (let round = 0; round < 500; round += 1) {
    const [stored] = await world.orchestration.read([id]);
    if (stored?.order.status === status) return stored.order;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return assert.fail(`${id} never became ${status}: ${JSON.stringify(await world.orchestration.read([id]))}`);
}

test("a channel that will not undo what must be undone leaves the order stuck, which is an alert and not an end", async () => {
  const order = await place("stuck", "external_partner");
  cancelAnswer = { kind: "refused", reason: "the food is made" };
  await world.orchestration.operate(
    [{ id: order.id, action: "force_cancel", note: "fire in the kitchen", key: null, by }],
    { waitMs: 2_000 },
  );
  assert.partialDeepStrictEqual(await until(order.id, "stuck"), { reason: { code: "undo_failed" } });
  // A day later it is tried again, and this time the channel agrees.
  cancelAnswer = { kind: "cancelled" };
  aheadMs += 25 * 3_600_000;
  await until(order.id, "cancelled");
  aheadMs = 0;
});

test("an order for a full slot waits for room, and fails when the window ends without it", async () => {
  await place("takes-the-room", "internal_kitchen");
  const waiting = await place("waits", "internal_kitchen", 300);
  assert.strictEqual(waiting.status, "received");
  aheadMs = Date.parse(window.end) - Date.now() + 1_000;
  const failed = await until(waiting.id, "failed");
  assert.match(failed.reason?.code ?? "", /^(no_capacity|too_late|no_slot)$/);
  aheadMs = 0;
});

test("an order whose channel never reports ends undelivered, two hours after its window", async () => {
  const order = await place("silent", "external_partner");
  aheadMs = Date.parse(window.end) - Date.now() + 2 * 3_600_000 + 1_000;
  assert.partialDeepStrictEqual(await until(order.id, "undelivered"), { reason: { code: "not_reported" } });
  aheadMs = 0;
});

test("a cancellation that a channel can't be reached for is stuck after fifteen minutes, and its order is not lost", async () => {
  const order = await place("unreachable", "external_partner");
  cancelAnswer = { kind: "unknown", detail: "no answer" };
  await world.orchestration.cancel([{ id: order.id, clientId: null, by }], { waitMs: 100 });
  aheadMs = 16 * 60_000;
  await until(order.id, "stuck");
  cancelAnswer = { kind: "cancelled" };
  const [again] = await world.orchestration.cancel([{ id: order.id, clientId: null, by }], { waitMs: 5_000 });
  assert.partialDeepStrictEqual(again, { kind: "order", order: { status: "cancelled" } });
  aheadMs = 0;
});

test("after all of this every invariant holds", () => assertInvariants(world.database));
