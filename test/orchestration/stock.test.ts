import assert from "node:assert";
import { test } from "node:test";
import { afterDecision, type Decision, noUnits } from "../../src/orchestration/carried.ts";
import { advanceOrders, insertOrders } from "../../src/orchestration/commit-sql.ts";
import { change } from "../../src/orchestration/moves.ts";
import type { OrderDoc } from "../../src/orchestration/order.ts";
import { stockAdjusted, stockTaken } from "../../src/orchestration/stock.ts";
import { changesOf, stockInput } from "../../src/orchestration/stock-rows.ts";
import { carried } from "./carried.ts";

const lines = [{ sku: "apple", quantity: 2 }];
const held = (stock?: typeof lines) => {
  const order = carried({ status: "ready", booking: "booked" });
  return { ...order, attempts: order.attempts.map((one) => ({ ...one, ...(stock ? { stock } : {}) })) };
};
const docOf = (...skus: string[]): OrderDoc => ({
  ...held().doc,
  items: skus.map((sku) => ({ sku, quantity: 1, unitPriceMinor: 1 })),
});
const goingTo = (order: ReturnType<typeof held>, to: "dispatched" | "cancelling"): Decision => ({
  ...noUnits,
  base: change(order, [{ to }], order.saga, 0),
});

test("batches that have nothing to do with stock run statements that know nothing of it", () => {
  for (const { text } of [insertOrders, advanceOrders]) assert.doesNotMatch(text, /stock/);
  const order = held();
  assert.strictEqual(stockInput([{ order, decision: goingTo(order, "dispatched") }]), null);
  const stocked = held(lines);
  assert.strictEqual(stockInput([{ order: stocked, decision: goingTo(stocked, "cancelling") }]), null);
});

test("a batch with a release, a use or a take of stock says so", () => {
  const order = held(lines);
  const [attempt] = order.attempts;
  const release = { leg: 1, attempt: 1, booking: "cancelled", bookingRef: null, partner: null } as const;
  const undone = { ...goingTo(order, "cancelling"), attemptChanges: [{ ...release, release: true }] };
  assert.strictEqual(stockInput([{ order, decision: undone }]), "[]");
  const used = goingTo(order, "dispatched");
  assert.strictEqual(stockInput([{ order, decision: used }]), '[{"i":0,"leg":1,"attempt":1,"used":true}]');
  assert.deepStrictEqual(
    changesOf({ order, decision: used }).map((one) => [one.booking, one.release, one.used]),
    [["booked", false, true]],
  );
  assert.strictEqual(afterDecision(order, used, false).attempts[0]!.stock, null);
  assert.deepStrictEqual(attempt!.stock, lines);
});

test("what an order takes is its items by SKU; what a change takes is the difference", () => {
  assert.deepStrictEqual(stockTaken({}, docOf("a")), {});
  const both = [
    { sku: "a", quantity: 2 },
    { sku: "b", quantity: 1 },
  ];
  assert.deepStrictEqual(stockTaken({ tracksStock: true }, docOf("a", "b", "a")), {
    stock: { takes: both, holds: both },
  });
  const adjust = (tracksStock: boolean, ...skus: string[]) =>
    stockAdjusted({ stock: both }, { tracksStock }, docOf(...skus)).stock?.takes;
  assert.deepStrictEqual(adjust(true, "a", "b", "a"), undefined);
  assert.deepStrictEqual(adjust(true, "a", "c", "b"), [
    { sku: "a", quantity: -1 },
    { sku: "c", quantity: 1 },
  ]);
  assert.deepStrictEqual(adjust(false, "a"), [
    { sku: "a", quantity: -2 },
    { sku: "b", quantity: -1 },
  ]);
});
