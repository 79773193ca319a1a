import type { AssignmentProblem } from "../problem.ts";

/**
 * The ways in which each order can be served, and nothing else: order j's options are `start[j] … start[j + 1] - 1`, by channel; its last
 * is to leave it unserved, in a channel of its own (`problem.channels`) that has room for everything. What can be in no best solution
 * is left out: a forbidden channel, one that has not room even for this order alone, one that costs no less than leaving it unserved.
 */
export interface Options {
  readonly problem: AssignmentProblem;
  /** Rows of capacity: (channels + 1) × resources. A channel's resource is at `channel * resources + resource`. */
  readonly limits: number;
  readonly capacity: Int32Array;
  readonly start: Int32Array;
  readonly channel: Int32Array;
  readonly cost: Float64Array;
  /** By option, then resource. */
  readonly use: Int32Array;
  /** Where all must be served, no solution costs more. Otherwise Infinity. */
  readonly mostServed: number;
  /** Every cost is whole, so every objective is. */
  readonly whole: boolean;
}

const plenty = 2 ** 31 - 1;

/** One pass over the problem. Where all must be served, leaving one unserved has a price that no solution wants to pay. */
export function listOptions(problem: AssignmentProblem): Options {
  const { orders, channels, resources, cost, unservedCost } = problem;
  const most = orders + countBelow(cost, unservedCost);
  const list = {
    problem,
    limits: (channels + 1) * resources,
    capacity: new Int32Array((channels + 1) * resources).fill(plenty),
    start: new Int32Array(orders + 1),
    channel: new Int32Array(most),
    cost: new Float64Array(most),
    use: new Int32Array(most * resources),
    mostServed: unservedCost < Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : 0,
    whole: unservedCost === Number.POSITIVE_INFINITY || Number.isInteger(unservedCost),
  };
  list.capacity.set(problem.capacity);
  const price = unservedCost < Number.POSITIVE_INFINITY ? unservedCost : priceOfNobody(cost);
  let count = 0;
  for (let order = 0; order < orders; order += 1) {
    let dearest = 0;
    for (let k = 0; k < channels; k += 1) {
      const each = cost[order * channels + k]!;
      if (!(each < unservedCost) || !copyUse(list, order, k, count)) continue;
      list.whole &&= Number.isInteger(each);
      list.channel[count] = k;
      list.cost[count] = each;
      count += 1;
      if (each > dearest) dearest = each;
    }
    list.mostServed += dearest;
    list.use.fill(0, count * resources, (count + 1) * resources);
    list.channel[count] = channels;
    list.cost[count] = price;
    count += 1;
    list.start[order + 1] = count;
  }
  return {
    ...list,
    channel: list.channel.subarray(0, count),
    cost: list.cost.subarray(0, count),
    use: list.use.subarray(0, count * resources),
  };
}

/** Answers whether the channel has room for the order alone. */
function copyUse({ problem, use }: Options, order: number, channel: number, option: number): boolean {
  const { resources, orderStride, channelStride, capacity } = problem;
  const from = order * orderStride + channel * channelStride;
  for (let r = 0; r < resources; r += 1) {
    const units = problem.use[from + r]!;
    if (units > capacity[channel * resources + r]!) return false;
    use[option * resources + r] = units;
  }
  return true;
}

const timesDearest = 10;

function priceOfNobody(cost: Float64Array): number {
  let dearest = 1;
  for (const each of cost) if (each < Number.POSITIVE_INFINITY && each > dearest) dearest = each;
  return dearest * timesDearest;
}

function countBelow(values: Float64Array, limit: number): number {
  let count = 0;
  for (let i = 0; i < values.length; i += 1) if (values[i]! < limit) count += 1;
  return count;
}

/** Only those options whose charged cost is at most `within` above their order's cheapest. (What falls away may matter at other prices.) */
export function narrow(options: Options, charged: Float64Array, within: number): Options {
  const { start } = options;
  const kept = new Int32Array(charged.length);
  const narrowed = new Int32Array(start.length);
  let count = 0;
  for (let order = 0; order + 1 < start.length; order += 1) {
    let least = Number.POSITIVE_INFINITY;
    for (let o = start[order]!; o < start[order + 1]!; o += 1) if (charged[o]! < least) least = charged[o]!;
    for (let o = start[order]!; o < start[order + 1]!; o += 1) {
      if (charged[o]! - least > within) continue;
      kept[count] = o;
      count += 1;
    }
    narrowed[order + 1] = count;
  }
  const { resources } = options.problem;
  const use = new Int32Array(count * resources);
  for (let n = 0; n < count; n += 1) {
    for (let r = 0; r < resources; r += 1) use[n * resources + r] = options.use[kept[n]! * resources + r]!;
  }
  const list = kept.subarray(0, count);
  return {
    ...options,
    start: narrowed,
    channel: list.map((o) => options.channel[o]!),
    cost: Float64Array.from(list, (o) => options.cost[o]!),
    use,
  };
}
