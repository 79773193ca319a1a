import assert from "node:assert/strict";
import type { CourierRoutesAnswer, CourierRoutesBody } from "../../../src/gateway/schemas-courier-routes.ts";
import { randomStream } from "../../../src/optimization/routes/random.ts";

const minuteMs = 60_000;
const vehicles = ["bike", "scooter", "car", "van", "walk"] as const;
/** Metres a minute, as docs/routing.md has them; written down once more so that the check depends on nothing of the solver. */
const pace = { walk: 80, bike: 250, scooter: 400, car: 400, van: 350 };
/** Answers are rounded to the millisecond, and a distance to the metre. */
const roundingMs = 2;

/** A request of couriers and stops in and around Dubai's Marina; some stops are hard to serve or can't be. */
export function randomBody(seed: number, sizes: { stops: number; couriers: number }): CourierRoutesBody {
  const random = randomStream(seed);
  const upTo = (most: number) => Math.floor(random() * most);
  const place = () => ({ lat: 25.05 + random() * 0.06, lng: 55.1 + random() * 0.08 });
  const after = (minutes: number) => new Date(Date.now() + Math.round(minutes * minuteMs)).toISOString();
  const between = (start: number, length: number) => ({ start: after(start), end: after(start + length) });
  return {
    pickups: Array.from({ length: 2 }, (_, at) => ({ id: `pickup ${at}`, location: place() })),
    couriers: Array.from({ length: sizes.couriers }, (_, at) => ({
      id: `courier ${at}`,
      vehicle: vehicles[at % vehicles.length]!,
      location: place(),
      capacityUnits: 4 + upTo(8),
      shift: between(-30 + upTo(60), 120 + upTo(120)),
    })),
    stops: Array.from({ length: sizes.stops }, (_, at) => ({
      id: `stop ${at}`,
      pickupId: `pickup ${upTo(2)}`,
      location: place(),
      units: at === 0 ? 50 : 1 + upTo(at % 20 === 1 ? 20 : 3), // nobody has room for the first
      readyAt: after(upTo(40)),
      window: between(-20 + upTo(90), 30 + upTo(90)),
      serviceSeconds: upTo(300),
    })),
  };
}

/** Drives the answer's routes by the request alone: every time, distance, window, load and shift is computed anew. */
export function checkRoutes(body: CourierRoutesBody, answer: CourierRoutesAnswer): void {
  const served = answer.routes.flatMap(({ stops }) => stops.map(({ stopId }) => stopId));
  const left = answer.unassigned.map(({ stopId }) => stopId);
  assert.deepEqual([...served, ...left].sort(), body.stops.map(({ id }) => id).sort(), "each stop once");
  const couriers = answer.routes.map(({ courierId }) => courierId);
  assert.equal(new Set(couriers).size, couriers.length, "one trip for each courier");
  for (const route of answer.routes) checkRoute(body, route);
  const meters = answer.routes.reduce((sum, { distanceMeters }) => sum + distanceMeters, 0);
  assert.ok(Math.abs(meters - answer.distanceMeters) <= answer.routes.length + 1);
}

function checkRoute(body: CourierRoutesBody, route: CourierRoutesAnswer["routes"][number]): void {
  const courier = body.couriers.find(({ id }) => id === route.courierId)!;
  const pickup = body.pickups.find(({ id }) => id === route.pickupId)!;
  const stops = route.stops.map(({ stopId }) => body.stops.find(({ id }) => id === stopId)!);
  const takesMs = (meters: number) => (meters / pace[courier.vehicle]) * minuteMs;
  const near = (text: string, ms: number, what: string) =>
    assert.ok(
      Math.abs(Date.parse(text) - ms) <= roundingMs,
      `${what}: ${text}, not ${new Date(ms).toISOString()}`,
    );

  const leaves = Date.parse(route.leavesPickupAt);
  let meters = metersBetween(courier.location, pickup.location);
  near(route.setsOutAt, leaves - takesMs(meters), "sets out");
  assert.ok(Date.parse(route.setsOutAt) >= Date.parse(courier.shift.start) - roundingMs, "within the shift");
  for (const { pickupId, readyAt } of stops) {
    assert.equal(pickupId, pickup.id);
    assert.ok(leaves >= Date.parse(readyAt!), "what is not ready is not taken");
  }
  assert.ok(stops.reduce((sum, { units }) => sum + units, 0) <= courier.capacityUnits, "no more than fits");
  let [at, from] = [leaves, pickup.location];
  for (const [index, stop] of stops.entries()) {
    const told = route.stops[index]!;
    const leg = metersBetween(from, stop.location);
    const starts = Math.max(at + takesMs(leg), Date.parse(stop.window.start));
    near(told.arrivesAt, at + takesMs(leg), "arrives");
    near(told.startsAt, starts, "starts");
    assert.ok(told.startsAt <= stop.window.end, "within the window");
    at = starts + stop.serviceSeconds * 1_000;
    near(told.leavesAt, at, "leaves");
    meters += leg;
    from = stop.location;
  }
  assert.ok(at <= Date.parse(courier.shift.end) + roundingMs, "home in time");
  assert.ok(Math.abs(route.distanceMeters - meters) <= 1);
  assert.ok(Math.abs(route.minutes - (at - Date.parse(route.setsOutAt)) / minuteMs) <= 0.06);
  assert.ok(route.polyline.length > 0);
}

/** Whether some courier could serve a stop alone decides its reason. The plan was made between the two times. */
export function checkReasons(
  { pickups, couriers, stops }: CourierRoutesBody,
  { unassigned }: CourierRoutesAnswer,
  beforeMs: number,
  afterMs: number,
): void {
  for (const { stopId, reason } of unassigned) {
    const stop = stops.find(({ id }) => id === stopId)!;
    const pickup = pickups.find(({ id }) => id === stop.pickupId)!;
    /** How far each courier gets with it: 0 too many units, 1 too late for the window, 2 for the shift's end, 3 served. */
    const best = (nowMs: number) =>
      couriers.map(({ vehicle, location, capacityUnits, shift }) => {
        if (stop.units > capacityUnits) return 0;
        const takesMs = (meters: number) => (meters / pace[vehicle]) * minuteMs;
        const sets = Math.max(nowMs, Date.parse(shift.start));
        const reaches = sets + takesMs(metersBetween(location, pickup.location));
        const leaves = Math.max(reaches, Date.parse(stop.readyAt!));
        const arrives = leaves + takesMs(metersBetween(pickup.location, stop.location));
        if (arrives > Date.parse(stop.window.end)) return 1;
        const starts = Math.max(arrives, Date.parse(stop.window.start));
        return starts + stop.serviceSeconds * 1_000 > Date.parse(shift.end) ? 2 : 3;
      });
    const level = ["capacity", "window", "shift", "no_room"].indexOf(reason);
    // The later it is, the less is possible.
    assert.ok(
      Math.max(...best(afterMs)) <= level && level <= Math.max(...best(beforeMs)),
      `${stopId} ${reason}`,
    );
  }
}

/** By the spherical law of cosines' stable form with chords: another way than the solver's haversine, on the same sphere. */
function metersBetween(a: { lat: number; lng: number }, b: { lat: number; lng: number }): number {
  const point = ({ lat, lng }: { lat: number; lng: number }) => {
    const [phi, lambda] = [(lat * Math.PI) / 180, (lng * Math.PI) / 180];
    return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)] as const;
  };
  const [p, q] = [point(a), point(b)];
  const chord = Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
  return 2 * 6_371_008.8 * Math.asin(chord / 2);
}
