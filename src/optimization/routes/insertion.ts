import { none, type Plan } from "./plan.ts";

/** Where a stop goes best: route (none: nowhere), the stop before it (none: the head) and the length added. */
export class Spot {
  route = none;
  before = none;
  added = Infinity;
}

/** Chance to overlook an empty vehicle: the cheapest to start is often not the one that can take the most. */
const emptyBlink = 0.2;

/**
 * The cheapest feasible place for a stop, over the first `vehicles` routes; each place is skipped by chance `blink`
 * (Christiaens & Vanden Berghe 2020). Each test is O(1). Of empty vehicles of a kind only the first is tried.
 */
export function findSpot(
  plan: Plan,
  stop: number,
  vehicles: number,
  random: () => number,
  blink: number,
  spot: Spot,
): void {
  const { columns } = plan;
  spot.route = none;
  spot.added = Infinity;
  let emptyKind = none;
  const pickup = columns.pickup[stop]!;
  for (let route = 0; route < vehicles; route++) {
    if (plan.load[route]! + columns.units[stop]! > columns.capacity[route]!) continue;
    const head = plan.first[route]!;
    if (head === none) {
      if (columns.kind[route] === emptyKind) continue;
      emptyKind = columns.kind[route]!;
      if (blink === 0 || random() >= emptyBlink) tryEmpty(plan, stop, route, random, spot);
    } else if (columns.pickup[head] === pickup) {
      if (columns.release[stop]! > plan.leaves[route]!) tryDelayed(plan, stop, route, random, blink, spot);
      else tryRoute(plan, stop, route, random, blink, spot);
    }
  }
}

function tryEmpty(plan: Plan, stop: number, route: number, random: () => number, spot: Spot): void {
  const { columns } = plan;
  const { lengths, places } = columns;
  const pickup = columns.pickup[stop]!;
  const origin = columns.stops + pickup;
  const pace = columns.pace[route]!;
  const out = lengths[origin * places + stop]!;
  const back = columns.returns * lengths[stop * places + origin]!;
  const leaves = Math.max(columns.leaves[route * columns.pickups + pickup]!, columns.release[stop]!);
  const arrives = leaves + out * pace;
  if (arrives > columns.due[stop]!) return;
  if (
    Math.max(arrives, columns.ready[stop]!) + columns.service[stop]! + back * pace >
    columns.shiftEnd[route]!
  )
    return;
  const added = columns.approaches[route * columns.pickups + pickup]! + out + back;
  // Vehicles that cost the same may differ in all else: chance decides, or the first would always be taken.
  if (added < spot.added || (added === spot.added && random() < 0.5)) {
    spot.route = route;
    spot.before = none;
    spot.added = added;
  }
}

function tryRoute(
  plan: Plan,
  stop: number,
  route: number,
  random: () => number,
  blink: number,
  spot: Spot,
): void {
  const { columns, next, departs, latest } = plan;
  const { lengths, places } = columns;
  const pace = columns.pace[route]!;
  const ready = columns.ready[stop]!;
  const due = columns.due[stop]!;
  const service = columns.service[stop]!;
  const origin = columns.stops + columns.pickup[stop]!;
  const row = stop * places;
  let best = spot.added;
  let before = none;
  let from = origin;
  let leaves = plan.leaves[route]!;
  let after = plan.first[route]!;
  for (;;) {
    const leg = lengths[from * places + stop]!;
    const arrives = leaves + leg * pace;
    // Departures only grow along a route: too late here is too late from here on.
    if (arrives > due) break;
    if (after === none) {
      const back = columns.returns * lengths[row + origin]!;
      const added = leg + back - columns.returns * lengths[from * places + origin]!;
      if (
        added < best &&
        Math.max(arrives, ready) + service + back * pace <= columns.shiftEnd[route]! &&
        (blink === 0 || random() >= blink)
      ) {
        best = added;
        spot.route = route;
        before = from;
      }
      break;
    }
    const onward = lengths[row + after]!;
    const added = leg + onward - lengths[from * places + after]!;
    if (
      added < best &&
      Math.max(arrives, ready) + service + onward * pace <= latest[after]! &&
      (blink === 0 || random() >= blink)
    ) {
      best = added;
      spot.route = route;
      before = from;
    }
    from = after;
    leaves = departs[after]!;
    after = next[after]!;
  }
  if (best < spot.added) {
    spot.added = best;
    spot.before = before === origin ? none : before;
  }
}

/** As `tryRoute`, for a stop that is released only after the route would leave: all before it shifts. */
function tryDelayed(
  plan: Plan,
  stop: number,
  route: number,
  random: () => number,
  blink: number,
  spot: Spot,
): void {
  const { columns, next, departs, latest, travelled, slack } = plan;
  const { lengths, places } = columns;
  const pace = columns.pace[route]!;
  const release = columns.release[stop]!;
  const origin = columns.stops + columns.pickup[stop]!;
  let from = origin;
  let leaves = release;
  let after = plan.first[route]!;
  for (;;) {
    const leg = lengths[from * places + stop]!;
    const arrives = leaves + leg * pace;
    if (arrives > columns.due[stop]!) return;
    const starts = Math.max(arrives, columns.ready[stop]!) + columns.service[stop]!;
    const to = after === none ? origin : after;
    const counts = after === none ? columns.returns : 1;
    const onward = counts * lengths[stop * places + to]!;
    const added = leg + onward - counts * lengths[from * places + to]!;
    const limit = after === none ? columns.shiftEnd[route]! : latest[after]!;
    if (added < spot.added && starts + onward * pace <= limit && random() >= blink) {
      spot.route = route;
      spot.before = from === origin ? none : from;
      spot.added = added;
    }
    if (after === none || release > slack[after]!) return;
    from = after;
    leaves = Math.max(release + travelled[after]!, departs[after]!);
    after = next[after]!;
  }
}
