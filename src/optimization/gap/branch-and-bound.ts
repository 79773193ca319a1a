import { ascend, createRelaxation, fix, isWhole, type Relaxation, relax } from "./lagrangian.ts";
import type { Model } from "./model.ts";
import { copyNode, type Node, place, rootNode } from "./node.ts";

/** The best assignment known. */
export interface Incumbent {
  /** Infinity (or what must be beaten) until one is found. */
  objective: number;
  assignment: Int32Array | null;
}

export interface Search {
  model: Model;
  incumbent: Incumbent;
  relaxation: Relaxation;
  /** Nodes by depth, made when first needed. */
  depths: Node[];
  nodesLeft: number;
  outOfTime(): boolean;
}

export const createSearch = (model: Model, incumbent: Incumbent, outOfTime: () => boolean): Search => ({
  model,
  incumbent,
  relaxation: createRelaxation(model),
  depths: [],
  nodesLeft: Number.POSITIVE_INFINITY,
  outOfTime,
});

/** Whether nothing with this bound can be better than what is known. */
export const pruned = ({ model, incumbent }: Search, bound: number): boolean => bound > incumbent.objective - model.step;

/** Keeps the assignment when it is better. Whoever calls has seen that it is feasible. */
export function offer({ model, incumbent }: Search, assignment: ArrayLike<number>): void {
  let objective = 0;
  for (let job = 0; job < model.jobs; job += 1) objective += model.cost[job * model.agents + assignment[job]!]!;
  if (objective > incumbent.objective - model.step) return;
  incumbent.objective = objective;
  incumbent.assignment = Int32Array.from(assignment);
}

/** Offers the relaxation's solution when it is one of the problem. */
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

const maxRounds = 4;
const ascentOfNode = { steps: 24, length: 0.5, patience: 4 };

/**
 * Depth first through everything below the node that may be better than the incumbent (which it improves). Returns a bound on what was
 * not looked at: at least the incumbent's objective when all was.
 */
export function explore(search: Search, node: Node, depth = 0): number {
  search.nodesLeft -= 1;
  const bound = tighten(search, node);
  if (pruned(search, bound)) return Number.POSITIVE_INFINITY;
  if (node.openCount === 0) {
    offer(search, node.placed);
    return Number.POSITIVE_INFINITY;
  }
  if (search.nodesLeft <= 0 || search.outOfTime()) return bound;
  const { agents } = search.model;
  const job = branchingJob(search, node);
  const children = childrenOf(search, node, job);
  let open = Number.POSITIVE_INFINITY;
  for (const [at, { agent, bound: childBound }] of children.entries()) {
    if (pruned(search, childBound)) break;
    if (search.nodesLeft <= 0 || search.outOfTime()) return Math.min(open, childBound);
    const child = copyNode(node, nodeAt(search, depth));
    child.alive.fill(0, job * agents, (job + 1) * agents);
    if (!place(search.model, child, job, agent)) continue;
    open = Math.min(open, Math.max(childBound, explore(search, child, depth + 1)));
    if (at === children.length - 1) break;
  }
  return open;
}

function nodeAt({ model, depths }: Search, depth: number): Node {
  depths[depth] ??= rootNode(model);
  return depths[depth];
}

/** Raises the node's bound and fixes what it can, in turns. Infinity: nothing better is in it. */
function tighten(search: Search, node: Node): number {
  const { model, relaxation, incumbent } = search;
  let bound = node.cost;
  for (let round = 0; round < maxRounds && node.openCount > 0; round += 1) {
    bound = ascend(model, node, relaxation, {
      ...ascentOfNode,
      target: incumbent.objective,
      seen: (now, best) => {
        offerRelaxed(search, node);
        void now;
        return pruned(search, best);
      },
    });
    if (pruned(search, bound)) return Number.POSITIVE_INFINITY;
    const fixed = fix(model, node, relaxation, incumbent.objective);
    if (fixed < 0) return Number.POSITIVE_INFINITY;
    if (fixed * 10 < node.openCount) break;
  }
  // What the branching looks at: the bounds of pairs, at the last multipliers.
  if (node.openCount > 0) relax(model, node, relaxation);
  return node.openCount === 0 ? node.cost : bound;
}

/** The job whose second cheapest child has the highest bound: little is left beside its best. Then the one with the fewest agents. */
function branchingJob({ model: { agents }, relaxation: { bounds }, incumbent }: Search, node: Node): number {
  let chosen = node.open[0]!;
  let best = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < node.openCount; at += 1) {
    const job = node.open[at]!;
    let score = 0;
    let low = Number.POSITIVE_INFINITY;
    let second = Number.POSITIVE_INFINITY;
    let count = 0;
    for (let agent = 0; agent < agents; agent += 1) {
      const pair = job * agents + agent;
      if (!node.alive[pair]) continue;
      count += 1;
      if (bounds[pair]! < low) {
        second = low;
        low = bounds[pair]!;
      } else if (bounds[pair]! < second) second = bounds[pair]!;
    }
    score = Math.min(second, incumbent.objective) * 1 + low - count * 1e-3;
    if (score > best) {
      best = score;
      chosen = job;
    }
  }
  return chosen;
}

function childrenOf({ model: { agents }, relaxation: { bounds } }: Search, node: Node, job: number): { agent: number; bound: number }[] {
  const children: { agent: number; bound: number }[] = [];
  for (let agent = 0; agent < agents; agent += 1) {
    const pair = job * agents + agent;
    if (node.alive[pair]) children.push({ agent, bound: bounds[pair]! });
  }
  return children.sort((a, b) => a.bound - b.bound);
}
