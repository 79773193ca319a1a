import { type Ascent, ascend, createRelaxation, fix, isWhole, type Relaxation } from "./lagrangian.ts";
import type { Model } from "./model.ts";
import { copyNode, type Node, place, rootNode } from "./node.ts";

/** What searches share: the best assignment known, and what they may still spend. */
export interface Search {
  model: Model;
  /** Of the best assignment known; above every assignment's until one is. */
  objective: number;
  /** Agent by job. */
  assignment: Int32Array | null;
  /** Only what is below it, by the model's step, is looked for. At most the objective; less for a search that bets on it. */
  cutoff: number;
  nodesLeft: number;
  outOfTime(): boolean;
  relaxation: Relaxation;
  /** Nodes by depth, made when first needed. */
  depths: Node[];
}

export function createSearch(model: Model, outOfTime: () => boolean): Search {
  const objective = model.ceiling + 2 * model.step;
  return {
    model,
    objective,
    assignment: null,
    cutoff: objective,
    nodesLeft: 0,
    outOfTime,
    relaxation: createRelaxation(model),
    depths: [],
  };
}

/** Whether nothing with this bound can be better than the cutoff. */
export const isPruned = ({ model, cutoff }: Search, bound: number): boolean => bound > cutoff - model.step;

/** Keeps a feasible assignment when it is the best. */
export function offer(search: Search, assignment: Int32Array): void {
  const { model } = search;
  let objective = 0;
  for (let job = 0; job < model.jobs; job += 1)
    objective += model.cost[job * model.agents + assignment[job]!]!;
  if (objective > search.objective - model.step) return;
  search.objective = objective;
  search.assignment = Int32Array.from(assignment);
  search.cutoff = Math.min(search.cutoff, objective);
}

/** Offers the relaxation's solution when it solves the problem itself. */
export function offerRelaxed(search: Search, node: Node): void {
  const { model, relaxation } = search;
  if (!isWhole(node, relaxation)) return;
  const { agents, resources, use } = model;
  const assignment = Int32Array.from(node.placed);
  const room = Int32Array.from(node.room);
  for (let at = 0; at < node.openCount; at += 1) {
    const job = node.open[at]!;
    const agent = relaxation.taken.indexOf(1, job * agents) - job * agents;
    assignment[job] = agent;
    for (let resource = 0; resource < resources; resource += 1) {
      const slot = agent * resources + resource;
      room[slot]! -= use[(job * agents + agent) * resources + resource]!;
      if (room[slot]! < 0) return;
    }
  }
  offer(search, assignment);
}

/**
 * Depth first through all of the node that may be below the cutoff, until nodes or time are used up. Improves the best assignment. Returns a
 * bound on what was not looked at; Infinity when nothing was left, and then no assignment of the node is below the cutoff as it is then.
 */
export function explore(search: Search, node: Node, depth = 0): number {
  search.nodesLeft -= 1;
  const bound = tighten(search, node);
  if (isPruned(search, bound)) return Number.POSITIVE_INFINITY;
  if (node.openCount === 0) {
    offer(search, node.placed);
    return Number.POSITIVE_INFINITY;
  }
  if (isSpent(search)) return bound;
  const { agents } = search.model;
  const job = branchingJob(search, node);
  let open = Number.POSITIVE_INFINITY;
  for (const child of childrenOf(search, node, job)) {
    if (isPruned(search, child.bound)) break;
    if (isSpent(search)) return Math.min(open, child.bound);
    search.depths[depth] ??= rootNode(search.model);
    const below = copyNode(node, search.depths[depth]);
    below.alive.fill(0, job * agents, (job + 1) * agents);
    if (!place(search.model, below, job, child.agent)) continue;
    open = Math.min(open, Math.max(child.bound, explore(search, below, depth + 1)));
  }
  return open;
}

const isSpent = (search: Search): boolean => search.nodesLeft <= 0 || search.outOfTime();

const maxRounds = 2;
/** Short: a child begins at its parent's multipliers. (24 steps prove the same in fewer nodes, and take half as long again.) */
const nodeAscent: Pick<Ascent, "steps" | "length" | "patience"> = { steps: 8, length: 0.5, patience: 3 };

/** Raises the node's bound and fixes what it can, in turns. Infinity: nothing below the cutoff is in it. */
function tighten(search: Search, node: Node): number {
  const { model, relaxation } = search;
  let bound = node.cost;
  for (let round = 0; round < maxRounds && node.openCount > 0; round += 1) {
    bound = ascend(model, node, relaxation, {
      ...nodeAscent,
      target: () => search.cutoff,
      isEnough: (best) => {
        offerRelaxed(search, node);
        return isPruned(search, best);
      },
    });
    if (isPruned(search, bound)) return Number.POSITIVE_INFINITY;
    const fixed = fix(model, node, relaxation, search.cutoff);
    if (fixed < 0) return Number.POSITIVE_INFINITY;
    if (fixed * 10 < node.openCount) break;
  }
  return node.openCount === 0 ? node.cost : bound;
}

/** The job whose two cheapest agents bound it highest, by what `fix` measured: little is left beside its best. */
function branchingJob({ model: { agents }, relaxation: { bounds }, cutoff }: Search, node: Node): number {
  let chosen = node.open[0]!;
  let best = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < node.openCount; at += 1) {
    const job = node.open[at]!;
    let least = Number.POSITIVE_INFINITY;
    let second = Number.POSITIVE_INFINITY;
    for (let agent = 0; agent < agents; agent += 1) {
      const pair = job * agents + agent;
      if (!node.alive[pair]) continue;
      if (bounds[pair]! < least) {
        second = least;
        least = bounds[pair]!;
      } else if (bounds[pair]! < second) second = bounds[pair]!;
    }
    const score = Math.min(second, cutoff) + least;
    if (score > best) {
      best = score;
      chosen = job;
    }
  }
  return chosen;
}

function childrenOf({ model: { agents }, relaxation: { bounds } }: Search, node: Node, job: number) {
  const children: { agent: number; bound: number }[] = [];
  for (let agent = 0; agent < agents; agent += 1) {
    const pair = job * agents + agent;
    if (node.alive[pair]) children.push({ agent, bound: bounds[pair]! });
  }
  return children.sort((a, b) => a.bound - b.bound);
}
