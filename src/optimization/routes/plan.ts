import type { RoutesPlan, RoutesProblem } from "./problem.ts";

/** No stop, no vehicle. */
export const none = -1;

/** A problem's stops and vehicles in typed arrays: what the search reads a hundred million times a second. */
export interface Columns {
  stops: number;
  places: number;
  vehicles: number;
  lengths: Float64Array;
  pickup: Int32Array;
  units: Float64Array;
  release: Float64Array;
  ready: Float64Array;
  due: Float64Array;
  service: Float64Array;
  capacity: Float64Array;
  pace: Float64Array;
  shiftEnd: Float64Array;
  kind: Int32Array;
  pickups: number;
  leaves: Float64Array;
  approaches: Float64Array;
  returns: number;
}

export function toColumns(problem: RoutesProblem): Columns {
  const { stops, vehicles, pickups } = problem;
  const floats = <T>(items: readonly T[], value: (item: T) => number) => Float64Array.from(items, value);
  return {
    stops: stops.length,
    places: stops.length + pickups,
    vehicles: vehicles.length,
    lengths: problem.lengths,
    pickup: Int32Array.from(stops, (stop) => stop.pickup),
    units: floats(stops, (stop) => stop.units),
    release: floats(stops, (stop) => stop.release),
    ready: floats(stops, (stop) => stop.ready),
    due: floats(stops, (stop) => stop.due),
    service: floats(stops, (stop) => stop.service),
    capacity: floats(vehicles, (vehicle) => vehicle.capacity),
    pace: floats(vehicles, (vehicle) => vehicle.pace),
    shiftEnd: floats(vehicles, (vehicle) => vehicle.shiftEnd),
    kind: Int32Array.from(vehicles, (vehicle) => vehicle.kind),
    pickups,
    leaves: Float64Array.from(vehicles.flatMap((vehicle) => [...vehicle.leaves])),
    approaches: Float64Array.from(vehicles.flatMap((vehicle) => [...vehicle.approaches])),
    returns: problem.returns ? 1 : 0,
  };
}

/**
 * A plan under search: routes as linked lists, and per stop what makes an insertion's test O(1): `departs` (earliest, from
 * the stop), `latest` (service may begin so late that all after it is still in time), `travelled` (time from leaving
 * the pick-up to leaving the stop if nobody waited) and `slack` (the latest leaving of the pick-up that keeps all up to here in time).
 * All of it lies in two arrays, so that a copy costs two moves.
 */
export class Plan {
  readonly columns: Columns;
  private readonly ints: Int32Array;
  private readonly reals: Float64Array;
  readonly next: Int32Array;
  readonly previous: Int32Array;
  /** The vehicle that serves a stop, or none. */
  readonly vehicle: Int32Array;
  readonly position: Int32Array;
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly size: Int32Array;
  readonly departs: Float64Array;
  readonly latest: Float64Array;
  readonly travelled: Float64Array;
  readonly slack: Float64Array;
  /** Of a route: when it leaves its pick-up, its units, its length. */
  readonly leaves: Float64Array;
  readonly load: Float64Array;
  readonly length: Float64Array;

  constructor(columns: Columns) {
    const { stops, vehicles } = columns;
    this.columns = columns;
    this.ints = new Int32Array(4 * stops + 3 * vehicles).fill(none);
    this.reals = new Float64Array(4 * stops + 3 * vehicles);
    const ofStops = <T extends Int32Array | Float64Array>(all: T, index: number) =>
      all.subarray(index * stops, (index + 1) * stops) as T;
    const ofVehicles = <T extends Int32Array | Float64Array>(all: T, index: number) =>
      all.subarray(4 * stops + index * vehicles, 4 * stops + (index + 1) * vehicles) as T;
    this.next = ofStops(this.ints, 0);
    this.previous = ofStops(this.ints, 1);
    this.vehicle = ofStops(this.ints, 2);
    this.position = ofStops(this.ints, 3);
    this.first = ofVehicles(this.ints, 0);
    this.last = ofVehicles(this.ints, 1);
    this.size = ofVehicles(this.ints, 2);
    this.departs = ofStops(this.reals, 0);
    this.latest = ofStops(this.reals, 1);
    this.travelled = ofStops(this.reals, 2);
    this.slack = ofStops(this.reals, 3);
    this.leaves = ofVehicles(this.reals, 0);
    this.load = ofVehicles(this.reals, 1);
    this.length = ofVehicles(this.reals, 2);
    this.size.fill(0);
  }

