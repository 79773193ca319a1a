import type { AssignmentProblem } from "../problem.ts";

/**
 * An assignment problem as the search of this folder wants it: jobs (orders) and agents (channels), in the words of the
 * generalised assignment problem. Leaving a job unserved is one more agent, which takes nothing and costs its price.
 */
export interface Model {
  jobs: number;
  agents: number;
  /** The last agent stands for "unserved". */
  unserved: boolean;
  resources: number;
  /** By job, then agent; Infinity where the agent may not take the job, or it alone is too much for it. */
  cost: Float64Array;
  /** By job, then agent, then resource. */
  use: Int32Array;
  /** By agent, then resource. */
  capacity: Int32Array;
  /** Of each agent, the resource that is scarcest: the one that its knapsack is about. The others are priced. */
  tightest: Int32Array;
  /** What the knapsack's capacity and weights are divided by (rounded down: a relaxation where it does not divide them all). */
  grain: Int32Array;
  /** By job, then agent: what the job takes of the agent's tightest resource, in grains. */
  weight: Int32Array;
  /** All costs are whole numbers, small enough for sums to be exact: then bounds may be rounded up. */
  integral: boolean;
  /** What is not better than the best known by this much, is not better. 1 for whole costs, else a millionth of a millionth's worth. */
  step: number;
  /** No assignment costs more. */
  ceiling: number;
}

/** Cells of a knapsack's table. Beyond it, weights are rounded to grains; 4,096 keep a subproblem below 0.2 ms. */
const maxCells = 4_096;
/** Multipliers are multiples of 2^-10, prices of 2^-16: with sums below 2^36 every sum of them is exact in a double. */
const maxExactSum = 2 ** 36;

/** Throws a RangeError for numbers that mean nothing (NaN, negative use or capacity). */
export function toModel(problem: AssignmentProblem): Model {
  const { orders: jobs, channels, resources, unservedCost } = problem;
  checkNumbers(problem);
  const unserved = unservedCost < Number.POSITIVE_INFINITY;
  const agents = channels + (unserved ? 1 : 0);
  const cost = new Float64Array(jobs * agents).fill(unservedCost);
  const use = new Int32Array(jobs * agents * resources);
  const capacity = new Int32Array(agents * resources);
  capacity.set(problem.capacity.subarray(0, channels * resources));
  for (let job = 0; job < jobs; job += 1) {
    for (let agent = 0; agent < channels; agent += 1) {
      const pair = job * agents + agent;
      const from = job * problem.orderStride + agent * problem.channelStride;
      let fits = true;
      for (let resource = 0; resource < resources; resource += 1) {
        const taken = problem.use[from + resource]!;
        use[pair * resources + resource] = taken;
        if (taken > capacity[agent * resources + resource]!) fits = false;
      }
      cost[pair] = fits ? problem.cost[job * channels + agent]! : Number.POSITIVE_INFINITY;
    }
  }
  return {
    jobs,
    agents,
    unserved,
    resources,
    cost,
    use,
    capacity,
    ...scale(cost, jobs, agents),
    ...knapsacks(jobs, agents, resources, use, cost, capacity),
  };
}

function checkNumbers({
  orders,
  channels,
  resources,
  cost,
  use,
  capacity,
  unservedCost,
  ...strides
}: AssignmentProblem): void {
  const wrong = (what: string): never => {
    throw new RangeError(`An assignment problem needs ${what}.`);
  };
  if (!(orders >= 0 && channels >= 0 && resources >= 0)) wrong("numbers of orders, channels and resources");
  if (cost.length < orders * channels) wrong(`${orders} × ${channels} costs, and has ${cost.length}`);
  if (capacity.length < channels * resources)
    wrong(`${channels} × ${resources} capacities, and has ${capacity.length}`);
  const lastUse = (orders - 1) * strides.orderStride + (channels - 1) * strides.channelStride + resources;
  if (orders > 0 && channels > 0 && use.length < lastUse)
    wrong(`${lastUse} numbers of use, and has ${use.length}`);
  if (Number.isNaN(unservedCost) || unservedCost === Number.NEGATIVE_INFINITY)
    wrong(`a price of leaving orders unserved, and has ${unservedCost}`);
  const badCost = cost.findIndex((each) => Number.isNaN(each) || each === Number.NEGATIVE_INFINITY);
  if (badCost >= 0) wrong(`costs that are numbers, and cost ${badCost} is ${cost[badCost]}`);
  if (use.some((each) => each < 0)) wrong("uses of 0 or more");
  if (capacity.some((each) => each < 0)) wrong("capacities of 0 or more");
}

function scale(
  cost: Float64Array,
  jobs: number,
  agents: number,
): Pick<Model, "integral" | "step" | "ceiling"> {
  let ceiling = 0;
  let size = 0;
  let whole = true;
  for (let job = 0; job < jobs; job += 1) {
    let dearest = Number.NEGATIVE_INFINITY;
    let largest = 0;
    for (let agent = 0; agent < agents; agent += 1) {
      const each = cost[job * agents + agent]!;
      if (each === Number.POSITIVE_INFINITY) continue;
      dearest = Math.max(dearest, each);
      largest = Math.max(largest, Math.abs(each));
      whole &&= Number.isInteger(each);
    }
    if (dearest > Number.NEGATIVE_INFINITY) ceiling += dearest;
    size += largest;
  }
  const integral = whole && size < maxExactSum;
  return { integral, step: integral ? 1 : Math.max(1, size) * 1e-10, ceiling };
}

function knapsacks(
  jobs: number,
  agents: number,
  resources: number,
  use: Int32Array,
  cost: Float64Array,
  capacity: Int32Array,
): Pick<Model, "tightest" | "grain" | "weight"> {
  const tightest = new Int32Array(agents);
  const grain = new Int32Array(agents).fill(1);
  const weight = new Int32Array(jobs * agents);
  if (resources === 0) return { tightest, grain, weight };
  for (let agent = 0; agent < agents; agent += 1) {
    const takes = (job: number, resource: number): number =>
      cost[job * agents + agent]! < Number.POSITIVE_INFINITY
        ? use[(job * agents + agent) * resources + resource]!
        : 0;
    let most = -1;
    for (let resource = 0; resource < resources; resource += 1) {
      let wanted = 0;
      for (let job = 0; job < jobs; job += 1) wanted += takes(job, resource);
      const scarcity = wanted / Math.max(1, capacity[agent * resources + resource]!);
      if (scarcity > most) {
        most = scarcity;
        tightest[agent] = resource;
      }
    }
    const resource = tightest[agent]!;
    let divisor = 0;
    for (let job = 0; job < jobs; job += 1) divisor = greatestCommonDivisor(divisor, takes(job, resource));
    const room = capacity[agent * resources + resource]!;
    divisor = Math.max(1, divisor);
    if (room / divisor > maxCells) divisor = Math.ceil(room / maxCells);
    grain[agent] = divisor;
    for (let job = 0; job < jobs; job += 1)
      weight[job * agents + agent] = Math.floor(takes(job, resource) / divisor);
  }
  return { tightest, grain, weight };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
