import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ChannelRoom } from "../../src/capacity/api.ts";
import { compilePolicy, defaultPolicy } from "../../src/capacity/policy.ts";
import { evaluate, type Wish } from "../../src/capacity/ranking.ts";
import { shadowPrices } from "../../src/optimization/assign/shadow-prices.ts";
import { expectDemand, slotPrices, warmStart } from "../../src/optimization/bid-prices.ts";
import { explain } from "../../src/optimization/decision.ts";
import { createRecentDemand, type SeenWish } from "../../src/optimization/demand.ts";
import { route } from "../../src/optimization/route.ts";
import { createSteerer } from "../../src/optimization/steer.ts";
import { place, room, window } from "../orchestration/world.ts";

const startMs = Date.parse(window.start);
const endMs = Date.parse(window.end);
const nowMs = startMs - 3_600_000;
const hourMs = 3_600_000;
const ahead = { nowMs, maxAheadMs: 24 * hourMs, maxRows: 500, maxSlots: 50 };
const byTime = compilePolicy("time@1", { weights: { cost: 0, time: 1, quality: 0, capacity: 0 } });

const wish = (changes: Partial<Wish> = {}): Wish => ({
  location: place,
  windowStartMs: startMs,
  windowEndMs: endMs,
  vehicle: null,
  units: 1,
  currency: "AED",
  channelTypes: null,
  maxCostMinor: null,
  excluded: [],
  policy: byTime,
  facts: { items: [{ sku: "meal-1", quantity: 1 }], priority: "standard", metadata: {} },
  ...changes,
});

/** A kitchen so many kilometres east of `place`, with one slot over the window. */
const kitchen = (id: string, km: number, sellable: number): ChannelRoom =>
  room(
    id,
    { location: { ...place, lng: place.lng + km / 100 }, serviceRadiusMeters: 50_000, preparationMinutes: 0 },
    { sellable, reserved: 0 },
  );

const east = (km: number) => ({ ...place, lng: place.lng + km / 100 });
const seenNow = (wishes: readonly Wish[]): SeenWish[] =>
  wishes.map((one) => ({ wish: one, seenMs: nowMs, share: 1 / wishes.length }));
/** So many orders until the slots close. */
const rateFor = (orders: number, network: readonly ChannelRoom[]) =>
  orders / (network[0]!.slots[0]!.endMs - nowMs);

const pricesFor = (wishes: readonly Wish[], orders: number, network: readonly ChannelRoom[]) => {
  const expected = expectDemand({ seen: seenNow(wishes), perMs: rateFor(orders, network) }, network, ahead);
  if (expected === null) return null;
  const prices = shadowPrices(expected.problem, { deadlineMs: Number.POSITIVE_INFINITY, now: () => 0 });
  return { expected, prices, bySlot: slotPrices(expected, prices) };
};

test("while everyone's best has room for all that is expected, nothing has a price and nothing is solved", () => {
  const network = [kitchen("a", 0, 10), kitchen("b", 10, 10)];
  assert.equal(pricesFor([wish()], 9, network), null);
  assert.notEqual(pricesFor([wish()], 12, network), null);
});

test("a unit that will be short costs what the next best costs those who must do without it", () => {
  const network = [kitchen("a", 0, 10), kitchen("b", 10, 100)];
  const { bySlot } = pricesFor([wish()], 30, network)!;
  const [near, far] = evaluate(wish(), network, nowMs).candidates;
  const price = bySlot.get(near!.slot.id)!;
  const detour = far!.penalty - near!.penalty;
  assert.ok(Math.abs(price - detour) < 0.05 * detour, `${price} is not ${detour}`);
  assert.ok((bySlot.get(far!.slot.id) ?? 0) < 0.05 * detour);
});

test("a price counts by unit: who takes two pays twice, and a decision still goes to the least penalty", () => {
  const network = [kitchen("a", 0, 100), kitchen("b", 10, 100)];
  const slotId = network[0]!.slots[0]!.id;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (units, price) => {
        const prices = new Map([[slotId, price]]);
        const asked = wish({ units });
        const plain = evaluate(asked, network, nowMs).candidates;
        const priced = evaluate(asked, network, nowMs, undefined, prices).candidates;
        const of = (list: typeof plain, id: string) => list.find(({ channel }) => channel.id === id)!;
        assert.ok(Math.abs(of(priced, "a").penalty - of(plain, "a").penalty - units * price) < 1e-12);
        assert.equal(of(priced, "b").penalty, of(plain, "b").penalty);
        const [answer] = route([asked], network, { method: "weighted", nowMs, turn: { next: 0 }, prices });
        assert.ok(answer!.kind === "route");
        assert.equal(answer!.route.candidate.penalty, Math.min(...priced.map(({ penalty }) => penalty)));
      },
    ),
  );
});