  copyFrom(other: Plan): void {
    this.ints.set(other.ints);
    this.reals.set(other.reals);
  }

  /** Takes a stop out of its route; `refresh` the route before it is asked anything. */
  unlink(stop: number): void {
    const route = this.vehicle[stop]!;
    const before = this.previous[stop]!;
    const after = this.next[stop]!;
    if (before === none) this.first[route] = after;
    else this.next[before] = after;
    if (after === none) this.last[route] = before;
    else this.previous[after] = before;
    this.vehicle[stop] = none;
    this.size[route]! -= 1;
  }

  /** Puts a stop after another of a route (none: at its head), and refreshes the route. */
  insert(stop: number, route: number, before: number): void {
    const after = before === none ? this.first[route]! : this.next[before]!;
    this.previous[stop] = before;
    this.next[stop] = after;
    if (before === none) this.first[route] = stop;
    else this.next[before] = stop;
    if (after === none) this.last[route] = stop;
    else this.previous[after] = stop;
    this.vehicle[stop] = route;
    this.size[route]! += 1;
    this.refresh(route);
  }

  /** Computes anew what depends on a route's stops and their order. */
  refresh(route: number): void {
    const { columns, next, previous } = this;
    const { lengths, places, ready, service, due, units } = columns;
    const head = this.first[route]!;
    if (head === none) {
      this.load[route] = 0;
      this.length[route] = 0;
      return;
    }
    const pace = columns.pace[route]!;
    const pickup = columns.pickup[head]!;
    const origin = columns.stops + pickup;
    let leaves = columns.leaves[route * columns.pickups + pickup]!;
    for (let stop = head; stop !== none; stop = next[stop]!)
      leaves = Math.max(leaves, columns.release[stop]!);
    let [load, length, travelled, slack, time] = [
      0,
      columns.approaches[route * columns.pickups + pickup]!,
      0,
      Infinity,
      leaves,
    ];
    let from = origin;
    let position = 0;
    for (let stop = head; stop !== none; stop = next[stop]!) {
      const leg = lengths[from * places + stop]!;
      length += leg;
      travelled += leg * pace;
      slack = Math.min(slack, due[stop]! - travelled);
      travelled += service[stop]!;
      time = Math.max(time + leg * pace, ready[stop]!) + service[stop]!;
      load += units[stop]!;
      this.departs[stop] = time;
      this.travelled[stop] = travelled;
      this.slack[stop] = slack;
      this.position[stop] = position++;
      from = stop;
    }
    const back = columns.returns * lengths[from * places + origin]!;
    this.leaves[route] = leaves;
    this.load[route] = load;
    this.length[route] = length + back;
    let latest = columns.shiftEnd[route]! - back * pace;
    for (let stop = this.last[route]!; ; ) {
      latest = Math.min(due[stop]!, latest - service[stop]!);
      this.latest[stop] = latest;
      const before = previous[stop]!;
      if (before === none) break;
      latest -= lengths[before * places + stop]! * pace;
      stop = before;
    }
  }

  totalLength(): number {
    let sum = 0;
    for (const length of this.length) sum += length;
    return sum;
  }

  usedVehicles(): number {
    let used = 0;
    for (const size of this.size) if (size > 0) used += 1;
    return used;
  }

  route(vehicle: number): number[] {
    const stops: number[] = [];
    for (let stop = this.first[vehicle]!; stop !== none; stop = this.next[stop]!) stops.push(stop);
    return stops;
  }

  toRoutesPlan(): RoutesPlan {
    const routes = Array.from(this.first, (_, vehicle) => this.route(vehicle));
    const unserved = Array.from(this.vehicle.keys()).filter((stop) => this.vehicle[stop] === none);
    return { routes, unserved, vehicles: this.usedVehicles(), distance: this.totalLength() };
  }
}
