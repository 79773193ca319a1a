import type { RoutesProblem } from "../../../src/optimization/routes/problem.ts";

/** Better first: more served, then (where it counts) fewer vehicles, then shorter. */
export interface Value {
  unserved: number;
  vehicles: number;
  length: number;
}

export const compare = (problem: RoutesProblem, a: Value, b: Value): number =>
  a.unserved - b.unserved ||
  (problem.fewestVehicles ? a.vehicles - b.vehicles : 0) ||
  (Math.abs(a.length - b.length) < 1e-6 ? 0 : a.length - b.length);

/** The best plan's value by trying everything: every set of stops in every order for each vehicle, then every way to share the sets out. */
export function exact(problem: RoutesProblem): Value {
  const count = problem.stops.length;
  const sets = 1 << count;
  let best: Value[] = Array.from({ length: sets }, () => ({
    unserved: count,
    vehicles: 99,
    length: Infinity,
  }));
  best[0] = { unserved: count, vehicles: 0, length: 0 };
  for (const index of problem.vehicles.keys()) {
    const shortest = shortestBySet(problem, index);
    const next = [...best];
    for (let set = 0; set < sets; set++) {
      for (let mine = set; mine > 0; mine = (mine - 1) & set) {
        const before = best[set & ~mine]!;
        if (shortest[mine] === Infinity || before.length === Infinity) continue;
        const value = {
          unserved: before.unserved - bits(mine),
          vehicles: before.vehicles + 1,
          length: before.length + shortest[mine]!,
        };
        if (compare(problem, value, next[set]!) < 0) next[set] = value;
      }
    }
    best = next;
  }
  return best.filter(({ length }) => length < Infinity).toSorted((a, b) => compare(problem, a, b))[0]!;
}

const bits = (set: number): number => set.toString(2).replaceAll("0", "").length;

function shortestBySet(problem: RoutesProblem, vehicle: number): Float64Array {
  const shortest = new Float64Array(1 << problem.stops.length).fill(Infinity);
  const extend = (order: number[], set: number) => {
    for (const stop of problem.stops.keys()) {
      if (set & (1 << stop)) continue;
      const longer = [...order, stop];
      const length = drive(problem, vehicle, longer);
      const grown = set | (1 << stop);
      if (length !== null) shortest[grown] = Math.min(shortest[grown]!, length);
      // A later stop may delay the start but never makes an order in time that was not, nor takes units away.
      if (length !== null) extend(longer, grown);
    }
  };
  extend([], 0);
  return shortest;
}

/** The length of a route that keeps all limits, else null; by driving it. */
export function drive(problem: RoutesProblem, vehicle: number, order: readonly number[]): number | null {
  const { capacity, pace, shiftEnd, leaves, approaches } = problem.vehicles[vehicle]!;
  const stops = order.map((index) => problem.stops[index]!);
  const pickup = stops[0]!.pickup;
  const places = problem.stops.length + problem.pickups;
  const origin = problem.stops.length + pickup;
  const between = (from: number, to: number) => problem.lengths[from * places + to]!;
  if (stops.some((stop) => stop.pickup !== pickup)) return null;
  if (stops.reduce((sum, { units }) => sum + units, 0) > capacity) return null;
  let time = Math.max(leaves[pickup]!, ...stops.map(({ release }) => release));
  let [length, from] = [approaches[pickup]!, origin];
  for (const [index, stop] of stops.entries()) {
    const leg = between(from, order[index]!);
    time = Math.max(time + leg * pace, stop.ready);
    if (time > stop.due) return null;
    time += stop.service;
    length += leg;
    from = order[index]!;
  }
  const back = problem.returns ? between(from, origin) : 0;
  return time + back * pace > shiftEnd ? null : length + back;
}
