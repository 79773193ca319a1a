import type { Options } from "./options.ts";
import { emptyPlan, hasRoom, type Plan, take } from "./plan.ts";

/**
 * Each order takes the cheapest of its options that has room, those that lose most by not having their first choice before
 * the others (regret: second cheapest less cheapest; Martello & Toth 1981). With costs that have capacity charged, this is what makes
 * a plan of prices: most orders have one clear choice, and those that are nearly indifferent fill what is left.
 *
 * `cost`: by option; what is compared.
 */
export function byRegret(options: Options, cost: Float64Array): Plan {
  const { plan, queue } = atCosts(options, cost);
  for (const order of queue) takeCheapest(options, plan, order, options.cost); // who found no room that is worth its price
  return plan;
}

/** The same, but room that nobody finds worth its price is left for orders to come. */
export const byRegretAtPrices = (options: Options, cost: Float64Array): Plan => atCosts(options, cost).plan;

function atCosts(options: Options, cost: Float64Array): { plan: Plan; queue: Int32Array } {
  const { start } = options;
  const { orders } = options.problem;
  const regret = new Float64Array(orders);
  for (let order = 0; order < orders; order += 1) {
    let first = Number.POSITIVE_INFINITY;
    let second = Number.POSITIVE_INFINITY;
    for (let o = start[order]!; o < start[order + 1]!; o += 1) {
      const price = cost[o]!;
      if (price < first) {
        second = first;
        first = price;
      } else if (price < second) second = price;
    }
    regret[order] = second - first; // Infinity where there is no choice
  }
  const queue = Int32Array.from(regret.keys()).sort((a, b) =>
    regret[b] === regret[a] ? a - b : regret[b]! - regret[a]!,
  );
  const plan = emptyPlan(options);
  for (const order of queue) takeCheapest(options, plan, order, cost);
  return { plan, queue };
}

/** The cheapest option with room; an order that is served stays where it is. */
function takeCheapest(options: Options, plan: Plan, order: number, cost: Float64Array): void {
  const last = options.start[order + 1]! - 1;
  if (plan.choice[order] !== last) return;
  let best = last;
  for (let o = options.start[order]!; o < last; o += 1) {
    if (cost[o]! < cost[best]! && hasRoom(options, plan.room, o)) best = o;
  }
  plan.choice[order] = best;
  take(options, plan.room, best, 1);
}
