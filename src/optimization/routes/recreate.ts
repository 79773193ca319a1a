import { findSpot, Spot } from "./insertion.ts";
import { type Columns, none, type Plan } from "./plan.ts";

/** Chance to overlook a place while searching. */
export const searchBlink = 0.01;

/** Puts stops back, each at its cheapest place, in an order drawn by lot; answers how many found none (they stay in front of `stops`). */
export type Recreate = (plan: Plan, stops: Int32Array, count: number, vehicles: number) => number;

/** Greedy insertion with blinks (Christiaens & Vanden Berghe 2020), with their orders and weights for time windows. */
export function greedyInsertion(columns: Columns, random: () => number, blink: number): Recreate {
  const { orders, total } = insertionOrders(columns);
  const keys = new Float64Array(columns.stops);
  const spot = new Spot();
  return (plan, stops, count, vehicles) => {
    let draw = random() * total;
    let order = orders[0]!;
    for (order of orders) {
      draw -= order.weight;
      if (draw < 0) break;
    }
    for (let index = 0; index < count; index++) {
      const stop = stops[index]!;
      keys[stop] = order.keys === null ? random() : order.keys[stop]!;
    }
    sortBy(stops, count, keys);
    let failed = 0;
    for (let index = 0; index < count; index++) {
      const stop = stops[index]!;
      findSpot(plan, stop, vehicles, random, blink, spot);
      if (spot.route === none) stops[failed++] = stop;
      else plan.insert(stop, spot.route, spot.before);
    }
    return failed;
  };
}

interface InsertionOrder {
  weight: number;
  /** null: at random. */
  keys: Float64Array | null;
}

function insertionOrders(columns: Columns): { orders: InsertionOrder[]; total: number } {
  const { stops, places, lengths, pickup, ready, due, units } = columns;
  const by = (key: (stop: number) => number) => Float64Array.from({ length: stops }, (_, stop) => key(stop));
  const away = (stop: number) => lengths[(stops + pickup[stop]!) * places + stop]!;
  const orders: InsertionOrder[] = [
    { weight: 4, keys: null },
    { weight: 4, keys: by((stop) => -units[stop]!) },
    { weight: 2, keys: by((stop) => -away(stop)) },
    { weight: 1, keys: by(away) },
    { weight: 2, keys: by((stop) => due[stop]! - ready[stop]!) },
    { weight: 2, keys: by((stop) => ready[stop]!) },
    { weight: 2, keys: by((stop) => -due[stop]!) },
  ];
  return { orders, total: orders.reduce((sum, { weight }) => sum + weight, 0) };
}

/** Insertion sort: there are about ten. */
function sortBy(items: Int32Array, count: number, keys: Float64Array): void {
  if (count > 64) {
    items.subarray(0, count).sort((a, b) => keys[a]! - keys[b]!);
    return;
  }
  for (let index = 1; index < count; index++) {
    const item = items[index]!;
    const key = keys[item]!;
    let hole = index;
    while (hole > 0 && keys[items[hole - 1]!]! > key) {
      items[hole] = items[hole - 1]!;
      hole -= 1;
    }
    items[hole] = item;
  }
}
