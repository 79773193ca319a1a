import type { Random } from "../random.ts";
import { explore, offer, type Search } from "./branch-and-bound.ts";
import { tabuSearch } from "./local-search.ts";
import { copyNode, type Node, place, rootNode } from "./node.ts";

const polishIterations = 40;

/**
 * Makes an assignment of the relaxation's solution and polishes it: a job that several agents take goes to the cheapest of them, one that
 * none takes where it costs and overloads least.
 */
export function repair(search: Search, node: Node, random: Random): void {
  const { model, relaxation } = search;
  const { jobs, agents, resources, cost, use } = model;
  const assignment = Int32Array.from(node.placed);
  const room = Int32Array.from(node.room);
  const best = (job: number, price: (pair: number, agent: number) => number): number => {
    let [chosen, least] = [-1, Number.POSITIVE_INFINITY];
    for (let agent = 0; agent < agents; agent += 1) {
      const pair = job * agents + agent;
      const each = node.alive[pair] ? price(pair, agent) : Number.POSITIVE_INFINITY;
      if (each < least) [chosen, least] = [agent, each];
    }
    return chosen;
  };
  const give = (job: number, agent: number): void => {
    assignment[job] = agent;
    for (let resource = 0; resource < resources; resource += 1)
      room[agent * resources + resource]! -= use[(job * agents + agent) * resources + resource]!;
  };
  const overload = (pair: number, agent: number): number => {
    let most = 0;
    for (let resource = 0; resource < resources; resource += 1) {
      const at = agent * resources + resource;
      most = Math.max(
        most,
        (use[pair * resources + resource]! - room[at]!) / Math.max(1, model.capacity[at]!),
      );
    }
    return most * (1 + Math.abs(model.ceiling));
  };
  for (let job = 0; job < jobs; job += 1) {
    if (assignment[job]! >= 0 || relaxation.times[job] === 0) continue;
    give(
      job,
      best(job, (pair) => (relaxation.taken[pair] ? cost[pair]! : Number.POSITIVE_INFINITY)),
    );
  }
  for (let job = 0; job < jobs; job += 1) {
    if (assignment[job]! >= 0) continue;
    const agent = best(job, (pair, each) => cost[pair]! + overload(pair, each));
    if (agent < 0) return;
    give(job, agent);
  }
  tabuSearch(model, assignment, {
    iterations: polishIterations,
    random,
    outOfTime: search.outOfTime,
    below: search.objective,
    found: (better) => offer(search, better),
  });
}

/** How much of the problem the next neighbourhood frees; grows while they are searched through in vain, and shrinks while they are not. */
export interface Reach {
  share: number;
  agentsNext: boolean;
}

const nodesOfNeighbourhood = 100;
/** Freed jobs at once, however large the problem is. */
const maxFreeJobs = 300;

/**
 * Large-neighbourhood search (Shaw 1998): frees the jobs of some agents, or some jobs anywhere, in turns, keeps the others where the best
 * assignment has them, and searches what comes of it. The root's fixings hold. Returns whether something better was found.
 */
export function searchNeighbourhood(search: Search, root: Node, random: Random, reach: Reach): boolean {
  const { model, assignment, objective: before } = search;
  if (!assignment) return false;
  const free = freeJobs(search, assignment, random, reach);
  const node = copyNode(root, rootNode(model));
  // What the root fixed otherwise may leave no room for a job; it stays open then.
  for (let job = 0; job < model.jobs; job += 1)
    if (!free[job] && node.placed[job]! < 0) place(model, node, job, assignment[job]!);
  search.nodesLeft = nodesOfNeighbourhood;
  const left = explore(search, node);
  reach.agentsNext = !reach.agentsNext;
  const better = search.objective < before;
  if (!better)
    reach.share =
      left === Number.POSITIVE_INFINITY
        ? Math.min(0.9, reach.share * 1.03)
        : Math.max(0.1, reach.share / 1.06);
  return better;
}

function freeJobs({ model }: Search, assignment: Int32Array, random: Random, reach: Reach): Uint8Array {
  const { jobs, agents } = model;
  const share = Math.min(reach.share, maxFreeJobs / jobs);
  const free = new Uint8Array(jobs);
  if (!reach.agentsNext) return free.map(() => (random() < share ? 1 : 0));
  const chosen = new Set<number>();
  const wanted = Math.min(agents, Math.max(2, Math.round(agents * share)));
  while (chosen.size < wanted) chosen.add(Math.floor(random() * agents));
  return free.map((_, job) => (chosen.has(assignment[job]!) ? 1 : 0));
}
