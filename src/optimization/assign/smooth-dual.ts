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
  const at = new Int32Array(limits);
  const share = new Float64Array(limits);

  /** Writes how probable each of the order's options is, and answers its smoothed minimum. */
  const choose = (from: number, to: number, prices: Float64Array, temperature: number): number => {
    let least = Number.POSITIVE_INFINITY;
    for (let o = from; o < to; o += 1) {
      const base = channel[o]! * resources;
      let sum = cost[o]!;
      for (let r = 0; r < resources; r += 1) sum += prices[base + r]! * use[o * resources + r]!;
      chance[o - from] = sum;
      if (sum < least) least = sum;
    }
    let total = 0;
    for (let k = 0; k < to - from; k += 1) {
      const above = (chance[k]! - least) / temperature;
      const weight = above < cutoff ? Math.exp(-above) : 0;
      chance[k] = weight;
      total += weight;
    }
    for (let k = 0; k < to - from; k += 1) chance[k] = chance[k]! / total;
    return least - temperature * Math.log(total);
  };

  return (prices, temperature, step, into) => {
    const { gradient, hessian } = into;
    hessian.fill(0);
    into.value = 0;
    for (let i = 0; i < limits; i += 1) {
      gradient[i] = -capacity[i]!;
      into.value -= prices[i]! * capacity[i]!;
    }
    const weight = orders / Math.ceil(orders / step);
    const scale = weight / temperature;
    for (let order = 0; order < orders; order += step) {
      const from = start[order]!;
      const to = start[order + 1]!;
      into.value += weight * choose(from, to, prices, temperature);
      let count = 0;
      for (let o = from; o < to; o += 1) {
        const likely = chance[o - from]!;
        if (likely < negligible) continue;
        const base = channel[o]! * resources;
        for (let r = 0; r < resources; r += 1) {
          const units = use[o * resources + r]!;
          if (units === 0) continue;
          const expected = likely * units;
          gradient[base + r] = gradient[base + r]! + weight * expected;
          const row = (base + r) * limits + base;
          for (let s = 0; s <= r; s += 1) {
            hessian[row + s] = hessian[row + s]! + scale * expected * use[o * resources + s]!;
          }
          at[count] = base + r;
          share[count] = expected;
          count += 1;
        }
      }
      for (let a = 0; a < count; a += 1) {
        const row = at[a]! * limits;
        const factor = scale * share[a]!;
        for (let b = 0; b <= a; b += 1) hessian[row + at[b]!] = hessian[row + at[b]!]! - factor * share[b]!;
      }
    }
  };
}
