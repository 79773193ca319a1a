import type { Options } from "./options.ts";

/**
 * The Lagrangian dual: capacities are let go and charged by prices instead, so that each order takes its cheapest option alone.
 *
 *   q(λ) = Σ_j min(unserved, min_k cost_jk + λ_k · use_jk) - λ · capacity  ≤  the cost of every solution, for every λ ≥ 0
 *
 * (Fisher 1981, "The Lagrangian Relaxation Method for Solving Integer Programming Problems"; its best value is that of the
 * linear relaxation.) Infinity where an order has no option at all.
 */
export function dualBound(options: Options, prices: Float64Array): number {
  const { problem, capacity, start, channel, cost, use } = options;
  const { orders, resources, unservedCost } = problem;
  let sum = 0;
  for (let order = 0; order < orders; order += 1) {
    let least = unservedCost; // of its last option, the true price
    for (let o = start[order]!; o < start[order + 1]! - 1; o += 1) {
      const price = charged(cost[o]!, prices, channel[o]! * resources, use, o * resources, resources);
      if (price < least) least = price;
    }
    sum += least;
  }
  for (let i = 0; i < prices.length; i += 1) sum -= prices[i]! * capacity[i]!;
  return sum;
}

const charged = (
  cost: number,
  prices: Float64Array,
  limit: number,
  use: Int32Array,
  from: number,
  resources: number,
): number => {
  let sum = cost;
  for (let r = 0; r < resources; r += 1) sum += prices[limit + r]! * use[from + r]!;
  return sum;
};

/**
 * Whether it is proven that not all can be served: their least priced use is above the priced capacity (Farkas' lemma). Asked only where all must be.
 */
export function provesInfeasible(
  options: Options,
  { prices, bound }: { prices: Float64Array; bound: number },
): boolean {
  if (bound > options.mostServed) return true;
  if (options.mostServed === Number.POSITIVE_INFINITY) return false;
  const { problem, start, channel, use, capacity } = options;
  const { resources } = problem;
  let short = 0;
  let most = 0;
  for (let order = 0; order < problem.orders; order += 1) {
    let least = Number.POSITIVE_INFINITY;
    for (let o = start[order]!; o < start[order + 1]! - 1; o += 1) {
      least = Math.min(least, charged(0, prices, channel[o]! * resources, use, o * resources, resources));
    }
    short += least;
  }
  for (let i = 0; i < prices.length; i += 1) most += prices[i]! * capacity[i]!;
  return short > most * (1 + 1e-9) + 1e-9;
}

/** Each option's cost with capacity charged. */
export function chargedCosts(options: Options, prices: Float64Array): Float64Array {
  const { problem, channel, cost, use } = options;
  const { resources } = problem;
  const all = new Float64Array(cost.length);
  for (let o = 0; o < all.length; o += 1) {
    all[o] = charged(cost[o]!, prices, channel[o]! * resources, use, o * resources, resources);
  }
  return all;
}
