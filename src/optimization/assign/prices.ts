import { solveDamped } from "./cholesky.ts";
import { chargedCosts, dualBound } from "./dual.ts";
import { narrow, type Options } from "./options.ts";
import { createSmoothDual, type Smooth, type SmoothDual } from "./smooth-dual.ts";

/** Shadow prices of capacity and what they prove. */
export interface Priced {
  /** By channel, then resource, then those of the channel for the unserved: 0. */
  prices: Float64Array;
  /** No solution costs less. Infinity: there is none. */
  bound: number;
}

/** Temperatures, as shares of the costs' spread. */
const hottest = 0.5;
const coldest = 0.002;
const coolBy = 0.3;
/** A warm start is near already, and would be forgotten when it is hot. */
const hottestWarm = 0.03;
const maxSteps = 40;
/** Orders that are looked at while it is hotter than `coldFrom`: prices are rough then anyway. */
const sampleHottest = 1_000;
const sampleHot = 2_500;
const coldFrom = 0.1;
const narrowFrom = 0.03;
/** Below `narrowFrom`, only options within this many temperatures of the cheapest are looked at; the bound is made of all. */
const nearTemperatures = 30;
/** Rows of capacity; above, Newton's steps take seconds, and prices stay at what they were. */
const maxLimits = 1_000;

/**
 * Maximises the dual by Newton's method on the smoothed dual (`createSmoothDual`), cooling it step by step. 100 prices are few and 5,000 orders many, so the
 * smoothed function is well-behaved where subgradients zigzag: about 40 steps come within 0.005 % of the linear relaxation.
 * Steps are damped (Levenberg–Marquardt) and kept at prices ≥ 0. `from`: prices of the last solve.
 */
export function findPrices(options: Options, from: Float64Array | undefined, timeLeft: () => number): Priced {
  const { limits } = options;
  const start = new Float64Array(limits);
  if (from !== undefined) start.set(from.subarray(0, limits - options.problem.resources));
  const best: Priced = { prices: start, bound: dualBound(options, start) };
  const scale = typicalSpread(options);
  const keepBest = (prices: Float64Array) => {
    const bound = dualBound(options, prices);
    if (bound > best.bound) Object.assign(best, { bound, prices: prices.slice() });
  };
  if (limits > maxLimits || scale === 0) return best;
  const climber = createClimber(options, start);
  let heat = from === undefined ? hottest : hottestWarm;
  for (;;) {
    const cold = heat < coldFrom;
    const sample = cold ? options.problem.orders : heat === hottest ? sampleHottest : sampleHot;
    const within = nearTemperatures * heat * scale;
    const view =
      heat < narrowFrom ? narrow(options, chargedCosts(options, climber.prices()), within) : options;
    climber.climb(view, heat * scale, Math.max(1, Math.floor(options.problem.orders / sample)), timeLeft);
    const last = heat <= coldest || timeLeft() <= 0;
    if (cold || last) keepBest(climber.prices());
    if (last || best.bound > options.mostServed) return best;
    heat = Math.max(coldest, heat * coolBy);
  }
}

/** Newton's method with memory of how much damping was needed. */
function createClimber(options: Options, start: Float64Array) {
  const { limits, problem } = options;
  const smooth = (): Smooth => ({
    value: 0,
    gradient: new Float64Array(limits),
    hessian: new Float64Array(limits * limits),
  });
  let here = smooth();
  let there = smooth();
  let prices = start.slice();
  let tried = new Float64Array(limits);
  const direction = new Float64Array(limits);
  let damping = 1e-3;

  /** One step; answers how much it was expected to gain, and 0 when it did not gain. */
  const advance = (smoothDual: SmoothDual, temperature: number, step: number): number => {
    const free: number[] = [];
    for (let i = 0; i < limits; i += 1) if (prices[i]! > 0 || here.gradient[i]! > 0) free.push(i);
    solveDamped(here.hessian, here.gradient, free, damping, direction);
    let expected = 0;
    for (let i = 0; i < limits; i += 1) {
      tried[i] = Math.max(0, prices[i]! + direction[i]!);
      expected += here.gradient[i]! * (tried[i]! - prices[i]!);
    }
    smoothDual(tried, temperature, step, there);
    const gain = there.value - here.value;
    if (!(gain >= 0.1 * expected)) {
      damping = Math.min(1e6, damping * 8);
      return 0;
    }
    [prices, tried] = [tried, prices];
    [here, there] = [there, here];
    if (gain > 0.5 * expected) damping = Math.max(1e-7, damping / 5);
    return expected;
  };

  return {
    prices: () => prices,
    climb(view: Options, temperature: number, step: number, timeLeft: () => number) {
      const smoothDual = createSmoothDual(view);
      smoothDual(prices, temperature, step, here);
      const enough = temperature * problem.channels;
      for (let n = 0; n < maxSteps && timeLeft() > 0; n += 1) {
        const gained = advance(smoothDual, temperature, step);
        if (gained > 0 && gained < enough) return;
      }
    },
  };
}

/** By how much an order's options differ: mean above the cheapest, the unserved one left out. */
export function typicalSpread({ start, cost }: Options): number {
  let sum = 0;
  let count = 0;
  for (let order = 0; order + 1 < start.length; order += 1) {
    const from = start[order]!;
    const to = start[order + 1]! - 1;
    let least = Number.POSITIVE_INFINITY;
    let total = 0;
    for (let o = from; o < to; o += 1) {
      total += cost[o]!;
      least = Math.min(least, cost[o]!);
    }
    if (to <= from) continue;
    sum += to - from > 1 ? total / (to - from) - least : (cost[to]! - least) / 10;
    count += 1;
  }
  return count === 0 ? 0 : Math.max(sum / count, 1e-6);
}
