import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type GapClass, generateGap } from "../../bench/gap/generate.ts";
import {
  addItem,
  createKnapsack,
  marginalLosses,
  solveKnapsack,
} from "../../src/optimization/gap/knapsack.ts";
import { parseGap } from "../../src/optimization/gap/or-library.ts";
import { solveGap } from "../../src/optimization/gap/solve.ts";
import type { AssignmentProblem } from "../../src/optimization/problem.ts";
import { bruteForce, costOf, verifyGap } from "./gap-verifier.ts";

const now = () => performance.now();
/** For problems that end by themselves. */
const patient = { deadlineMs: 60_000, seed: 1, now };

/** A clock that moves on by a millisecond each time it is looked at: the same deadline cuts the same way everywhere. */
function countingClock(): () => number {
  let ms = 0;
  return () => ms++;
}

const problems = (whole: boolean): fc.Arbitrary<AssignmentProblem> =>
  fc
    .record({
      orders: fc.integer({ min: 0, max: 6 }),
      channels: fc.integer({ min: 0, max: 3 }),
      resources: fc.integer({ min: 0, max: 3 }),
      sameUse: fc.boolean(),
      unservedCost: fc.constantFrom(Number.POSITIVE_INFINITY, 0, 7, 40),
      load: fc.constantFrom(1, 2, 3, 50_000),
    })
    .chain(({ orders, channels, resources, sameUse, unservedCost, load }) => {
      const cost = fc.oneof(
        {
          weight: 9,
          arbitrary: whole ? fc.integer({ min: -3, max: 30 }) : fc.double({ min: 0, max: 9, noNaN: true }),
        },
        { weight: 1, arbitrary: fc.constant(Number.POSITIVE_INFINITY) },
      );
      const list = (of: fc.Arbitrary<number>, length: number) =>
        fc.array(of, { minLength: length, maxLength: length });
      return fc
        .tuple(
          list(cost, orders * channels),
          list(fc.integer({ min: 0, max: 9 * load }), orders * resources * (sameUse ? 1 : channels)),
          list(fc.integer({ min: 0, max: 24 * load }), channels * resources),
        )
        .map(([costs, use, capacity]) => ({
          orders,
          channels,
          resources,
          cost: Float64Array.from(costs),
          use: Int32Array.from(use),
          orderStride: resources * (sameUse ? 1 : channels),
          channelStride: sameUse ? 0 : resources,
          capacity: Int32Array.from(capacity),
          unservedCost,
        }));
    });

for (const whole of [true, false]) {
  test(`what is called optimal or infeasible is so, on thousands of small problems (${whole ? "whole" : "real"} costs)`, () => {
    const seen = { optimal: 0, infeasible: 0, feasible: 0, unknown: 0 };
    fc.assert(
      fc.property(problems(whole), (problem) => {
        const solution = solveGap(problem, patient);
        const best = bruteForce(problem);
        seen[solution.status] += 1;
        assert.equal(solution.status, best === Number.POSITIVE_INFINITY ? "infeasible" : "optimal");
        const tolerance = whole ? 0 : 1e-6;
        if (solution.status === "optimal") {
          assert.ok(Math.abs(costOf(problem, solution.assignment) - solution.objective) <= tolerance);
          assert.ok(Math.abs(solution.objective - best) <= tolerance, `${solution.objective}, best ${best}`);
          assert.ok(solution.bound <= best + tolerance);
        } else assert.equal(solution.objective, Number.POSITIVE_INFINITY);
      }),
      { numRuns: 3_000 },
    );
    assert.ok(seen.optimal > 1_000 && seen.infeasible > 100, JSON.stringify(seen));
  });
}

test("wherever the deadline cuts, the answer keeps all limits and its bound holds", () => {
  fc.assert(
    fc.property(problems(true), fc.integer({ min: 0, max: 60 }), (problem, deadlineMs) => {
      const solution = solveGap(problem, { deadlineMs, seed: 3, now: countingClock() });
      const best = bruteForce(problem);
      assert.ok(solution.bound <= best, `bound ${solution.bound}, best ${best}`);
      if (Number.isFinite(solution.objective))
        assert.equal(costOf(problem, solution.assignment), solution.objective);
      if (solution.status === "optimal") assert.equal(solution.objective, best);
      if (solution.status === "infeasible") assert.equal(best, Number.POSITIVE_INFINITY);
      if (solution.status === "unknown") assert.ok(solution.assignment.every((channel) => channel === -1));
    }),
    { numRuns: 2_000 },
  );
});