test("steered early orders leave room to those who need it more: cheaper in sum than first come, first served", () => {
  // Half live between the kitchens and don't mind; half live beside the small one. The undecided come first.
  const undecided = Array.from({ length: 10 }, () => wish({ location: east(4.9) }));
  const beside = Array.from({ length: 10 }, () => wish({ location: east(0) }));
  const total = (steered: boolean) => {
    const network = [kitchen("small", 0, 10), kitchen("large", 10, 100)];
    const prices = steered ? pricesFor([...undecided, ...beside], 20, network)!.bySlot : undefined;
    return [...undecided, ...beside].reduce((sum, one) => {
      const options = { method: "weighted" as const, nowMs, turn: { next: 0 } };
      const [answer] = route([one], network, prices ? { ...options, prices } : options);
      assert.ok(answer!.kind === "route");
      const { slot, penalty, price } = answer!.route.candidate;
      slot.reserved += one.units;
      return sum + penalty - price;
    }, 0);
  };
  assert.ok(total(true) < 0.7 * total(false), `${total(true)} against ${total(false)}`);
});

test("prices are finite, never negative, and the same again from a warm start, whatever is asked for", () => {
  const kitchens = fc.array(
    fc.record({ km: fc.integer({ min: 0, max: 40 }), sellable: fc.integer({ min: 0, max: 20 }) }),
    { minLength: 1, maxLength: 5 },
  );
  const wishes = fc.array(
    fc.record({ km: fc.integer({ min: 0, max: 40 }), units: fc.integer({ min: 1, max: 4 }) }),
    { minLength: 1, maxLength: 10 },
  );
  fc.assert(
    fc.property(kitchens, wishes, fc.integer({ min: 1, max: 200 }), (places, asked, orders) => {
      const network = places.map(({ km, sellable }, index) => kitchen(`k${index}`, km, sellable));
      const found = pricesFor(
        asked.map(({ km, units }) => wish({ location: east(km), units, policy: defaultPolicy })),
        orders,
        network,
      );
      if (found === null) return;
      assert.ok(found.expected.problem.orders <= ahead.maxRows);
      for (const price of found.prices) assert.ok(Number.isFinite(price) && price >= 0);
      const again = warmStart(found.expected, found.bySlot);
      for (const [index, price] of again.entries()) assert.ok(Math.abs(price - found.prices[index]!) < 1e-9);
    }),
    { numRuns: 50 },
  );
});

test("a steady stream's rate is what it is, and what ended long ago is forgotten", () => {
  const memoryMs = 60_000;
  const demand = createRecentDemand({ maxSample: 50, memoryMs, random: () => 0.5 });
  let at = 0;
  for (; at < 300_000; at += 1_000) demand.note([wish()], at);
  const { seen, perMs } = demand.recent(at);
  assert.ok(Math.abs(perMs - 0.001) < 0.00003, `${perMs}`);
  assert.equal(seen.length, 50);
  assert.ok(
    seen.every(({ seenMs }) => seenMs >= at - 51_000),
    "with the same chance for all, the latest are kept",
  );
  assert.ok(Math.abs(seen.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
  assert.ok(demand.recent(at + 20 * memoryMs).perMs < 1e-9);
});

test("the last prices stay when a solve fails, and go when nothing is short any more", async () => {
  const network = [kitchen("a", 0, 1), kitchen("b", 10, 100)];
  let at = nowMs;
  let fails = false;
  const steerer = createSteerer({
    clock: { nowMs: () => at, after: () => () => undefined },
    network: () => network,
    findPrices: async (problem, settings) => {
      if (fails) throw new Error("the worker is gone");
      return shadowPrices(problem, { ...settings, now: () => 0 });
    },
    random: () => 0.5,
    onError: () => undefined,
    everyMs: 1_000,
  });
  for (let index = 0; index < 20; index += 1) {
    at += 60_000;
    steerer.note([wish()]);
  }
  await steerer.refresh();
  const prices = steerer.prices();
  assert.ok(prices !== undefined && prices.size > 0);
  fails = true;
  await assert.rejects(steerer.refresh());
  assert.equal(steerer.prices(), prices);
  network[0] = kitchen("a", 0, 1_000);
  await steerer.refresh();
  assert.equal(steerer.prices(), undefined);
});

test("a decision keeps what room cost, and says that it was why; where nothing is short it says nothing of it", () => {
  const network = [kitchen("a", 0, 100), kitchen("b", 10, 100)];
  const options = { method: "weighted" as const, nowMs, turn: { next: 0 } };
  const decisionOf = (prices?: Map<string, number>) => {
    const [answer] = route([wish()], network, prices ? { ...options, prices } : options);
    return explain(answer!.kind === "route" ? answer!.route.decision : assert.fail(), () => undefined);
  };
  const plain = decisionOf();
  assert.equal(plain.chosen?.channelId, "a");
  assert.ok(plain.candidates.every((one) => !("price" in one)));
  const priced = decisionOf(new Map([[network[0]!.slots[0]!.id, 2]]));
  assert.equal(priced.chosen?.channelId, "b");
  const dear = priced.candidates.find(({ channelId }) => channelId === "a")!;
  assert.equal(dear.price, 2);
  assert.match(dear.why, /needed more by orders that are expected/);
});
