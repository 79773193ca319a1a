import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type PricedSolution, solveAssignment } from "../../src/optimization/assign/solve.ts";
import type { AssignmentProblem } from "../../src/optimization/problem.ts";
import { instance } from "./instances.ts";
import { cheapestOfAll, verify } from "./verify.ts";

const close = 1e-6;
/** Stands still: a solve ends when it is done, never by time. */
const untimed = { deadlineMs: 1e9, now: () => 0, maxRounds: 3 };

/** Few orders, scarce room, costs that tie; whole or not, all to be served or not, the same use everywhere or not. */
const smallProblem: fc.Arbitrary<AssignmentProblem> = fc
  .record({
    orders: fc.integer({ min: 0, max: 6 }),
    channels: fc.integer({ min: 1, max: 3 }),
    resources: fc.integer({ min: 0, max: 2 }),
    perChannel: fc.boolean(),
    unservedCost: fc.oneof(fc.constant(Number.POSITIVE_INFINITY), fc.integer({ min: 0, max: 40 })),
    scale: fc.constantFrom(1, 0.37),
  })
  .chain(({ orders, channels, resources, perChannel, unservedCost, scale }) => {
    const channelStride = perChannel ? resources : 0;
    const orderStride = perChannel ? channels * resources : resources;
    const cost = fc.oneof(
      { weight: 5, arbitrary: fc.integer({ min: 0, max: 30 }) },
      fc.constant(Number.POSITIVE_INFINITY),
    );
    const many = <T>(value: fc.Arbitrary<T>, length: number) =>
      fc.array(value, { minLength: length, maxLength: length });
    return fc
      .tuple(
        many(cost, orders * channels),
        many(fc.integer({ min: 0, max: 4 }), orders * orderStride),
        many(fc.integer({ min: 0, max: 9 }), channels * resources),
      )
      .map(([costs, use, capacity]) => ({
        orders,
        channels,
        resources,
        cost: Float64Array.from(costs, (each) => each * scale),
        use: Int32Array.from(use),
        orderStride,
        channelStride,
        capacity: Int32Array.from(capacity),
        unservedCost,
      }));
  });

function assertHonest(problem: AssignmentProblem, solution: PricedSolution, least: number): void {
  if (solution.objective < Number.POSITIVE_INFINITY) {
    assert.ok(Math.abs(verify(problem, solution.assignment) - solution.objective) < close);
  }
  assert.ok(solution.objective >= least - close);
  assert.ok(solution.bound <= least + close, `bound ${solution.bound} above ${least}`);
  if (solution.status === "optimal") assert.ok(Math.abs(solution.objective - least) < close);
  if (solution.status === "infeasible") assert.equal(least, Number.POSITIVE_INFINITY);
  assert.equal(
    solution.status === "optimal" || solution.status === "feasible",
    solution.objective < Number.POSITIVE_INFINITY,
  );
}

test("small problems are solved to a proven optimum, the one found by trying everything", () => {
  const methods = new Map<string, number>();
  fc.assert(
    fc.property(smallProblem, (problem) => {
      const least = cheapestOfAll(problem);
      const solution = solveAssignment(problem, untimed);
      assertHonest(problem, solution, least);
      assert.equal(solution.status, least < Number.POSITIVE_INFINITY ? "optimal" : "infeasible");
      methods.set(solution.method, (methods.get(solution.method) ?? 0) + 1);
    }),
    { numRuns: 4_000 },
  );
  assert.ok(
    [...methods.values()].every((count) => count > 20),
    JSON.stringify([...methods]),
  );
  assert.deepEqual([...methods.keys()].sort(), ["best_each", "branch_and_bound", "lagrangian"]);
});

test("whenever time runs out, the answer is feasible and its bound holds", () => {
  fc.assert(
    fc.property(smallProblem, fc.integer({ min: 0, max: 60 }), (problem, deadlineMs) => {
      let calls = 0;
      const now = () => calls++; // a clock on which every look takes a millisecond
      assertHonest(
        problem,
        solveAssignment(problem, { deadlineMs, now, maxRounds: 3 }),
        cheapestOfAll(problem),
      );
    }),
    { numRuns: 2_000 },
  );
});

test("prices of any other problem are no worse a start than none", () => {
  fc.assert(
    fc.property(
      smallProblem,
      fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 6, maxLength: 6 }),
      (problem, drawn) => {
        const prices = Float64Array.from(drawn.slice(0, problem.channels * problem.resources));
        const solution = solveAssignment(problem, { ...untimed, prices });
        const least = cheapestOfAll(problem);
        assertHonest(problem, solution, least);
        assert.equal(solution.status, least < Number.POSITIVE_INFINITY ? "optimal" : "infeasible");
      },
    ),
    { numRuns: 1_000 },
  );
});

test("a thousand orders on twenty channels come within 1.5 % of the bound, the same each time", () => {
  const problem = instance({ seed: 7, orders: 1_000, channels: 20, load: 0.95 });
  const first = solveAssignment(problem, { ...untimed, maxRounds: 30 });
  assert.ok(Math.abs(verify(problem, first.assignment) - first.objective) < close);
  assert.equal(first.method, "lagrangian");
  assert.ok(first.objective <= first.bound * 1.015, `${first.objective} above ${first.bound}`);
  const again = solveAssignment(problem, { ...untimed, maxRounds: 30 });
  assert.deepEqual(again, first);
  const warm = solveAssignment(problem, { ...untimed, maxRounds: 30, prices: first.prices });
  assert.ok(warm.bound >= first.bound - 1, "the same prices prove as much");
});

test("a deadline of 0 gets the greedy answer, with everyone's cheapest as its bound", () => {
  const problem = instance({ seed: 7, orders: 300, channels: 10, load: 0.95 });
  const greedy = solveAssignment(problem, { deadlineMs: 0, now: () => 0 });
  assert.equal(greedy.method, "regret");
  assert.equal(greedy.objective, verify(problem, greedy.assignment));
  const better = solveAssignment(problem, untimed);
  assert.ok(better.objective < greedy.objective && better.bound > greedy.bound);
});

test("where there is room for all, each gets its cheapest, proven at once", () => {
  const problem = instance({ seed: 7, orders: 300, channels: 10, load: 0.95 });
  const solution = solveAssignment(
    { ...problem, capacity: problem.capacity.map(() => 2_000) },
    { deadlineMs: 0, now: () => 0 },
  );
  assert.deepEqual([solution.method, solution.status], ["best_each", "optimal"]);
  assert.equal(solution.bound, solution.objective);
});

test("nothing to serve with: all stay unserved, proven", () => {
  const problem = instance({ seed: 7, orders: 50, channels: 5, load: 0.95 });
  const none = solveAssignment({ ...problem, capacity: problem.capacity.map(() => 0) }, untimed);
  assert.ok(none.assignment.every((channel, order) => channel === -1 || problem.use[order * 2] === 0));
  assert.equal(none.status, "optimal");
});
