import { none, type Plan } from "./plan.ts";
import { absenteesOf, type Search, Walk } from "./walk.ts";

/** Temperatures at the start and at the end of the time, in mean lengths of a leg. */
const hot = 1;
const cold = 0.01;

/**
 * Serves all stops, then with a vehicle less and another one less, until the time is up or `atLeast` is reached: a route's stops go out, and ruin
 * and recreate tries to bring them in, preferring plans that leave out stops which were seldom left out before (Christiaens & Vanden Berghe 2020, fleet
 * minimisation by absences). Leaves the best plan in `plan`; vehicles in use come first in it. Vehicles must be alike.
 */
export function fewerVehicles(
  plan: Plan,
  search: Search,
  stops: readonly number[],
  atLeast: number,
  endsAt: number,
): void {
  const absences = new Float64Array(plan.columns.stops).fill(1);
  moveForward(plan);
  const walk = new Walk(search, plan, []);
  let vehicles = plan.usedVehicles();
  while (vehicles > atLeast && search.now() < endsAt) {
    vehicles -= 1;
    const route = easiest(walk.current, vehicles + 1, absences);
    const absentees = walk.current.route(route);
    for (const stop of absentees) walk.current.unlink(stop);
    walk.current.refresh(route);
    moveForward(walk.current);
    walk.startFrom(walk.current, absentees);
    if (!bringIn(walk, search, vehicles, absences, endsAt)) return;
    plan.copyFrom(walk.current);
  }
  if (absenteesOf(plan, stops).length > 0) throw new Error("a stop was lost while vehicles were emptied");
}

/** Serves as many stops as the time allows: for plans whose construction left some out. Leaves the best plan in `plan`. */
export function serveMore(
  plan: Plan,
  search: Search,
  stops: readonly number[],
  vehicles: number,
  endsAt: number,
): void {
  const absences = new Float64Array(plan.columns.stops).fill(1);
  const walk = new Walk(search, plan, absenteesOf(plan, stops));
  bringIn(walk, search, vehicles, absences, endsAt, plan);
}

/** Searches for a plan that leaves none out; false when the time is up. `fewest` gets each plan that leaves out fewer than before. */
function bringIn(
  walk: Walk,
  search: Search,
  vehicles: number,
  absences: Float64Array,
  endsAt: number,
  fewest?: Plan,
): boolean {
  const startedAt = search.now();
  const mean = walk.length / walk.out.length;
  let temperature = hot * mean;
  let least = walk.absent;
  while (walk.absent > 0) {
    const time = walk.look();
    if (time !== null) {
      if (time >= endsAt) return false;
      temperature = mean * hot * (cold / hot) ** ((time - startedAt) / (endsAt - startedAt));
    }
    walk.step(vehicles);
    const before = sumOf(absences, walk.absentees, walk.absent);
    const after = sumOf(absences, walk.out, walk.failed);
    for (let index = 0; index < walk.failed; index++) absences[walk.out[index]!]! += 1;
    const alike = after === before && walk.failed === walk.absent;
    if (after < before || (alike && walk.passes(walk.trialLength - walk.length, temperature))) walk.keep();
    else walk.drop();
    if (walk.absent < least) {
      least = walk.absent;
      fewest?.copyFrom(walk.current);
    }
  }
  return true;
}

function sumOf(values: Float64Array, stops: Int32Array, count: number): number {
  let sum = 0;
  for (let index = 0; index < count; index++) sum += values[stops[index]!]!;
  return sum;
}

/** The route whose stops were left out least often. */
function easiest(plan: Plan, vehicles: number, absences: Float64Array): number {
  let [route, least] = [0, Infinity];
  for (let vehicle = 0; vehicle < vehicles; vehicle++) {
    let sum = 0;
    for (let stop = plan.first[vehicle]!; stop !== none; stop = plan.next[stop]!) sum += absences[stop]!;
    if (sum < least) [route, least] = [vehicle, sum];
  }
  return route;
}

/** Gives the routes to the first vehicles, so that a smaller fleet is the first few. */
function moveForward(plan: Plan): void {
  let free = 0;
  for (let vehicle = 0; vehicle < plan.columns.vehicles; vehicle++) {
    if (plan.size[vehicle] === 0) continue;
    if (free !== vehicle) {
      const stops = plan.route(vehicle);
      for (const stop of stops) plan.unlink(stop);
      plan.refresh(vehicle);
      stops.forEach((stop, index) => {
        plan.insert(stop, free, index === 0 ? none : stops[index - 1]!);
      });
    }
    free += 1;
  }
}
