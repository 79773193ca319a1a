import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CourierProblem, planCouriers } from "../../../src/optimization/routes/courier-plan.ts";
import { encodePolyline } from "../../../src/optimization/routes/polyline.ts";

const lookClock = () => {
  let ms = 0;
  return () => ms++;
};
const options = { deadlineMs: 40, seed: 1, now: lookClock() };
const minute = 60_000;
const nowMs = Date.parse("2030-01-01T08:00:00Z");
/** About 111 m a thousandth of a degree of latitude. */
const north = (thousandths: number) => ({ lat: 25 + thousandths / 1_000, lng: 55 });

const kitchen = { id: "kitchen", location: north(0) };
const courier = {
  id: "ann",
  vehicle: "bike" as const,
  location: north(0),
  capacity: 10,
  shiftStartMs: nowMs,
  shiftEndMs: nowMs + 120 * minute,
};
const stop = {
  id: "one",
  pickupId: "kitchen",
  location: north(9),
  units: 1,
  readyAtMs: nowMs,
  windowStartMs: nowMs,
  windowEndMs: nowMs + 60 * minute,
  serviceSeconds: 120,
};

const plan = (change: Partial<CourierProblem>) =>
  planCouriers({ nowMs, pickups: [kitchen], couriers: [courier], stops: [stop], ...change }, options);

test("a courier goes to the pick-up, leaves once all of the trip is ready, and is at each stop when the distance says", () => {
  const late = { ...stop, id: "two", location: north(18), readyAtMs: nowMs + 10 * minute };
  const { routes, unassigned } = plan({ stops: [late, stop] });
  assert.deepEqual(unassigned, []);
  const [route] = routes;
  assert.equal(route!.leavesPickupAtMs, nowMs + 10 * minute);
  assert.deepEqual(
    route!.stops.map(({ stopId }) => stopId),
    ["one", "two"],
  );
  // 1,000.8 m and again as much, at 250 m a minute; 2 minutes at the first door.
  const [first, second] = route!.stops.map(({ arrivesAtMs }) => (arrivesAtMs - nowMs) / minute);
  assert.ok(Math.abs(first! - 14.003) < 0.01 && Math.abs(second! - 20.006) < 0.01, `${first}, ${second}`);
  assert.ok(Math.abs(route!.distanceMeters - 2_001.5) < 1);
});

test("who is too early at a door waits for the window", () => {
  const { routes } = plan({ stops: [{ ...stop, windowStartMs: nowMs + 30 * minute }] });
  const [at] = routes[0]!.stops;
  assert.ok(at!.arrivesAtMs < at!.startsAtMs);
  assert.equal(at!.startsAtMs, nowMs + 30 * minute);
  assert.equal(at!.leavesAtMs, nowMs + 32 * minute);
});

test("a stop that nobody takes has the reason", () => {
  const reasons = (change: Partial<CourierProblem>) => plan(change).unassigned.map(({ reason }) => reason);
  assert.deepEqual(reasons({ stops: [{ ...stop, units: 11 }] }), ["capacity"]);
  assert.deepEqual(reasons({ stops: [{ ...stop, windowEndMs: nowMs + minute }] }), ["window"]);
  assert.deepEqual(reasons({ couriers: [{ ...courier, shiftEndMs: nowMs + 5 * minute }] }), ["shift"]);
  assert.deepEqual(
    reasons({
      stops: [
        { ...stop, units: 6 },
        { ...stop, id: "two", units: 6 },
      ],
    }),
    ["no_room"],
  );
  assert.deepEqual(reasons({ couriers: [] }), ["no_room"]);
  assert.deepEqual(reasons({ stops: [] }), []);
});

test("a courier carries only what is picked up at one place; a shift that begins later begins later", () => {
  const other = { id: "other", location: north(1) };
  const stops = [stop, { ...stop, id: "two", pickupId: "other" }];
  const bob = { ...courier, id: "bob", shiftStartMs: nowMs + 20 * minute };
  const { routes, unassigned } = plan({ pickups: [kitchen, other], couriers: [courier, bob], stops });
  assert.deepEqual(unassigned, []);
  assert.deepEqual(
    routes.map(({ stops: served }) => served.length),
    [1, 1],
  );
  assert.ok(routes.find(({ courierId }) => courierId === "bob")!.leavesPickupAtMs >= nowMs + 20 * minute);
});

test("polylines are those of the format's own example, and decode to their points", () => {
  const example = [
    { lat: 38.5, lng: -120.2 },
    { lat: 40.7, lng: -120.95 },
    { lat: 43.252, lng: -126.453 },
  ];
  assert.equal(encodePolyline(example), "_p~iF~ps|U_ulLnnqC_mqNvxq`@");
  const coordinate = (most: number) =>
    fc.integer({ min: -most * 1e5, max: most * 1e5 }).map((value) => value / 1e5);
  fc.assert(
    fc.property(fc.array(fc.record({ lat: coordinate(90), lng: coordinate(180) })), (points) => {
      assert.deepEqual(
        decode(encodePolyline(points)),
        points.flatMap(({ lat, lng }) => [Math.round(lat * 1e5), Math.round(lng * 1e5)]),
      );
    }),
  );
});

/** The numbers of a polyline, each pair added to the one before. */
function decode(text: string): number[] {
  const numbers: number[] = [];
  let [value, shift] = [0, 0];
  for (const character of text) {
    const bits = character.charCodeAt(0) - 63;
    value += (bits & 31) * 2 ** shift;
    shift += 5;
    if (bits & 32) continue;
    numbers.push((value % 2 === 1 ? -(value + 1) / 2 : value / 2) + (numbers.at(-2) ?? 0));
    [value, shift] = [0, 0];
  }
  return numbers;
}