test("a knapsack's value, and what each decision turned round would cost, are those of all subsets", () => {
  const items = fc.array(fc.tuple(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 0, max: 30 })), {
    minLength: 1,
    maxLength: 14,
  });
  fc.assert(
    fc.property(items, fc.integer({ min: 30, max: 200 }), (list, capacity) => {
      const sack = createKnapsack(list.length);
      list.forEach(([profit, weight], item) => {
        addItem(sack, item, profit / 1_024, weight);
      });
      const value = solveKnapsack(sack, capacity);
      const { best, within, without } = allSubsets(list, capacity);
      assert.equal(value, best / 1_024);
      marginalLosses(sack, capacity, value);
      list.forEach((_, item) => {
        const turned = sack.taken[item] ? without[item]! : within[item]!;
        assert.equal(sack.loss[item], value - turned / 1_024);
      });
    }),
    { numRuns: 300 },
  );
});

function allSubsets(items: readonly [number, number][], capacity: number) {
  const within = items.map(() => Number.NEGATIVE_INFINITY);
  const without = items.map(() => Number.NEGATIVE_INFINITY);
  let best = 0;
  for (let subset = 0; subset < 1 << items.length; subset += 1) {
    let [profit, weight] = [0, 0];
    items.forEach(([p, w], item) => {
      if ((subset >> item) & 1) [profit, weight] = [profit + p, weight + w];
    });
    if (weight > capacity) continue;
    best = Math.max(best, profit);
    items.forEach((_, item) => {
      const list = (subset >> item) & 1 ? within : without;
      list[item] = Math.max(list[item]!, profit);
    });
  }
  return { best, within, without };
}

for (const kind of ["A", "B", "C"] as const satisfies readonly GapClass[]) {
  test(`class ${kind}, 5 agents and 60 jobs: proven optimal`, () => {
    for (const seed of [1, 2, 3]) {
      const text = generateGap(kind, 5, 60, seed);
      const { assignment, objective, bound, status } = solveGap(parseGap(text), patient);
      assert.deepEqual(verifyGap(text, [...assignment]), { objective, broken: [] });
      assert.equal(status, "optimal", `seed ${seed}: ${objective}, bound ${bound}`);
      assert.equal(bound, objective);
    }
  });
}

test("class D, 10 agents and 60 jobs: within 1 % of its own bound after 1,500 looks at the clock, and the same each time", () => {
  const text = generateGap("D", 10, 60, 1);
  const solve = () => solveGap(parseGap(text), { deadlineMs: 1_500, seed: 1, now: countingClock() });
  const solution = solve();
  assert.deepEqual(verifyGap(text, [...solution.assignment]), { objective: solution.objective, broken: [] });
  assert.ok(solution.objective <= solution.bound * 1.01, `${solution.objective}, bound ${solution.bound}`);
  assert.deepEqual(solve(), solution, "the same problem and seed: the same answer");
});

test("a deadline of 0 answers greedily, within all limits", () => {
  for (const kind of ["A", "B", "C", "D"] as const) {
    const text = generateGap(kind, 10, 100, 5);
    const { assignment, objective, method, bound } = solveGap(parseGap(text), {
      deadlineMs: 0,
      seed: 1,
      now,
    });
    assert.equal(method, "greedy");
    assert.deepEqual(verifyGap(text, [...assignment]), { objective, broken: [] });
    assert.ok(bound <= objective);
  }
});

test("too little capacity says which and by how much, a job that fits nowhere which", () => {
  const short = solveGap(parseGap("2 2  1 1 1 1  7 5 6 8  6 4"), patient);
  assert.equal(short.status, "infeasible");
  assert.deepEqual(short.shortages, [{ kind: "order", order: 0 }]);
  const total = solveGap(parseGap("2 3  1 1 1 1 1 1  5 5 5 4 4 4  6 5"), patient);
  assert.deepEqual(total.shortages, [{ kind: "resource", resource: 0, wanted: 12, available: 11 }]);
  const hidden = solveGap(parseGap("2 3  1 1 1 1 1 1  3 3 3 3 3 3  5 5"), patient);
  assert.equal(hidden.status, "infeasible");
  assert.deepEqual(hidden.shortages, [], "the sum would do; only a search shows it");
});

test("numbers that mean nothing are refused", () => {
  const good = parseGap("1 1  1  1  1");
  const bad: Partial<AssignmentProblem>[] = [
    { cost: Float64Array.of(Number.NaN) },
    { cost: Float64Array.of() },
    { use: Int32Array.of(-1) },
    { use: Int32Array.of() },
    { capacity: Int32Array.of(-1) },
    { unservedCost: Number.NaN },
    { orders: Number.NaN },
  ];
  for (const part of bad)
    assert.throws(() => solveGap({ ...good, ...part }, patient), RangeError, JSON.stringify(part));
});
