import { addItem, createKnapsack, type Knapsack, marginalLosses, solveKnapsack } from "./knapsack.ts";
import type { Model } from "./model.ts";
import { fits, type Node, place } from "./node.ts";

/**
 * Lagrangian relaxation of "each job goes to exactly one agent" (Fisher, Jaikumar, Van Wassenhove 1986): with a worth per job,
 * each agent is a knapsack of its own. What agents have of further resources than the tightest is priced (relaxed) too. The bound is
 * at least that of the linear relaxation, with one resource usually well above it.
 */
export interface Relaxation {
  sack: Knapsack;
  /** By job: how many agents take it. */
  times: Int32Array;
  /** By job, then agent. */
  taken: Uint8Array;
  /** By agent: what it takes of each priced resource, over its room. */
  excess: Float64Array;
  /** By job, then agent: no solution of the node with the job there is below it. By `fix`. */
  bounds: Float64Array;
  lossOut: Float64Array;
  direction: Float64Array;
  bestWorth: Float64Array;
  bestPrice: Float64Array;
}

export function createRelaxation({ jobs, agents, resources }: Model): Relaxation {
  const pairs = jobs * agents;
  return {
    sack: createKnapsack(jobs),
    times: new Int32Array(jobs),
    taken: new Uint8Array(pairs),
    excess: new Float64Array(agents * resources),
    bounds: new Float64Array(pairs),
    lossOut: new Float64Array(pairs),
    direction: new Float64Array(jobs + agents * resources),
    bestWorth: new Float64Array(jobs),
    bestPrice: new Float64Array(agents * resources),
  };
}

const worthGrain = 1_024;
const priceGrain = 65_536;

/** Fills the sack with what the agent would gain by; returns its capacity. Pairs that don't fit any more die here. */
function fillSack(model: Model, node: Node, { sack }: Relaxation, agent: number): number {
  const { agents, resources, cost, weight } = model;
  const { open, openCount, alive, worth } = node;
  sack.count = 0;
  for (let at = 0; at < openCount; at += 1) {
    const job = open[at]!;
    const pair = job * agents + agent;
    if (!alive[pair]) continue;
    if (!fits(model, node, job, agent)) {
      alive[pair] = 0;
      continue;
    }
    const profit = worth[job]! - cost[pair]! - (resources > 1 ? priced(model, node, pair, agent) : 0);
    if (profit > 0) addItem(sack, job, profit, weight[pair]!);
  }
  return cellsOf(model, node, agent);
}

function cellsOf({ resources, tightest, grain }: Model, { room }: Node, agent: number): number {
  return resources === 0 ? 0 : Math.floor(room[agent * resources + tightest[agent]!]! / grain[agent]!);
}

/** The price of the job's use of all but the tightest resource. */
function priced({ resources, use, tightest }: Model, { price }: Node, pair: number, agent: number): number {
  let sum = 0;
  for (let resource = 0; resource < resources; resource += 1)
    if (resource !== tightest[agent])
      sum += use[pair * resources + resource]! * price[agent * resources + resource]!;
  return sum;
}

/** Solves the relaxation at the node's multipliers: a bound on every solution of the node; `times` and `taken` are its solution. */
function relax(model: Model, node: Node, relaxation: Relaxation): number {
  const { agents, resources } = model;
  const { sack, times, taken, excess } = relaxation;
  let bound = node.cost;
  for (let at = 0; at < node.openCount; at += 1) {
    const job = node.open[at]!;
    times[job] = 0;
    taken.fill(0, job * agents, (job + 1) * agents);
    bound += node.worth[job]!;
  }
  for (let agent = 0; agent < agents; agent += 1) {
    const cells = fillSack(model, node, relaxation, agent);
    bound -= solveKnapsack(sack, cells);
    for (let k = 0; k < sack.count; k += 1) {
      if (!sack.taken[k]) continue;
      times[sack.item[k]!]! += 1;
      taken[sack.item[k]! * agents + agent] = 1;
    }
    if (resources > 1) {
      for (let resource = 0; resource < resources; resource += 1) {
        const at = agent * resources + resource;
        if (resource === model.tightest[agent]) continue;
        bound -= node.price[at]! * node.room[at]!;
        excess[at] = -node.room[at]!;
        for (let k = 0; k < sack.count; k += 1)
          if (sack.taken[k])
            excess[at]! += model.use[(sack.item[k]! * agents + agent) * resources + resource]!;
      }
    }
  }
  return bound;
}

/** Whether the relaxation's solution gives each open job to exactly one agent. */
export function isWhole({ open, openCount }: Node, { times }: Relaxation): boolean {
  for (let at = 0; at < openCount; at += 1) if (times[open[at]!] !== 1) return false;
  return true;
}

export interface Ascent {
  steps: number;
  /** Relative step length (Held, Wolfe, Crowder 1974), halved after `patience` steps without progress. */
  length: number;
  patience: number;
  /** Where the bound may get to: the best objective known. */
  target(): number;
  /** Called after each relaxation with the best bound. */
  isEnough(best: number): boolean;
}

/** Subgradient ascent with deflection (Camerini, Fratta, Maffioli 1975). Leaves the node the best multipliers; returns their bound. */
export function ascend(model: Model, node: Node, relaxation: Relaxation, options: Ascent): number {
  const { bestWorth, bestPrice, direction } = relaxation;
  let best = Number.NEGATIVE_INFINITY;
  let { length } = options;
  let since = 0;
  direction.fill(0);
  for (let step = 0; step < options.steps; step += 1) {
    const bound = relax(model, node, relaxation);
    if (bound > best) {
      best = bound;
      since = 0;
      bestWorth.set(node.worth);
      bestPrice.set(node.price);
    } else since += 1;
    if (options.isEnough(best)) break;
    if (since >= options.patience) {
      length /= 2;
      since = 0;
      node.worth.set(bestWorth);
      node.price.set(bestPrice);
      direction.fill(0);
      if (length < 1e-3) break;
      continue;
    }
    const norm = deflect(model, node, relaxation);
    if (norm === 0) break;
    const target = Math.max(options.target(), bound + model.step);
    move(model, node, relaxation, (length * (target - bound)) / norm);
  }
  node.worth.set(bestWorth);
  node.price.set(bestPrice);
  return best;
}

