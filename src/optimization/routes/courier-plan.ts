import type { Vehicle as VehicleType } from "../../capacity/api.ts";
import { distance } from "../../capacity/distance.ts";
import { metersPerMinute } from "../../capacity/ranking.ts";
import { encodePolyline, type Location } from "./polyline.ts";
import type { RoutesProblem } from "./problem.ts";
import { type RoutesSolution, type SolveOptions, solveRoutes } from "./solve.ts";

/** What couriers have to deliver, from where, and when. Times are instants in ms. */
export interface CourierProblem {
  /** Nobody starts before. */
  nowMs: number;
  pickups: readonly { id: string; location: Location }[];
  couriers: readonly {
    id: string;
    vehicle: VehicleType;
    /** Where the courier is, or is when the shift begins. */
    location: Location;
    capacity: number;
    shiftStartMs: number;
    shiftEndMs: number;
  }[];
  stops: readonly {
    id: string;
    pickupId: string;
    location: Location;
    units: number;
    /** When it can be picked up. */
    readyAtMs: number;
    windowStartMs: number;
    windowEndMs: number;
    serviceSeconds: number;
  }[];
}

export interface CourierPlan {
  routes: CourierRoute[];
  unassigned: { stopId: string; reason: UnassignedReason }[];
  distanceMeters: number;
}

export interface CourierRoute {
  courierId: string;
  pickupId: string;
  leavesPickupAtMs: number;
  stops: { stopId: string; arrivesAtMs: number; startsAtMs: number; leavesAtMs: number }[];
  distanceMeters: number;
  /** Straight lines from where the courier is over the pick-up to the last stop. */
  polyline: string;
}

/** `no_room`: somebody could serve it alone, but not beside the others (or none was found in time). */
export type UnassignedReason = "capacity" | "window" | "shift" | "no_room";

const millisPerMinute = 60_000;

/**
 * One trip for each courier: from where they are to one pick-up, then stop after stop, ending at the last one within the shift. Most stops
 * served, then least distance. Great-circle distances at the vehicle's metres a minute (as routing counts). A trip leaves when its last
 * stop is ready, and no earlier than its courier can be there.
 */
export function planCouriers(problem: CourierProblem, options: SolveOptions): CourierPlan {
  const model = toRoutesProblem(problem);
  const solution = solveRoutes(model, options);
  const routes = solution.routes.flatMap((stops, courier) =>
    stops.length === 0 ? [] : [toRoute(problem, model, courier, stops)],
  );
  return { routes, unassigned: toUnassigned(problem, solution), distanceMeters: solution.distance };
}

function toRoutesProblem({ nowMs, pickups, couriers, stops }: CourierProblem): RoutesProblem {
  const places = [...stops, ...pickups].map(({ location }) => location);
  const indexOf = new Map(pickups.map(({ id }, index) => [id, index]));
  return {
    lengths: Float64Array.from(places.flatMap((from) => places.map((to) => distance(from, to)))),
    pickups: pickups.length,
    returns: false,
    fewestVehicles: false,
    stops: stops.map((stop) => ({
      pickup: indexOf.get(stop.pickupId)!,
      units: stop.units,
      release: stop.readyAtMs - nowMs,
      ready: stop.windowStartMs - nowMs,
      due: stop.windowEndMs - nowMs,
      service: stop.serviceSeconds * 1_000,
    })),
    vehicles: couriers.map((courier, kind) => {
      const pace = millisPerMinute / metersPerMinute[courier.vehicle];
      const approaches = pickups.map(({ location }) => distance(courier.location, location));
      const starts = Math.max(0, courier.shiftStartMs - nowMs);
      const leaves = approaches.map((meters) => starts + meters * pace);
      return {
        capacity: courier.capacity,
        pace,
        shiftEnd: courier.shiftEndMs - nowMs,
        leaves,
        approaches,
        kind,
      };
    }),
  };
}

function toRoute(
  problem: CourierProblem,
  model: RoutesProblem,
  index: number,
  order: number[],
): CourierRoute {
  const courier = problem.couriers[index]!;
  const { pace, leaves, approaches } = model.vehicles[index]!;
  const pickup = model.stops[order[0]!]!.pickup;
  const places = model.stops.length + model.pickups;
  const released = order.map((stop) => model.stops[stop]!.release);
  const leavesPickup = Math.max(leaves[pickup]!, ...released);
  const stops: CourierRoute["stops"] = [];
  let [time, from, meters] = [leavesPickup, model.stops.length + pickup, approaches[pickup]!];
  for (const stop of order) {
    const leg = model.lengths[from * places + stop]!;
    const { ready, service } = model.stops[stop]!;
    const arrives = time + leg * pace;
    const starts = Math.max(arrives, ready);
    time = starts + service;
    const [arrivesAtMs, startsAtMs, leavesAtMs] = [arrives, starts, time].map(
      (at) => problem.nowMs + Math.round(at),
    ) as [number, number, number];
    stops.push({ stopId: problem.stops[stop]!.id, arrivesAtMs, startsAtMs, leavesAtMs });
    meters += leg;
    from = stop;
  }
  const { id: pickupId, location } = problem.pickups[pickup]!;
  return {
    courierId: courier.id,
    pickupId,
    leavesPickupAtMs: problem.nowMs + Math.round(leavesPickup),
    stops,
    distanceMeters: meters,
    polyline: encodePolyline([
      courier.location,
      location,
      ...order.map((stop) => problem.stops[stop]!.location),
    ]),
  };
}

const toUnassigned = (
  { stops, couriers }: CourierProblem,
  { unserved, never }: RoutesSolution,
): CourierPlan["unassigned"] =>
  unserved.map((stop) => ({
    stopId: stops[stop]!.id,
    reason: (couriers.length > 0 && never[stop]) || "no_room",
  }));
