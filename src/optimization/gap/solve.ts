import type { AssignmentProblem, AssignmentSolution } from "../problem.ts";
import { createSearch, explore, offer, offerRelaxed, pruned, type Search } from "./branch-and-bound.ts";
import { greedy } from "./greedy.ts";
import { ascend, fix } from "./lagrangian.ts";
import { positionOf, tabuSearch } from "./local-search.ts";
import { type Model, toModel } from "./model.ts";
import { copyNode, type Node, place, rootNode } from "./node.ts";
import { type Random, seededRandom } from "./random.ts";

export interface GapOptions {
  deadlineMs: number;
  seed: number;
  now?: () => number;
  trace?: (text: string) => void;
}

export function solveGap(problem: AssignmentProblem, options: GapOptions): AssignmentSolution {
  const { deadlineMs, seed, now = () => performance.now() } = options;
  const startedAt = now();
  const outOfTime = () => now() - startedAt >= deadlineMs;
  const model = toModel(problem);
  const search = createSearch(model, { objective: model.ceiling + model.step * 2, assignment: null }, outOfTime);
  const random = seededRandom(seed);
  const at = () => (now() - startedAt).toFixed(0);
  const say = (what: string) => options.trace?.(`${at()} ${what} ${search.incumbent.objective} LB ${bound.toFixed(2)}`);
  let bound = 0;
  const first = greedy(model);
  if (first.feasible) offer(search, first.assignment);
  say("greedy");
  const root = rootNode(model);
  let turn = 0;
  bound = ascend(model, root, search.relaxation, {
    steps: 600, length: 1.5, patience: 15, get target() { return search.incumbent.objective; },
    seen: (_, best) => {
      offerRelaxed(search, root);
      if (++turn % 20 === 0) { repair(search, root, random, 40); }
      return pruned(search, best) || outOfTime();
    },
  });
  say("root");
  if (pruned(search, bound)) return result(search, search.incumbent.objective, "root");
  if (fix(model, root, search.relaxation, search.incumbent.objective) < 0) return result(search, search.incumbent.objective, "root");
  say("fixed");
  let nodes = 100;
  let lns = 0, won = 0;
  const sizes = [30];
  while (!outOfTime()) {
    search.nodesLeft = nodes;
    const open = explore(search, copyNode(root, rootNode(model)));
    if (open === Number.POSITIVE_INFINITY) { say("complete"); return result(search, search.incumbent.objective, "b&b"); }
    bound = Math.max(bound, open);
    say(`explored ${nodes}`);
    let stall = 0;
    while (search.incumbent.assignment && !outOfTime() && stall < 60 && !pruned(search, bound)) {
      const before = search.incumbent.objective;
      lns++;
      neighbourhood(search, root, random, stall);
      if (search.incumbent.objective < before) { won++; stall = 0; say("lns"); } else stall++;
    }
    if (pruned(search, bound)) break;
    say(`lns ${lns} won ${won}`);
    fix(model, root, search.relaxation, search.incumbent.objective);
    nodes *= 2;
  }
  say("end");
  return result(search, bound, "lns");
}

function result({ model, incumbent }: Search, bound: number, method: string): AssignmentSolution {
  const b = model.integral ? Math.ceil(bound) : bound;
  return { assignment: incumbent.assignment!, objective: incumbent.objective, bound: Math.min(b, incumbent.objective), status: b > incumbent.objective - model.step ? "optimal" : "feasible", method };
}

function repair(search: Search, node: Node, random: Random, iterations: number): void {
  const { model, relaxation: { taken } } = search;
  const { jobs, agents, cost, resources, use } = model;
  const assignment = new Int32Array(jobs).fill(-1);
  const room = Int32Array.from(node.room);
  const take = (job: number, agent: number) => {
    assignment[job] = agent;
    for (let r = 0; r < resources; r++) room[agent * resources + r]! -= use[(job * agents + agent) * resources + r]!;
  };
  for (let job = 0; job < jobs; job++) {
    let best = -1;
    for (let a = 0; a < agents; a++) if (taken[job * agents + a] && (best < 0 || cost[job * agents + a]! < cost[job * agents + best]!)) best = a;
    if (best >= 0) take(job, best);
  }
  for (let job = 0; job < jobs; job++) {
    if (assignment[job]! >= 0) continue;
    let best = -1, score = Infinity;
    for (let a = 0; a < agents; a++) {
      if (!node.alive[job * agents + a]) continue;
      let over = 0;
      for (let r = 0; r < resources; r++) over = Math.max(over, use[(job * agents + a) * resources + r]! - room[a * resources + r]!);
      const s = cost[job * agents + a]! + Math.max(0, over) * 1e3;
      if (s < score) { score = s; best = a; }
    }
    take(job, best);
  }
  tabuSearch(model, positionOf(model, assignment), { iterations, random, outOfTime: search.outOfTime, bestKnown: search.incumbent.objective, found: (a) => offer(search, a) });
}

/** Frees the jobs of some agents, and searches what comes of it. */
function neighbourhood(search: Search, root: Node, random: Random, stall: number): void {
  const { model, incumbent } = search;
  const { jobs, agents } = model;
  const node = copyNode(root, rootNode(model));
  const free = new Uint8Array(jobs);
  const kind = stall % 2;
  if (kind === 0) {
    const want = Math.min(agents, Math.max(2, Math.round(agents * (0.2 + 0.3 * random()))));
    const chosen = new Set<number>();
    while (chosen.size < want) chosen.add(Math.floor(random() * agents));
    for (let j = 0; j < jobs; j++) if (chosen.has(incumbent.assignment![j]!)) free[j] = 1;
  } else {
    const share = 0.3 + 0.3 * random();
    for (let j = 0; j < jobs; j++) if (random() < share) free[j] = 1;
  }
  for (let j = 0; j < jobs; j++) if (!free[j] && node.placed[j]! < 0) { if (!place(model, node, j, incumbent.assignment![j]!)) throw new Error("incumbent does not fit"); }
  search.nodesLeft = 60;
  explore(search, node);
}
