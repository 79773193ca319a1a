import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { solomonText } from "../../../bench/routes/recipe.ts";
import { verify } from "../../../bench/routes/verify.ts";
import type { RoutesProblem, Stop, Vehicle } from "../../../src/optimization/routes/problem.ts";
import { readSolomon } from "../../../src/optimization/routes/solomon.ts";
import { type RoutesSolution, solveRoutes } from "../../../src/optimization/routes/solve.ts";
import { compare, drive, exact } from "./exact.ts";

/** A clock that goes on by a ms at each look, so that a search is as long on every machine. */
const lookClock = () => {
  let ms = 0;
  return () => ms++;
};

const place = fc.record({ x: fc.integer({ min: 0, max: 40 }), y: fc.integer({ min: 0, max: 40 }) });

const stop = (pickups: number): fc.Arbitrary<Stop> =>
  fc
    .record({
      pickup: fc.integer({ min: 0, max: pickups - 1 }),
      units: fc.integer({ min: 0, max: 6 }),
      release: fc.integer({ min: 0, max: 40 }),
      ready: fc.integer({ min: 0, max: 80 }),
      width: fc.integer({ min: 0, max: 80 }),
      service: fc.integer({ min: 0, max: 10 }),
    })
    .map(({ width, ...rest }) => ({ ...rest, due: rest.ready + width }));

const vehicle = (pickups: number): fc.Arbitrary<Omit<Vehicle, "kind">> =>
  fc.record({
    capacity: fc.integer({ min: 0, max: 14 }),
    pace: fc.constantFrom(0.5, 1, 2),
    shiftEnd: fc.integer({ min: 30, max: 200 }),
    leaves: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: pickups, maxLength: pickups }),
    approaches: fc.array(fc.integer({ min: 0, max: 20 }), { minLength: pickups, maxLength: pickups }),
  });

function lengthsOf(places: readonly { x: number; y: number }[]): Float64Array {
  return Float64Array.from(places.flatMap((a) => places.map((b) => Math.hypot(a.x - b.x, a.y - b.y))));
}

/** Couriers that differ in everything, several pick-ups, releases. */
const couriers: fc.Arbitrary<RoutesProblem> = fc
  .record({ pickups: fc.integer({ min: 1, max: 2 }), count: fc.integer({ min: 0, max: 5 }) })
  .chain(({ pickups, count }) =>
    fc.record({
      places: fc.array(place, { minLength: count + pickups, maxLength: count + pickups }),
      stops: fc.array(stop(pickups), { minLength: count, maxLength: count }),
      vehicles: fc.array(vehicle(pickups), { minLength: 1, maxLength: 3 }),
      returns: fc.boolean(),
      pickups: fc.constant(pickups),
    }),
  )
  .map(({ places, vehicles, ...rest }) => ({
    ...rest,
    lengths: lengthsOf(places),
    vehicles: vehicles.map((each, kind) => ({ ...each, kind })),
    fewestVehicles: false,
  }));

/** Solomon's kind: alike vehicles, one depot, fewest vehicles. */
const fleets: fc.Arbitrary<RoutesProblem> = couriers.map((problem) => ({
  ...problem,
  stops: problem.stops.map((each) => ({ ...each, pickup: 0, release: 0 })),
  vehicles: Array.from({ length: 4 }, () => ({ ...problem.vehicles[0]!, kind: 0 })),
  fewestVehicles: true,
}));

/** What any answer must keep; its value. */
function check(problem: RoutesProblem, solution: RoutesSolution) {
  const served = solution.routes.flat();
  assert.deepEqual(
    [...served, ...solution.unserved].toSorted((a, b) => a - b),
    [...problem.stops.keys()],
    "each stop is served once or said to be unserved",
  );
  let length = 0;
  for (const [index, route] of solution.routes.entries()) {
    if (route.length === 0) continue;
    const driven = drive(problem, index, route);
    assert.ok(driven !== null, `vehicle ${index} can't drive ${route}`);
    length += driven;
  }
  assert.ok(Math.abs(length - solution.distance) < 1e-6, `${solution.distance} is not ${length}`);
  assert.equal(solution.vehicles, solution.routes.filter((route) => route.length > 0).length);
  return { unserved: solution.unserved.length, vehicles: solution.vehicles, length };
}

