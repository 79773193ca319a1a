import { chargedCosts } from "./dual.ts";
import type { Options } from "./options.ts";
import { copyPlan, costOf, emptyPlan, hasRoom, type Plan, take } from "./plan.ts";

const maxNodes = 200_000;

/**
 * Searches through everything that could cost less than `below`. By the dual bound, a plan with an option whose charged cost is
 * `r` above its order's cheapest costs at least bound + Σ r: so options with r ≥ below - bound fall away, most orders are left with one,
 * and the others are tried in depth, most decided first, as long as Σ r stays under it.
 *
 * Answers the cheapest plan found below (null: none) and whether the search is `complete`: then no other is cheaper.
 */
export function searchBelow(
  options: Options,
  below: number,
  priced: { prices: Float64Array; bound: number },
  timeLeft: () => number,
): { plan: Plan | null; complete: boolean } {
  const slack = below - priced.bound;
  if (slack <= 0) return { plan: null, complete: true };
  const above = aboveCheapest(options, priced.prices);
  const mustServe = options.problem.unservedCost === Number.POSITIVE_INFINITY;
  const open: { order: number; choices: number[] }[] = [];
  const plan = emptyPlan(options);
  for (let order = 0; order < options.problem.orders; order += 1) {
    const choices: number[] = [];
    const end = options.start[order + 1]! - (mustServe ? 1 : 0);
    for (let o = options.start[order]!; o < end; o += 1) if (above[o]! < slack) choices.push(o);
    if (choices.length === 0) return { plan: null, complete: true };
    if (choices.length > 1) open.push({ order, choices: choices.sort((a, b) => above[a]! - above[b]!) });
    else if (hasRoom(options, plan.room, choices[0]!)) put(options, plan, order, choices[0]!);
    else return { plan: null, complete: true };
  }
  open.sort((a, b) => above[b.choices[1]!]! - above[a.choices[1]!]!);
  return inDepth(options, plan, open, { above, slack, below, timeLeft });
}

interface Search {
  above: Float64Array;
  slack: number;
  below: number;
  timeLeft: () => number;
}

function inDepth(
  options: Options,
  plan: Plan,
  open: readonly { order: number; choices: readonly number[] }[],
  { above, slack, below, timeLeft }: Search,
): { plan: Plan | null; complete: boolean } {
  const found = { plan: null as Plan | null, cost: below };
  let nodes = 0;
  /** Answers false when it had to stop. */
  const visit = (depth: number, sofar: number): boolean => {
    nodes += 1;
    if (nodes > maxNodes || (nodes % 512 === 0 && timeLeft() <= 0)) return false;
    const next = open[depth];
    if (next === undefined) {
      const cost = costOf(options, plan);
      if (cost < found.cost) Object.assign(found, { cost, plan: copyPlan(plan) });
      return true;
    }
    const none = plan.choice[next.order]!;
    for (const option of next.choices) {
      const loss = sofar + above[option]!;
      if (loss >= slack - (below - found.cost)) break; // the others lose more
      if (!hasRoom(options, plan.room, option)) continue;
      put(options, plan, next.order, option);
      const done = visit(depth + 1, loss);
      take(options, plan.room, option, -1);
      plan.choice[next.order] = none;
      if (!done) return false;
    }
    return true;
  };
  const complete = open.length <= maxOpen && visit(0, 0);
  return { plan: found.plan, complete };
}

/** Orders that are open; a search through more would not end. */
const maxOpen = 150;

function put(options: Options, plan: Plan, order: number, option: number): void {
  plan.choice[order] = option;
  take(options, plan.room, option, 1);
}

/** Of each option, its charged cost less that of its order's cheapest. */
function aboveCheapest(options: Options, prices: Float64Array): Float64Array {
  const above = chargedCosts(options, prices);
  const mustServe = options.problem.unservedCost === Number.POSITIVE_INFINITY;
  for (let order = 0; order < options.problem.orders; order += 1) {
    const from = options.start[order]!;
    const to = options.start[order + 1]!;
    let least = Number.POSITIVE_INFINITY;
    for (let o = from; o < to - (mustServe ? 1 : 0); o += 1) least = Math.min(least, above[o]!);
    for (let o = from; o < to; o += 1) above[o] = above[o]! - least;
  }
  return above;
}
