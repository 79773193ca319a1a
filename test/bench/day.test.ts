import assert from "node:assert/strict";
import { test } from "node:test";
import { methods, routeDay } from "../../bench/day/methods.ts";
import { playDay } from "../../bench/day/play.ts";
import { seeded } from "../../bench/mix.ts";
import { clusterPlaces, kitchenCapacity, slotMinutes } from "../../src/demo/kitchens.ts";
import type { Day } from "../../src/demo/mdrp.ts";

/** Two hours of a small town: most customers live around one of its two centres. */
function town(seed: number): Day {
  const random = seeded(seed);
  const at = (x: number, spread: number) => ({
    x: x + spread * (random() - 0.5),
    y: spread * (random() - 0.5),
  });
  return {
    name: `town ${seed}`,
    orders: Array.from({ length: 240 }, (_, index) => {
      const placedAt = 600 + index / 2;
      return {
        name: `o${index}`,
        ...at(random() < 0.7 ? 0 : 8_000, 6_000),
        placedAt,
        readyAt: placedAt + 12,
      };
    }),
    restaurants: Array.from({ length: 40 }, (_, index) => ({ name: `r${index}`, ...at(4_000, 14_000) })),
    couriers: Array.from({ length: 60 }, (_, index) => ({
      name: `c${index}`,
      ...at(4_000, 9_000),
      onAt: 580,
      offAt: 800,
    })),
    parameters: {
      metersPerMinute: 320,
      pickupMinutes: 4,
      dropoffMinutes: 4,
      targetClickToDoorMinutes: 40,
      maxClickToDoorMinutes: 90,
    },
  };
}

test("no kitchen takes more than it can in a quarter hour, and who is nearest only counts where limits don't", async () => {
  const day = town(1);
  const kitchens = clusterPlaces(day.restaurants, 8, 1);
  const capacity = kitchenCapacity(day.orders, kitchens.length);
  for (const method of methods) {
    const routed = await routeDay(method, { day, kitchens, capacity, seed: 1 });
    assert.equal(routed.length, day.orders.length);
    const taken = new Map<string, number>();
    for (const [index, kitchen] of routed.entries()) {
      assert.notEqual(kitchen, null, `${method}: order ${index} went nowhere`);
      const key = `${kitchen}/${Math.floor(day.orders[index]!.placedAt / slotMinutes)}`;
      taken.set(key, (taken.get(key) ?? 0) + 1);
    }
    const most = Math.max(...taken.values());
    if (method === "nearest") assert.ok(most > capacity, "the limits never bind, so this town tests nothing");
    else assert.ok(most <= capacity, `${method}: ${most} of ${capacity}`);
  }
});

test("the same day with the same seed comes out the same, and its figures fit together", async () => {
  const [one, other] = [await playDay(town(2), 7), await playDay(town(2), 7)];
  assert.deepEqual(one, other);
  const { roundRobin, nearest, greedy, ours } = one.outcomes;
  for (const { mean, p95, changeable, meanOfAll, undelivered } of [roundRobin, nearest, greedy, ours]) {
    assert.ok(p95 >= mean && meanOfAll >= mean);
    assert.ok(
      undelivered > 0 || Math.abs(mean - changeable - 12 - 8) < 1e-9,
      "preparation and service are 20 minutes",
    );
  }
  assert.ok(nearest.mean < greedy.mean && greedy.mean < roundRobin.mean && ours.mean < roundRobin.mean);
});