for (const [name, problems] of Object.entries({ couriers, fleets })) {
  test(`2,000 tiny problems (${name}): the construction keeps every limit and is never better than the best`, () => {
    fc.assert(
      fc.property(problems, fc.nat(), (problem, seed) => {
        const found = check(problem, solveRoutes(problem, { deadlineMs: 0, seed, now: lookClock() }));
        assert.ok(compare(problem, exact(problem), found) <= 0);
      }),
      { numRuns: 2_000 },
    );
  });
}

test("1,000 tiny fleets: as few vehicles, and as short, as trying everything finds", () => {
  fc.assert(
    fc.property(fleets, fc.nat(), (problem, seed) => {
      const found = check(problem, solveRoutes(problem, { deadlineMs: 100, seed, now: lookClock() }));
      const best = exact(problem);
      assert.equal(compare(problem, best, found), 0, JSON.stringify({ found, best }));
    }),
    { numRuns: 1_000 },
  );
});

test("1,000 tiny problems of couriers that differ: at least 99 % are solved to the best", () => {
  let [all, best] = [0, 0];
  fc.assert(
    fc.property(couriers, fc.nat(), (problem, seed) => {
      const target = exact(problem);
      const found = check(problem, solveRoutes(problem, { deadlineMs: 100, seed, now: lookClock() }));
      assert.ok(compare(problem, target, found) <= 0);
      all += 1;
      if (compare(problem, target, found) === 0) best += 1;
    }),
    { numRuns: 1_000 },
  );
  assert.ok(best >= 0.99 * all, `${best} of ${all}`);
});

test("who is never served could be served alone by no vehicle, and all others by one", () => {
  fc.assert(
    fc.property(couriers, (problem) => {
      const { never } = solveRoutes(problem, { deadlineMs: 0, seed: 1, now: lookClock() });
      for (const index of problem.stops.keys()) {
        const possible = problem.vehicles.some((_, each) => drive(problem, each, [index]) !== null);
        assert.equal(never[index] === null, possible);
      }
    }),
  );
});

test("files of 50 customers with a hidden plan: feasible by the file's text, and as few vehicles as the plan's", () => {
  for (const seed of [1, 2, 3]) {
    const text = solomonText(seed);
    const { problem, customers } = readSolomon(text);
    const solution = solveRoutes(problem, { deadlineMs: 1_500, seed, now: lookClock() });
    const routes = solution.routes
      .filter((route) => route.length > 0)
      .map((route) => route.map((at) => customers[at]!));
    assert.deepEqual(verify(text, { ...solution, routes }), []);
    assert.equal(solution.vehicles, 5, `seed ${seed}`);
  }
});

test("the same seed and clock give the same routes, another seed others", () => {
  const { problem } = readSolomon(solomonText(4, { vehicles: 6, width: 150 }));
  const solve = (seed: number) => solveRoutes(problem, { deadlineMs: 60, seed, now: lookClock() }).routes;
  assert.deepEqual(solve(1), solve(1));
  assert.notDeepEqual(solve(1), solve(2));
});

test("a longer search is never worse than the construction that it began with", () => {
  const { problem } = readSolomon(solomonText(5, { vehicles: 8 }));
  const value = (deadlineMs: number) =>
    check(problem, solveRoutes(problem, { deadlineMs, seed: 1, now: lookClock() }));
  assert.ok(compare(problem, value(200), value(0)) < 0);
});

test("two places that are one, no customers, and one customer are no trouble", () => {
  const one: Stop = { pickup: 0, units: 0, release: 0, ready: 0, due: 0, service: 0 };
  const alike = { capacity: 0, pace: 1, shiftEnd: 0, leaves: [0], approaches: [0], kind: 0 };
  for (const count of [0, 1, 3]) {
    const problem: RoutesProblem = {
      lengths: new Float64Array((count + 1) ** 2),
      stops: Array.from({ length: count }, () => one),
      pickups: 1,
      vehicles: [alike, alike],
      returns: true,
      fewestVehicles: true,
    };
    const found = check(problem, solveRoutes(problem, { deadlineMs: 20, seed: 1, now: lookClock() }));
    assert.deepEqual(found, { unserved: 0, vehicles: Math.min(1, count), length: 0 });
  }
});
