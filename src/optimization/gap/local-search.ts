import type { Model } from "./model.ts";
import type { Random } from "./random.ts";

/** Where a search is: an assignment that may overload agents, at a price. */
export interface Position {
  assignment: Int32Array;
  /** By agent, then resource. */
  load: Float64Array;
  cost: number;
  /** By agent, then resource: what a unit of overload costs. */
  penalty: Float64Array;
}

export function positionOf(model: Model, assignment: Int32Array): Position {
  const { jobs, agents, resources, cost, use } = model;
  const position = {
    assignment: Int32Array.from(assignment),
    load: new Float64Array(agents * resources),
    cost: 0,
    penalty: new Float64Array(agents * resources),
  };
  let [sumCost, sumUse] = [0, new Float64Array(resources)];
  for (let job = 0; job < jobs; job += 1) {
    const pair = job * agents + assignment[job]!;
    position.cost += cost[pair]!;
    for (let resource = 0; resource < resources; resource += 1) {
      position.load[assignment[job]! * resources + resource]! += use[pair * resources + resource]!;
      sumUse[resource]! += use[pair * resources + resource]!;
    }
    sumCost += Math.abs(cost[pair]!);
  }
  for (let at = 0; at < agents * resources; at += 1) position.penalty[at] = sumCost / Math.max(1, sumUse[at % resources]!);
  return position;
}

export interface TabuOptions {
  iterations: number;
  random: Random;
  outOfTime(): boolean;
  /** A feasible assignment better than what was offered before in this search. */
  found(assignment: Int32Array, cost: number): void;
  bestKnown: number;
}

/** Overload of an agent after taking `add` in and giving `drop` away (pairs; -1: none), at its penalties, less what it is now. */
function penaltyChange({ resources, use, capacity }: Model, { load, penalty }: Position, agent: number, add: number, drop: number): number {
  let change = 0;
  for (let resource = 0; resource < resources; resource += 1) {
    const at = agent * resources + resource;
    const over = load[at]! - capacity[at]!;
    let after = over;
    if (add >= 0) after += use[add * resources + resource]!;
    if (drop >= 0) after -= use[drop * resources + resource]!;
    change += penalty[at]! * ((after > 0 ? after : 0) - (over > 0 ? over : 0));
  }
  return change;
}

function shift(model: Model, position: Position, job: number, to: number): void {
  const { agents, resources, use, cost } = model;
  const from = position.assignment[job]!;
  position.cost += cost[job * agents + to]! - cost[job * agents + from]!;
  for (let resource = 0; resource < resources; resource += 1) {
    position.load[from * resources + resource]! -= use[(job * agents + from) * resources + resource]!;
    position.load[to * resources + resource]! += use[(job * agents + to) * resources + resource]!;
  }
  position.assignment[job] = to;
}

/** Overloaded? And penalties up for agents that are, down for the others. */
function adapt({ agents, resources, capacity }: Model, { load, penalty }: Position): boolean {
  let over = false;
  for (let at = 0; at < agents * resources; at += 1) {
    if (load[at]! > capacity[at]!) {
      over = true;
      penalty[at]! *= 1.1;
    } else penalty[at]! /= 1.02;
  }
  return over;
}

/** Tabu search over shifts and swaps. */
export function tabuSearch(model: Model, position: Position, options: TabuOptions): void {
  const { jobs, agents, cost } = model;
  const { assignment } = position;
  const tabu = new Int32Array(jobs * agents);
  let best = options.bestKnown;
  const gone = new Float64Array(jobs);
  for (let iteration = 1; iteration <= options.iterations; iteration += 1) {
    let least = Number.POSITIVE_INFINITY;
    let [job1, to1, job2] = [-1, -1, -1];
    let ties = 1;
    for (let job = 0; job < jobs; job += 1)
      gone[job] = penaltyChange(model, position, assignment[job]!, -1, job * agents + assignment[job]!);
    for (let job = 0; job < jobs; job += 1) {
      const from = assignment[job]!;
      for (let to = 0; to < agents; to += 1) {
        if (to === from) continue;
        const pair = job * agents + to;
        const change = cost[pair]! - cost[job * agents + from]!;
        if (change === Number.POSITIVE_INFINITY) continue;
        if (tabu[pair]! > iteration && position.cost + change >= best) continue;
        const delta = change + gone[job]! + penaltyChange(model, position, to, pair, -1);
        if (delta < least || (delta === least && options.random() * ++ties < 1)) {
          least = delta;
          [job1, to1, job2] = [job, to, -1];
        }
      }
    }
    for (let job = 0; job < jobs; job += 1) {
      const from = assignment[job]!;
      const own = job * agents;
      for (let other = job + 1; other < jobs; other += 1) {
        const to = assignment[other]!;
        if (to === from) continue;
        const change = cost[own + to]! - cost[own + from]! + cost[other * agents + from]! - cost[other * agents + to]!;
        if (change >= least + 50) continue;
        if ((tabu[own + to]! > iteration || tabu[other * agents + from]! > iteration) && position.cost + change >= best) continue;
        const delta =
          change +
          penaltyChange(model, position, from, other * agents + from, own + from) +
          penaltyChange(model, position, to, own + to, other * agents + to);
        if (delta < least || (delta === least && options.random() * ++ties < 1)) {
          least = delta;
          [job1, to1, job2] = [job, to, other];
        }
      }
    }
    if (job1 < 0) {
      adapt(model, position);
      continue;
    }
    const from = assignment[job1]!;
    const until = () => iteration + 5 + Math.floor(options.random() * (jobs / 8));
    tabu[job1 * agents + from] = until();
    shift(model, position, job1, to1);
    if (job2 >= 0) {
      tabu[job2 * agents + to1] = until();
      shift(model, position, job2, from);
    }
    if (!adapt(model, position) && position.cost < best) {
      best = position.cost;
      options.found(assignment, position.cost);
    }
    if (iteration % 16 === 0 && options.outOfTime()) return;
  }
}
