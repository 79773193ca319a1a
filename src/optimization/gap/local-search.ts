import type { Random } from "../random.ts";
import type { Model } from "./model.ts";

/** Where a search is: an assignment that may overload agents, at a price. */
interface Position {
  /** Agent by job. */
  assignment: Int32Array;
  /** By agent, then resource. */
  load: Float64Array;
  cost: number;
  /** By agent, then resource: what a unit of overload costs. */
  penalty: Float64Array;
  /** By job, then agent: until which iteration the job may not go back there. */
  tabu: Int32Array;
  /** By job: what its agent's penalty loses when it leaves. */
  relief: Float64Array;
}

/** The first job goes to `to`; the second, if any, takes its place. */
interface Move {
  job: number;
  to: number;
  other: number;
  change: number;
}

export interface TabuOptions {
  iterations: number;
  random: Random;
  outOfTime(): boolean;
  /** Only what is cheaper is of interest. */
  below: number;
  /** A feasible assignment, cheaper than all before. */
  found(assignment: Int32Array): void;
}

/**
 * Tabu search over shifts and swaps of jobs (Glover 1989) from any assignment. Agents may be overloaded at a penalty that grows while they
 * are and shrinks while they are not, so that the search goes along the border of what is feasible (Gendreau, Hertz, Laporte 1994).
 */
export function tabuSearch(model: Model, from: Int32Array, options: TabuOptions): void {
  const position = positionOf(model, from);
  const { random } = options;
  let best = options.below;
  for (let iteration = 1; iteration <= options.iterations && !options.outOfTime(); iteration += 1) {
    const move = bestMove(model, position, iteration, best, random);
    if (move) {
      const { job, to, other } = move;
      const left = position.assignment[job]!;
      const until = () => iteration + 5 + Math.floor((random() * model.jobs) / 8);
      position.tabu[job * model.agents + left] = until();
      shift(model, position, job, to);
      if (other >= 0) {
        position.tabu[other * model.agents + to] = until();
        shift(model, position, other, left);
      }
    }
    if (!adaptPenalties(model, position) && position.cost < best) {
      best = position.cost;
      options.found(position.assignment);
    }
  }
}

function positionOf(model: Model, from: Int32Array): Position {
  const { jobs, agents, resources, cost, use } = model;
  const load = new Float64Array(agents * resources);
  const total = new Float64Array(resources);
  let [sum, size] = [0, 0];
  for (let job = 0; job < jobs; job += 1) {
    const pair = job * agents + from[job]!;
    sum += cost[pair]!;
    size += Math.abs(cost[pair]!);
    for (let resource = 0; resource < resources; resource += 1) {
      load[from[job]! * resources + resource]! += use[pair * resources + resource]!;
      total[resource]! += use[pair * resources + resource]!;
    }
  }
  return {
    assignment: Int32Array.from(from),
    load,
    cost: sum,
    penalty: load.map((_, at) => size / Math.max(1, total[at % resources]!)),
    tabu: new Int32Array(jobs * agents),
    relief: new Float64Array(jobs),
  };
}

/** What the agent's penalties change by when it takes a pair's job in and gives another's away (-1: none). */
function penaltyChange(model: Model, position: Position, agent: number, add: number, drop: number): number {
  const { resources, use, capacity } = model;
  const { load, penalty } = position;
  let change = 0;
  for (let resource = 0; resource < resources; resource += 1) {
    const at = agent * resources + resource;
    const over = load[at]! - capacity[at]!;
    let after = over;
    if (add >= 0) after += use[add * resources + resource]!;
    if (drop >= 0) after -= use[drop * resources + resource]!;
    change += penalty[at]! * (Math.max(0, after) - Math.max(0, over));
  }
  return change;
}

/** The best shift or swap that is not tabu, or would be the cheapest of all; ties by lot. Null when all are tabu. */
function bestMove(model: Model, position: Position, now: number, best: number, random: Random): Move | null {
  const move: Move = { job: -1, to: -1, other: -1, change: Number.POSITIVE_INFINITY };
  let ties = 1;
  const consider = (change: number, job: number, to: number, other: number): void => {
    if (change > move.change || (change === move.change && random() * ++ties >= 1)) return;
    if (change < move.change) ties = 1;
    move.job = job;
    move.to = to;
    move.other = other;
    move.change = change;
  };
  considerShifts(model, position, now, best, move, consider);
  considerSwaps(model, position, now, best, move, consider);
  return move.job < 0 ? null : move;
}

type Consider = (change: number, job: number, to: number, other: number) => void;

function considerShifts(
  model: Model,
  position: Position,
  now: number,
  best: number,
  least: Move,
  consider: Consider,
): void {
  const { jobs, agents, cost } = model;
  const { assignment, tabu, relief } = position;
  for (let job = 0; job < jobs; job += 1) {
    const from = assignment[job]!;
    const own = job * agents;
    relief[job] = penaltyChange(model, position, from, -1, own + from);
    for (let to = 0; to < agents; to += 1) {
      const dearer = cost[own + to]! - cost[own + from]!;
      // Taking a job in never makes an agent's penalty less.
      if (to === from || !(dearer + relief[job]! <= least.change) || dearer === Number.POSITIVE_INFINITY)
        continue;
      if (tabu[own + to]! > now && position.cost + dearer >= best) continue;
      consider(dearer + relief[job]! + penaltyChange(model, position, to, own + to, -1), job, to, -1);
    }
  }
}

/** After `considerShifts`, which leaves each job's relief. */
function considerSwaps(
  model: Model,
  position: Position,
  now: number,
  best: number,
  least: Move,
  consider: Consider,
): void {
  const { jobs, agents, cost } = model;
  const { assignment, tabu, relief } = position;
  for (let job = 0; job < jobs; job += 1) {
    const from = assignment[job]!;
    const own = job * agents;
    for (let other = job + 1; other < jobs; other += 1) {
      const to = assignment[other]!;
      const others = other * agents;
      const dearer = cost[own + to]! - cost[own + from]! + cost[others + from]! - cost[others + to]!;
      if (to === from || !(dearer + relief[job]! + relief[other]! <= least.change)) continue;
      if ((tabu[own + to]! > now || tabu[others + from]! > now) && position.cost + dearer >= best) continue;
      const change =
        dearer +
        penaltyChange(model, position, from, others + from, own + from) +
        penaltyChange(model, position, to, own + to, others + to);
      consider(change, job, to, other);
    }
  }
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

/** Raises penalties of what is overloaded and lowers the others. Returns whether anything is. */
function adaptPenalties(model: Model, { load, penalty }: Position): boolean {
  let overloaded = false;
  for (let at = 0; at < load.length; at += 1) {
    const over = load[at]! > model.capacity[at]!;
    overloaded ||= over;
    penalty[at]! *= over ? 1.1 : 1 / 1.02;
  }
  return overloaded;
}