/** Makes the direction: the subgradient, turned away from zigzag. Returns its squared length. */
function deflect(model: Model, node: Node, { times, excess, direction }: Relaxation): number {
  const { jobs, agents, resources, tightest, capacity } = model;
  let inner = 0;
  let before = 0;
  // Prices are scaled by their capacities, so that a step means as much in each.
  const slope = (at: number): number => excess[at]! / Math.max(1, capacity[at]!);
  const isPriced = (at: number): boolean => at % resources !== tightest[Math.floor(at / resources)];
  for (let at = 0; at < node.openCount; at += 1) {
    const job = node.open[at]!;
    inner += direction[job]! * (1 - times[job]!);
    before += direction[job]! ** 2;
  }
  if (resources > 1)
    for (let at = 0; at < agents * resources; at += 1) {
      if (!isPriced(at)) continue;
      inner += direction[jobs + at]! * slope(at);
      before += direction[jobs + at]! ** 2;
    }
  const keep = inner < 0 ? (-1.5 * inner) / before : 0;
  let norm = 0;
  for (let at = 0; at < node.openCount; at += 1) {
    const job = node.open[at]!;
    direction[job] = 1 - times[job]! + keep * direction[job]!;
    norm += direction[job]! ** 2;
  }
  if (resources > 1)
    for (let at = 0; at < agents * resources; at += 1) {
      if (!isPriced(at)) continue;
      direction[jobs + at] = slope(at) + keep * direction[jobs + at]!;
      norm += direction[jobs + at]! ** 2;
    }
  return norm;
}

function move(
  { jobs, agents, resources, tightest, capacity }: Model,
  node: Node,
  { direction }: Relaxation,
  length: number,
): void {
  for (let at = 0; at < node.openCount; at += 1) {
    const job = node.open[at]!;
    node.worth[job] = Math.round((node.worth[job]! + length * direction[job]!) * worthGrain) / worthGrain;
  }
  if (resources < 2) return;
  for (let at = 0; at < agents * resources; at += 1) {
    if (at % resources === tightest[Math.floor(at / resources)]) continue;
    const price = node.price[at]! + (length * direction[jobs + at]!) / Math.max(1, capacity[at]!);
    node.price[at] = Math.max(0, Math.round(price * priceGrain) / priceGrain);
  }
}

/**
 * Takes pairs out that no solution better than `best` can use: the bound with the job at that agent and out of all others (subproblems are apart,
 * so their losses add up; Posta, Ferland, Michelon 2012, "An exact method with variable fixing for solving the generalized assignment
 * problem"). Places jobs that have one agent left. Returns how many pairs died, or -1 when the node holds nothing better.
 */
export function fix(model: Model, node: Node, relaxation: Relaxation, best: number): number {
  const { agents, step } = model;
  const { bounds, lossOut } = relaxation;
  const bound = relax(model, node, relaxation);
  if (bound > best - step) return -1;
  for (let agent = 0; agent < agents; agent += 1) measureLosses(model, node, relaxation, agent);
  let died = 0;
  const single: number[] = [];
  for (let at = 0; at < node.openCount; at += 1) {
    const job = node.open[at]!;
    let allOut = bound;
    for (let agent = 0; agent < agents; agent += 1) allOut += lossOut[job * agents + agent]!;
    let left = 0;
    for (let agent = 0; agent < agents; agent += 1) {
      const pair = job * agents + agent;
      if (!node.alive[pair]) continue;
      bounds[pair] = allOut - lossOut[pair]! + bounds[pair]!;
      if (bounds[pair]! > best - step) {
        node.alive[pair] = 0;
        died += 1;
      } else left += 1;
    }
    if (left === 0) return -1;
    if (left === 1) single.push(job);
  }
  for (const job of single) {
    const agent = node.alive.indexOf(1, job * agents) - job * agents;
    if (!place(model, node, job, agent)) return -1;
  }
  return died + single.length;
}

/** Of each pair of the agent: what the bound loses when the job must stay out (`lossOut`), and when it must come in (`bounds`, for now). */
function measureLosses(model: Model, node: Node, relaxation: Relaxation, agent: number): void {
  const { agents, resources, cost, weight } = model;
  const { sack, bounds, lossOut } = relaxation;
  const cells = fillSack(model, node, relaxation, agent);
  const value = solveKnapsack(sack, cells);
  marginalLosses(sack, cells, value);
  for (let at = 0; at < node.openCount; at += 1) {
    const pair = node.open[at]! * agents + agent;
    lossOut[pair] = 0;
    if (!node.alive[pair]) continue;
    const profit =
      node.worth[node.open[at]!]! - cost[pair]! - (resources > 1 ? priced(model, node, pair, agent) : 0);
    if (profit <= 0) bounds[pair] = value - profit - sack.best[cells - weight[pair]!]!;
  }
  for (let k = 0; k < sack.count; k += 1) {
    const pair = sack.item[k]! * agents + agent;
    lossOut[pair] = sack.taken[k] ? sack.loss[k]! : 0;
    bounds[pair] = sack.taken[k] ? 0 : sack.loss[k]!;
  }
}
