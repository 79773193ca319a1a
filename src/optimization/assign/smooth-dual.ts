import type { Options } from "./options.ts";

/** The smoothed dual at some prices: its value, gradient and negated Hessian (rows × rows of capacity; the lower triangle only). */
export interface Smooth {
  value: number;
  gradient: Float64Array;
  hessian: Float64Array;
}

export type SmoothDual = (prices: Float64Array, temperature: number, step: number, into: Smooth) => void;

const negligible = 1e-5;
/** exp(-12) is less than that. */
const cutoff = 12;

/**
 * The dual with each order's `min` replaced by `-T log Σ exp(-·/T)`: concave, differentiable as often as one likes, and below the dual by
 * at most T log(options) an order (Nesterov 2005, "Smooth minimization of non-smooth functions"). Its derivatives are those of
 * orders that choose by chance, in proportion to `exp(-charged cost/T)`: the gradient is expected use less capacity, the Hessian
 * minus the covariance of use over T. Only every `step`-th order is looked at, and counts for that many.
 */
export function createSmoothDual(options: Options): SmoothDual {
  const { problem, limits, capacity, start, channel, cost, use } = options;
  const { orders, resources } = problem;
  const chance = new Float64Array(problem.channels + 1);
  const row = new Int32Array(limits);
  const share = new Float64Array(limits);

  /**
   * Adds one order's part; answers its smoothed minimum. All of it is one function, and the loop over orders another: V8 then compiles
   * this one well, and doesn't mix it into the loop, which made it three to five times slower.
   */
  const add = (
    order: number,
    prices: Float64Array,
    temperature: number,
    weight: number,
    into: Smooth,
  ): number => {
    const { gradient, hessian } = into;
    const from = start[order]!;
    const many = start[order + 1]! - from;
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < many; k += 1) {
      const o = from + k;
      const base = channel[o]! * resources;
      let sum = cost[o]!;
      for (let r = 0; r < resources; r += 1) sum += prices[base + r]! * use[o * resources + r]!;
      chance[k] = sum;
      if (sum < least) least = sum;
    }
    let total = 0;
    for (let k = 0; k < many; k += 1) {
      const above = (chance[k]! - least) / temperature;
      const likely = above < cutoff ? Math.exp(-above) : 0;
      chance[k] = likely;
      total += likely;
    }
    const scale = weight / temperature;
    let count = 0;
    for (let k = 0; k < many; k += 1) {
      const likely = chance[k]! / total;
      if (likely < negligible) continue;
      const base = channel[from + k]! * resources;
      for (let r = 0; r < resources; r += 1) {
        const units = use[(from + k) * resources + r]!;
        if (units === 0) continue;
        const i = base + r;
        const expected = likely * units;
        gradient[i] = gradient[i]! + weight * expected;
        // The uses of one option go together, those of two exclude each other.
        for (let s = 0; s <= r; s += 1) {
          const at = i * limits + base + s;
          hessian[at] = hessian[at]! + scale * expected * use[(from + k) * resources + s]!;
        }
        row[count] = i;
        share[count] = expected;
        count += 1;
      }
    }
    for (let a = 0; a < count; a += 1) {
      const line = row[a]! * limits;
      const factor = scale * share[a]!;
      for (let b = 0; b <= a; b += 1) hessian[line + row[b]!] = hessian[line + row[b]!]! - factor * share[b]!;
    }
    return least - temperature * Math.log(total);
  };

  return (prices, temperature, step, into) => {
    const { gradient } = into;
    into.hessian.fill(0);
    let value = 0;
    for (let i = 0; i < limits; i += 1) {
      gradient[i] = -capacity[i]!;
      value -= prices[i]! * capacity[i]!;
    }
    const weight = orders / Math.ceil(orders / step);
    for (let order = 0; order < orders; order += step) {
      value += weight * add(order, prices, temperature, weight, into);
    }
    into.value = value;
  };
}
