import type { AssignmentProblem, AssignmentSolution } from "../problem.ts";
import { seeded } from "../random.ts";
import { chargedCosts, provesInfeasible } from "./dual.ts";
import { byRegret } from "./greedy.ts";
import { improve } from "./improve.ts";
import { listOptions, type Options } from "./options.ts";
import { assignmentOf, costOf, emptyPlan, hasRoom, type Plan, take } from "./plan.ts";
import { findPrices, typicalSpread } from "./prices.ts";
import { searchBelow } from "./prove.ts";

export interface SolveSettings {
  /** From the call. 0: the greedy answer. */
  deadlineMs: number;
  /** Milliseconds of some clock. */
  now: () => number;
  /** Kicks of the local search at most. With it and a deadline that is far, the same problem gets the same answer. */
  maxRounds?: number;
  seed?: number;
  /** `prices` of the last solve, of the same channels and resources: they save half of the time that prices take. */
  prices?: Float64Array;
}

/** With shadow prices by channel, then resource: what one more unit there would save. 0 where nothing is short. */
export type PricedSolution = AssignmentSolution & { prices: Float64Array };

/** Share of the costs' spread within which options are near, for chains. */
const nearShare = 0.2;
const smallest = 1e-9;
/** Of the time, what is kept from prices for the plan. */
const planShare = 0.4;

/**
 * Sends each order to a channel, or leaves it unserved, at the least total cost that is found by the deadline. Each method says what it proved:
 *
 * - `best_each`: everyone's cheapest option has room. Optimal: no order can pay less than its cheapest.
 * - `regret`: no time. Cheapest with room, those first that lose most otherwise; the bound is everyone's cheapest.
 * - `lagrangian`: shadow prices of capacity (`findPrices`), a plan by regret at these prices, chains of moves (`improve`). Optimal
 *   when the bound is met; where costs are whole numbers, when less than 1 lies between.
 * - `branch_and_bound`: all that the bound leaves open was searched through. Optimal.
 */
export function solveAssignment(problem: AssignmentProblem, settings: SolveSettings): PricedSolution {
  const end = settings.now() + settings.deadlineMs;
  const timeLeft = () => end - settings.now();
  const options = listOptions(problem);
  const each = cheapestEach(options);
  if (each.plan !== null) return answer(options, each.plan, { ...each, method: "best_each" });
  if (timeLeft() <= 0) return greedy(options, each);

  const forPlan = planShare * settings.deadlineMs;
  const priced = findPrices(options, settings.prices, () => timeLeft() - forPlan);
  const first = byRegret(options, chargedCosts(options, priced.prices));
  const goal = roundUp(options, priced.bound);
  if (timeLeft() <= 0) return answer(options, first, { ...priced, bound: goal, method: "lagrangian" });
  const near = nearShare * typicalSpread(options);
  const random = seeded(settings.seed ?? 1);
  const search = (from: Plan, rounds: number) =>
    improve(options, from, priced.prices, near, { timeLeft, rounds, goal }, random);
  const plan = search(first, 0);
  if (provesInfeasible(options, priced)) {
    return answer(options, plan, { ...priced, bound: Number.POSITIVE_INFINITY, method: "lagrangian" });
  }
  const cost = servedCost(options, plan);
  const below = Math.min(options.mostServed + 1, cost - (options.whole ? 1 - smallest : 0));
  const rest = searchBelow(options, below, priced, timeLeft);
  if (rest.complete) {
    const best = rest.plan ?? plan;
    return answer(options, best, { ...priced, bound: servedCost(options, best), method: "branch_and_bound" });
  }
  const last = search(rest.plan ?? plan, settings.maxRounds ?? Number.POSITIVE_INFINITY);
  return answer(options, last, { ...priced, bound: goal, method: "lagrangian" });
}

/** The plan is null where someone's cheapest has no room; the bound holds all the same. */
function cheapestEach(options: Options): { plan: Plan | null; bound: number; prices: Float64Array } {
  const { start, cost, channel, problem } = options;
  const plan = emptyPlan(options);
  let bound = 0;
  let room = true;
  for (let order = 0; order < problem.orders; order += 1) {
    let best = start[order + 1]! - 1;
    for (let o = start[order]!; o < start[order + 1]!; o += 1) if (cost[o]! < cost[best]!) best = o;
    bound += channel[best] === problem.channels ? problem.unservedCost : cost[best]!;
    room &&= hasRoom(options, plan.room, best);
    plan.choice[order] = best;
    take(options, plan.room, best, 1);
  }
  return { plan: room ? plan : null, bound, prices: new Float64Array(options.limits) };
}

function greedy(options: Options, each: { bound: number; prices: Float64Array }): PricedSolution {
  return answer(options, byRegret(options, options.cost), { ...each, method: "regret" });
}

function servedCost(options: Options, plan: Plan): number {
  const { problem, channel } = options;
  if (problem.unservedCost === Number.POSITIVE_INFINITY) {
    for (const option of plan.choice)
      if (channel[option] === problem.channels) return Number.POSITIVE_INFINITY;
  }
  return costOf(options, plan);
}

/** Where every objective is a whole number, the least one that the bound allows. */
function roundUp(options: Options, bound: number): number {
  if (bound === Number.POSITIVE_INFINITY) return bound;
  const safe = bound - Math.abs(bound) * smallest; // sums of thousands of floating-point numbers
  return options.whole ? Math.ceil(safe - smallest) : safe;
}

function answer(
  options: Options,
  plan: Plan,
  { bound, prices, method }: { bound: number; prices: Float64Array; method: string },
): PricedSolution {
  const objective = servedCost(options, plan);
  const none = objective === Number.POSITIVE_INFINITY;
  const proven = bound >= objective - Math.abs(objective) * 2 * smallest;
  return {
    assignment: assignmentOf(options, plan),
    objective,
    bound: none ? bound : Math.min(bound, objective),
    status: none ? (bound === objective ? "infeasible" : "unknown") : proven ? "optimal" : "feasible",
    method,
    prices: prices.slice(0, options.problem.channels * options.problem.resources),
  };
}
