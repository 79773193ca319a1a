import type { AssignmentProblem, AssignmentSolution } from "../problem.ts";
import { type Random, seeded } from "../random.ts";
import { createSearch, explore, isPruned, offer, offerRelaxed, type Search } from "./branch-and-bound.ts";
import { greedy } from "./greedy.ts";
import { repair, searchNeighbourhood } from "./improve.ts";
import { ascend, fix } from "./lagrangian.ts";
import { type Model, toModel } from "./model.ts";
import { copyNode, type Node, rootNode } from "./node.ts";
import { type Shortage, shortages } from "./shortage.ts";

export interface GapOptions {
  /** From the call; 0: the greedy answer. It is looked at between steps of some milliseconds. */
  deadlineMs: number;
  seed: number;
  /** A clock in milliseconds. */
  now(): number;
}

export interface GapSolution extends AssignmentSolution {
  /** Limits that are short; empty unless infeasible, and also when it took a search to see that. */
  shortages: readonly Shortage[];
}

/**
 * Assigns orders to channels, precisely: for up to some 200 orders usually with a proof, beyond 2,000 use another solver. Anytime; the same seed
 * and problem take the same way, as far as the clock lets them (parts of it end by shares of the deadline). Orders that may stay unserved (a finite `unservedCost`) are -1 then;
 * where nothing was found all are. Throws a RangeError for numbers that mean nothing (NaN, negative use or capacity).
 *
 * Greedy by regret; a Lagrangian bound with knapsacks as subproblems, whose solutions are repaired and polished by tabu search; then in
 * turns a depth-first branch and bound, which fixes variables by the bound, and large neighbourhoods searched by the same.
 */
export function solveGap(problem: AssignmentProblem, options: GapOptions): GapSolution {
  const { deadlineMs, seed, now } = options;
  const endsAt = now() + deadlineMs;
  const model = toModel(problem);
  const search = createSearch(model, () => now() >= endsAt);
  const short = shortages(model);
  if (short.length > 0) return answer(search, Number.POSITIVE_INFINITY, "shortage", short);
  const start = greedy(model);
  if (start.feasible) offer(search, start.assignment);
  let bound = cheapestEach(model);
  if (search.outOfTime() || isPruned(search, bound)) return answer(search, bound, "greedy");
  const random = seeded(seed);
  const root = rootNode(model);
  bound = Math.max(
    bound,
    raiseBound(search, root, random, () => endsAt - now() < deadlineMs * (1 - rootShare)),
  );
  if (isPruned(search, bound) || search.outOfTime()) return answer(search, bound, "lagrangian");
  if (fix(model, root, search.relaxation, search.objective) < 0)
    return answer(search, search.objective, "lagrangian");
  bound = searchInTurns(search, root, bound, random, () => endsAt - now());
  return answer(search, bound, "branch_and_bound");
}

/** Every order at its cheapest: what holds before anything else is known. */
function cheapestEach({ jobs, agents, cost }: Model): number {
  let sum = 0;
  for (let job = 0; job < jobs; job += 1) {
    let least = Number.POSITIVE_INFINITY;
    for (let agent = 0; agent < agents; agent += 1) least = Math.min(least, cost[job * agents + agent]!);
    sum += least;
  }
  return sum;
}

const stepsBetweenRepairs = 20;
/** Of the time, what the root's bound gets at most: a first way down the tree finds more than further steps do. */
const rootShare = 0.3;

function raiseBound(search: Search, root: Node, random: Random, isLate: () => boolean): number {
  let step = 0;
  const bound = ascend(search.model, root, search.relaxation, {
    steps: 600,
    length: 1.5,
    patience: 15,
    target: () => search.objective,
    isEnough: (best) => {
      offerRelaxed(search, root);
      step += 1;
      if (step % stepsBetweenRepairs === 0 && !isPruned(search, best)) repair(search, root, random);
      return isPruned(search, best) || isLate();
    },
  });
  if (!isPruned(search, bound)) repair(search, root, random);
  return bound;
}

/** Beyond it, nodes of all depths would take more than 128 MB: then only neighbourhoods are searched. */
const maxExploredCells = 2 ** 27;
/** Of the time that is left, what neighbourhoods get before the tree is gone through again. */
const neighbourhoodShare = 0.15;
const neighbourhoodsInVain = 60;

/**
 * Goes through the tree, first with as many nodes as it takes to get to leaves, then with more; every second time below half the distance
 * from bound to objective only, which either finds something much better or, gone through, raises the bound to there.
 */
function searchInTurns(
  search: Search,
  root: Node,
  from: number,
  random: Random,
  timeLeft: () => number,
): number {
  const { model } = search;
  const node = rootNode(model);
  const reach = { share: 0.3, agentsNext: true };
  const whole = model.jobs * model.jobs * model.agents <= maxExploredCells;
  let bound = from;
  let nodes = model.jobs + 50;
  for (let turn = 0; !search.outOfTime(); turn += 1) {
    if (whole) {
      search.cutoff = turn % 2 === 0 || !search.assignment ? search.objective : halfway(search, bound);
      search.nodesLeft = nodes;
      const open = explore(search, copyNode(root, node));
      bound = Math.max(bound, Math.min(open, search.cutoff));
      search.cutoff = search.objective;
      if (turn % 2 === 1 || !search.assignment) nodes *= 2;
      if (isPruned(search, bound)) return bound;
    } else repair(search, root, random);
    const until = timeLeft() * (1 - neighbourhoodShare);
    for (let vain = 0; vain < neighbourhoodsInVain && timeLeft() > until; vain += 1)
      if (searchNeighbourhood(search, root, random, reach)) vain = 0;
    if (fix(model, root, search.relaxation, search.objective) < 0) return search.objective;
  }
  return bound;
}

function halfway({ model, objective }: Search, bound: number): number {
  if (!model.integral) return (bound + objective) / 2;
  const low = Math.ceil(bound);
  return Math.min(objective, Math.max(low + 1, Math.round((low + objective) / 2)));
}

function answer(search: Search, bound: number, method: string, short: readonly Shortage[] = []): GapSolution {
  const { model, objective, assignment } = search;
  const proven = isPruned({ ...search, cutoff: objective }, bound);
  if (!assignment) {
    return {
      assignment: new Int32Array(model.jobs).fill(-1),
      objective: Number.POSITIVE_INFINITY,
      bound: proven ? Number.POSITIVE_INFINITY : valid(model, bound),
      status: proven ? "infeasible" : "unknown",
      method,
      shortages: short,
    };
  }
  const unserved = model.unserved ? model.agents - 1 : -1;
  return {
    assignment: assignment.map((agent) => (agent === unserved ? -1 : agent)),
    objective,
    bound: Math.min(objective, valid(model, bound)),
    status: proven ? "optimal" : "feasible",
    method,
    shortages: short,
  };
}

/** Rounded up where costs are whole; else less what rounding errors may have added. */
const valid = ({ integral, step }: Model, bound: number): number =>
  integral ? Math.ceil(bound) : bound - step;
