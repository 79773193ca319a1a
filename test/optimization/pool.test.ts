import assert from "node:assert/strict";
import { after, test } from "node:test";
import { solveAssignment } from "../../src/optimization/assign/solve.ts";
import { createSolverPool } from "../../src/optimization/pool.ts";
import { asked } from "./bad-worker.ts";
import { instance } from "./instances.ts";
import { verify } from "./verify.ts";

const workerFile = new URL("./bad-worker.ts", import.meta.url);
const failures: Error[] = [];
const pool = createSolverPool({
  threads: 1,
  graceMs: 0,
  hangMs: 100,
  maxHeapMegabytes: 64,
  maxWaiting: 2,
  failed: (error) => failures.push(error),
  workerFile,
});
after(() => pool.stop());

const problemOf = (orders: number) => instance({ seed: 5, orders, channels: 3, load: 1 });
const untimed = { deadlineMs: 60_000, maxRounds: 5 };

test("a worker answers what the solver would, and the caller keeps its problem", async () => {
  await pool.start();
  const problem = problemOf(120);
  const before = structuredClone(problem);
  const solution = await pool.assign(problem, { ...untimed, seed: 3 });
  assert.deepEqual(solution, solveAssignment(problem, { ...untimed, seed: 3, now: () => 0 }));
  assert.deepEqual(problem, before);
  assert.equal(failures.length, 0);
});

for (const [name, orders] of Object.entries(asked)) {
  test(`when a worker is made to ${name}, the caller gets the greedy answer and the next solve a new worker`, async () => {
    failures.length = 0;
    const problem = problemOf(orders);
    const deadlineMs = name === "hang" ? 50 : 60_000;
    const solution = await pool.assign(problem, { deadlineMs });
    assert.deepEqual(solution, solveAssignment(problem, { deadlineMs: 0, now: () => 0 }));
    assert.equal(verify(problem, solution.assignment), solution.objective);
    assert.equal(failures.length, 1);
    const next = await pool.assign(problemOf(120), untimed);
    assert.equal(next.method, "lagrangian");
    assert.equal(failures.length, 1);
  });
}

test("more solves than may wait are answered by greedy at once, the others by workers", async () => {
  failures.length = 0;
  const problem = problemOf(120);
  const solutions = await Promise.all(Array.from({ length: 5 }, () => pool.assign(problem, untimed)));
  assert.deepEqual(solutions.map(({ method }) => method).sort(), [
    ...["lagrangian", "lagrangian", "lagrangian"],
    ...["regret", "regret"],
  ]);
  assert.equal(failures.length, 2);
});
