import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createBatcher } from "../../src/platform/batcher.ts";
import { UoopError } from "../../src/platform/errors.ts";

/** Runs that end when the test says so. */
function heldRuns() {
  const batches: (readonly number[])[] = [];
  const release: (() => void)[] = [];
  const run = (batch: readonly number[]) =>
    new Promise<readonly number[]>((resolve) => {
      batches.push(batch);
      release.push(() => resolve(batch.map((item) => item * 10)));
    });
  return { batches, release, run };
}

test("what arrives in one turn of the event loop is one batch, answered in input order", async () => {
  const sizes: number[] = [];
  const run = async (batch: readonly number[]) => {
    sizes.push(batch.length);
    return batch.map((item) => item * 10);
  };
  const batcher = createBatcher({ run, maxBatchItems: 100, maxRuns: 1, maxQueuedItems: 100 });
  assert.deepEqual(await Promise.all([1, 2, 3].map((item) => batcher.submit(item))), [10, 20, 30]);
  assert.deepEqual(sizes, [3]);
});

test("what arrives while a batch is under way is the next batch", async () => {
  const { batches, release, run } = heldRuns();
  const batcher = createBatcher({ run, maxBatchItems: 100, maxRuns: 1, maxQueuedItems: 100 });
  const first = batcher.submit(1);
  await turn();
  const rest = [2, 3, 4].map((item) => batcher.submit(item));
  await turn();
  assert.deepEqual(batches, [[1]]);
  assert.equal(batcher.queued, 3);
  release[0]?.();
  await first;
  await turn();
  assert.deepEqual(batches, [[1], [2, 3, 4]]);
  release[1]?.();
  assert.deepEqual(await Promise.all(rest), [20, 30, 40]);
});

test("a batch takes no more than its limit, and no more runs are under way than allowed", async () => {
  const { batches, release, run } = heldRuns();
  const batcher = createBatcher({ run, maxBatchItems: 2, maxRuns: 2, maxQueuedItems: 100 });
  const all = Promise.all([1, 2, 3, 4, 5].map((item) => batcher.submit(item)));
  await turn();
  assert.deepEqual(batches, [
    [1, 2],
    [3, 4],
  ]);
  release[1]?.();
  await turn();
  await turn();
  assert.deepEqual(batches[2], [5]);
  release[0]?.();
  release[2]?.();
  assert.deepEqual(await all, [10, 20, 30, 40, 50]);
});

test("a full queue refuses at once with overloaded, and what was taken is still done", async () => {
  const { release, run } = heldRuns();
  const batcher = createBatcher({ run, maxBatchItems: 1, maxRuns: 1, maxQueuedItems: 1 });
  const first = batcher.submit(1);
  await turn();
  const second = batcher.submit(2);
  await assert.rejects(
    batcher.submit(3),
    (error) => error instanceof UoopError && error.code === "overloaded",
  );
  release[0]?.();
  assert.equal(await first, 10);
  await turn();
  release[1]?.();
  assert.equal(await second, 20);
});

test("a run that fails, or answers too few, fails its own items and no others", async () => {
  const answers = [() => Promise.reject(new Error("away")), async () => [], async () => [7]];
  const run = () => (answers.shift() as () => Promise<readonly number[]>)();
  const batcher = createBatcher<number, number>({ run, maxBatchItems: 1, maxRuns: 1, maxQueuedItems: 10 });
  const results = await Promise.allSettled([1, 2, 3].map((item) => batcher.submit(item)));
  assert.deepEqual(
    results.map((result) =>
      result.status === "fulfilled" ? result.value : (result.reason as Error).message,
    ),
    ["away", "batch of 1 answered 0", 7],
  );
});

test("drain waits for what is queued and running, and is immediate when idle", async () => {
  const { release, run } = heldRuns();
  const batcher = createBatcher({ run, maxBatchItems: 1, maxRuns: 1, maxQueuedItems: 10 });
  await batcher.drain();
  let drained = false;
  const items = [batcher.submit(1), batcher.submit(2)];
  const drain = batcher.drain().then(() => (drained = true));
  await turn();
  release[0]?.();
  await items[0];
  assert.equal(drained, false);
  await turn();
  release[1]?.();
  await drain;
  assert.equal(await items[1], 20);
});
