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
  hold: async (_channel, requests) => requests.map(() => ({ kind: "held" })),
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

async function until(id: string, wanted: string | ((view: OrderView) => boolean)): Promise<OrderView> {
  const holds = typeof wanted === "string" ? (view: OrderView) => view.status === wanted : wanted;
  for (let round = 0; round < 500; round += 1) {
    const [stored] = await world.orchestration.read([id]);
    if (stored && holds(stored.order)) return stored.order;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return assert.fail(`${id} never became ${wanted}: ${JSON.stringify(await world.orchestration.read([id]))}`);
}

async function timesLate(channel: string): Promise<number> {
  const { values } = await world.metrics.lateOrders.get();
  return values.find(({ labels }) => labels.channel === channel)?.value ?? 0;
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

const afterWindowMs = (ms: number): number => Date.parse(window.end) - Date.now() + ms;

/** What was told of an order beside its status, oldest first. */
const updates = (id: string) =>
  world.database.run<{ version: number; data: { changed: string[]; reason: { code: string } } }>(
    {
      name: "",
      text: `select (e ->> 'version')::int as version, e -> 'data' as data from outbox, json_array_elements(events::json) e
             where subject = $1 and e ->> 'type' = 'order.updated' order by id`,
    },
    [id],
  );

test("a promised window that passes is told once, with its reason, and the order goes on", async () => {
  const order = await place("late", "external_partner");
  aheadMs = afterWindowMs(1_000);
  const late = await until(order.id, (view) => view.lateSince !== undefined);
  assert.partialDeepStrictEqual(late, {
    status: "confirmed",
    lateSince: window.end,
    reason: { code: "late" },
  });
  aheadMs = afterWindowMs(60_000);
  await world.orchestration.callbacks([
    {
      channelId: order.channel!.id,
      callbackId: "late-1",
      attemptKey: `${order.id}.1.1`,
      kind: "delivered",
      at: new Date().toISOString(),
      by,
    },
  ]);
  const delivered = await until(order.id, "delivered");
  assert.strictEqual(delivered.lateSince, window.end);
  assert.strictEqual(delivered.reason, undefined);
  assert.deepStrictEqual(await updates(order.id), [
    { version: late.version, data: { changed: ["lateSince"], reason: late.reason } },
  ]);
  assert.strictEqual(await timesLate(order.channel!.id), 1);
  aheadMs = 0;
});

test("two thousand windows that end at once are four commits, not two thousand", async () => {
  const all = Array.from({ length: 2_000 }, (_, index) =>
    submission(`many-${index}`, { routing: { channelTypes: ["external_partner"] } }),
  );
  const placed = await world.orchestration.submit(all, { waitMs: 20_000 });
  const ids = placed.map((result) =>
    result.kind === "order" ? result.order.id : assert.fail(result.detail),
  );
  aheadMs = afterWindowMs(1_000);
  for (const id of ids) await until(id, (view) => view.lateSince !== undefined);
  const text = `select count(distinct xid)::int as commits, count(*)::int as orders from journal
    where order_id = any ($1) and actor = 'timer'`;
  const [told] = await world.database.run<{ commits: number; orders: number }>({ name: "", text }, [ids]);
  assert.strictEqual(told?.orders, 2_000);
  assert.ok(told.commits <= 6, `${told.commits} commits`);
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

test("deadlines that come while nobody runs, or whoever waited for them died, are the next process's", async () => {
  const order = await place("while-stopped", "external_partner");
  await world.orchestration.stop();
  aheadMs = afterWindowMs(1_000);
  const heir = await world.another({ exclusive: true });
  await until(order.id, (view) => view.lateSince !== undefined);
  aheadMs = afterWindowMs(3 * 3_600_000);
  await until(order.id, "undelivered");
  aheadMs = 0;
  await heir.stop();
});

test("after all of this every invariant holds", () => assertInvariants(world.database));
