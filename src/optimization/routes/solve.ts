import { fewerVehicles, serveMore } from "./fleet.ts";
import { Plan, toColumns } from "./plan.ts";
import { type NeverServed, neverServed, type RoutesPlan, type RoutesProblem } from "./problem.ts";
import { randomStream } from "./random.ts";
import { greedyInsertion, searchBlink } from "./recreate.ts";
import { stringRemoval } from "./ruin.ts";
import { roaming, settling, shorten } from "./shorten.ts";
import { absenteesOf } from "./walk.ts";

export interface SolveOptions {
  /** From the call on; 0: the construction as it is. */
  deadlineMs: number;
  seed: number;
  /** A monotonic clock, in ms. The same seed and clock give the same plan. */
  now: () => number;
}

export interface RoutesSolution extends RoutesPlan {
  /** Per stop, why no vehicle can serve it; null for those that one could. */
  never: (NeverServed | null)[];
  iterations: number;
}

/** Of the time for length, the share before the search goes back to the best plan and stays near it. */
const roamShare = 0.5;

/** Share of the time for serving all and, where that counts, for fewer vehicles; the rest is for length. */
const fleetShare = 0.3;

/**
 * Routes for a problem: most stops served, then (where asked for) fewest vehicles, then least length. The
 * best found within the deadline; 40,000 steps a second at 100 stops. Ruin and recreate (Christiaens & Vanden Berghe,
 * Slack Induction by String Removals for Vehicle Routing Problems, Transportation Science 2020).
 */
export function solveRoutes(problem: RoutesProblem, { deadlineMs, seed, now }: SolveOptions): RoutesSolution {
  const startedAt = now();
  const endsAt = startedAt + deadlineMs;
  const columns = toColumns(problem);
  const never = neverServed(problem);
  const stops = [...never.keys()].filter((stop) => never[stop] === null);
  const random = randomStream(seed);
  const plan = new Plan(columns);
  const construct = greedyInsertion(columns, random, 0);
  const left = construct(plan, Int32Array.from(stops), stops.length, columns.vehicles);
  if (deadlineMs <= 0 || stops.length === 0) return { ...plan.toRoutesPlan(), never, iterations: 0 };

  const search = {
    random,
    ruin: stringRemoval(columns, random),
    recreate: greedyInsertion(columns, random, searchBlink),
    now,
  };
  const fleetEndsAt = startedAt + deadlineMs * fleetShare;
  if (left > 0) serveMore(plan, search, stops, columns.vehicles, fleetEndsAt);
  let vehicles = columns.vehicles;
  if (problem.fewestVehicles && absenteesOf(plan, stops).length === 0) {
    fewerVehicles(plan, search, stops, leastVehicles(problem, stops), fleetEndsAt);
    vehicles = plan.usedVehicles();
  }
  const roamsUntil = now() + (endsAt - now()) * roamShare;
  const roamed = shorten(plan, search, stops, vehicles, roamsUntil, roaming);
  const settled = shorten(plan, search, stops, vehicles, endsAt, settling);
  return { ...plan.toRoutesPlan(), never, iterations: roamed + settled };
}

/** Vehicles that any plan needs, by units alone. */
function leastVehicles({ stops, vehicles }: RoutesProblem, served: readonly number[]): number {
  const units = served.reduce((sum, stop) => sum + stops[stop]!.units, 0);
  const capacity = Math.max(...vehicles.map((vehicle) => vehicle.capacity));
  return units === 0 ? 1 : Math.ceil(units / capacity - 1e-9);
}
