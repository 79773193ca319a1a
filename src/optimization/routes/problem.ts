/**
 * Vehicle routing with time windows, as plain data. Vehicles start at a pick-up place, serve stops within windows and
 * capacity, and end before their shift does. Places are numbered: stops first (0 … n − 1), then pick-ups (n … n + p − 1).
 * One unit of length and one of time throughout; a vehicle's `pace` turns the first into the second.
 */
export interface RoutesProblem {
  /** Lengths between places, row by row: `lengths[from * places + to]`. */
  lengths: Float64Array;
  stops: readonly Stop[];
  pickups: number;
  vehicles: readonly Vehicle[];
  /** Whether a route goes back to its pick-up place; otherwise it ends at its last stop. */
  returns: boolean;
  /** Whether a vehicle less is worth any distance (Solomon's objective). */
  fewestVehicles: boolean;
}

export interface Stop {
  pickup: number;
  units: number;
  /** When it can be taken from its pick-up place. */
  release: number;
  /** Service may begin from `ready` to `due`; who is early waits. */
  ready: number;
  due: number;
  service: number;
}

export interface Vehicle {
  capacity: number;
  /** Time per length. */
  pace: number;
  /** The end of its last route is no later. */
  shiftEnd: number;
  /** By pick-up: when it can leave from there, and how far it goes to get there. */
  leaves: readonly number[];
  approaches: readonly number[];
  /** Vehicles of a kind are alike in everything. */
  kind: number;
}

/** A plan: per vehicle its stops in order; who is served by none. */
export interface RoutesPlan {
  routes: number[][];
  unserved: number[];
  vehicles: number;
  distance: number;
}

/** Why a stop can't be served even by an empty vehicle, whichever it is. */
export type NeverServed = "capacity" | "window" | "shift";

/** Per stop: null if some vehicle could serve it alone, else what stands against it in the vehicle that comes closest. */
export function neverServed(problem: RoutesProblem): (NeverServed | null)[] {
  const kinds = [...new Map(problem.vehicles.map((vehicle) => [vehicle.kind, vehicle])).values()];
  const severity: readonly (NeverServed | null)[] = [null, "shift", "window", "capacity"];
  return problem.stops.map((_, stop) => {
    const found = kinds.map((vehicle) => severity.indexOf(alone(problem, vehicle, stop)));
    return severity[Math.min(...found, 3)]!;
  });
}

function alone(problem: RoutesProblem, vehicle: Vehicle, index: number): NeverServed | null {
  const { lengths, pickups, returns } = problem;
  const stop = problem.stops[index]!;
  const places = problem.stops.length + pickups;
  const pickup = problem.stops.length + stop.pickup;
  if (stop.units > vehicle.capacity) return "capacity";
  const leaves = Math.max(vehicle.leaves[stop.pickup]!, stop.release);
  const arrives = leaves + lengths[pickup * places + index]! * vehicle.pace;
  if (arrives > stop.due) return "window";
  const back = returns ? lengths[index * places + pickup]! * vehicle.pace : 0;
  return Math.max(arrives, stop.ready) + stop.service + back > vehicle.shiftEnd ? "shift" : null;
}
