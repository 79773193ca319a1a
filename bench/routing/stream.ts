import { chargedCosts } from "../../src/optimization/assign/dual.ts";
import { byRegretAtPrices } from "../../src/optimization/assign/greedy.ts";
import { listOptions } from "../../src/optimization/assign/options.ts";
import { findPrices } from "../../src/optimization/assign/prices.ts";
import type { AssignmentProblem } from "../../src/optimization/problem.ts";

const batchOrders = 50;
/** The last orders seen, which stand for those to come. */
const forecastOrders = 1_500;
/** Units are counted in hundredths, so that a share of a capacity is a whole number too. */
const finer = 100;

/** What a way of routing made of a day that came in batches. */
export interface StreamResult {
  objective: number;
  served: number;
}

/**
 * The orders come 50 at a time, are routed at once and never moved. Each batch is routed by regret at bid prices, which are the shadow prices
 * of serving the orders seen so far again with a like share of what capacity is left: nothing of the future is known but how many orders come in all.
 * (Agrawal, Wang & Ye 2014, "A Dynamic Near-Optimal Algorithm for Online Linear Programming".)
 */
export function streamByPrices(problem: AssignmentProblem): StreamResult {
  const room = problem.capacity.slice();
  let prices: Float64Array | undefined;
  return inBatches(problem, (from, to) => {
    const first = Math.max(0, to - forecastOrders);
    const share = (to - first) / (problem.orders - from);
    const scaled = room.map((units) => Math.round(units * finer * share));
    const seen = slice(problem, first, to, scaled);
    const forecast = { ...seen, use: seen.use.map((units) => units * finer) };
    const found = findPrices(listOptions(forecast), prices, () => Number.POSITIVE_INFINITY).prices;
    prices = found.slice(0, room.length);
    const options = listOptions(slice(problem, from, to, room));
    const plan = byRegretAtPrices(
      options,
      chargedCosts(
        options,
        found.map((price) => price * finer),
      ),
    );
    room.set(plan.room.subarray(0, room.length));
    return Array.from(plan.choice, (option) => [options.channel[option]!, options.cost[option]!] as const);
  });
}

/** One order after another to the cheapest channel with room. */
export function streamGreedily(problem: AssignmentProblem): StreamResult {
  const room = problem.capacity.slice();
  return inBatches(problem, (from, to) => {
    const chosen: (readonly [number, number])[] = [];
    for (let order = from; order < to; order += 1) {
      const options = listOptions(slice(problem, order, order + 1, room));
      let best = options.cost.length - 1;
      for (let o = 0; o < best; o += 1) if (options.cost[o]! < options.cost[best]!) best = o;
      chosen.push([options.channel[best]!, options.cost[best]!]);
      for (let r = 0; r < problem.resources; r += 1) {
        const limit = options.channel[best]! * problem.resources + r;
        if (limit < room.length) room[limit]! -= options.use[best * problem.resources + r]!;
      }
    }
    return chosen;
  });
}

/** `route` answers channel and cost of each order of a batch; the channel after the last is for the unserved. */
function inBatches(
  problem: AssignmentProblem,
  route: (from: number, to: number) => readonly (readonly [channel: number, cost: number])[],
): StreamResult {
  const result = { objective: 0, served: 0 };
  for (let from = 0; from < problem.orders; from += batchOrders) {
    for (const [channel, cost] of route(from, Math.min(problem.orders, from + batchOrders))) {
      result.objective += cost;
      if (channel < problem.channels) result.served += 1;
    }
  }
  return result;
}

const slice = (
  problem: AssignmentProblem,
  from: number,
  to: number,
  capacity: Int32Array,
): AssignmentProblem => ({
  ...problem,
  orders: to - from,
  cost: problem.cost.subarray(from * problem.channels, to * problem.channels),
  use: problem.use.subarray(from * problem.orderStride, to * problem.orderStride),
  capacity,
});
