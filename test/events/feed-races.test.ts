import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Bus, type LoggedRow, lastPosition } from "../../src/bus/api.ts";
import { createEventFeed } from "../../src/bus/feed.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { newOrderId, orderRow } from "./sample.ts";

/** Nothing ever times out: only wakes move things on. */
const clock: Clock = { nowMs: () => 0, after: () => () => undefined };

const watched = newOrderId(1);
const other = newOrderId(2);

/** Rows of two orders in turn, of one to three events each, so that positions fall within rows. */
function rowsOf(sizes: readonly number[]): LoggedRow[] {
  let position = 1;
  const versions = new Map([
    [watched, 1],
    [other, 1],
  ]);
  return sizes.map((size, index) => {
    const id = index % 3 === 1 ? watched : other;
    const from = versions.get(id)!;
    versions.set(id, from + size);
    const row = { ...orderRow(id, from, from + size - 1), position, loggedAt: "" };
    position = lastPosition(row) + 1;
    return row;
  });
}

/**
 * A bus whose every answer comes when the scheduler says so. A read shows what was published when it is answered, and may
 * stop short, as one that is answered from memory does.
 */
function scheduledBus(scheduler: fc.Scheduler, rows: readonly LoggedRow[], cuts: readonly number[]) {
  let publishedRows = 0;
  let reads = 0;
  const wakes = new Set<() => void>();
  const visible = () => rows.slice(0, publishedRows);
  const bus: Bus = {
    read: scheduler.scheduleFunction(async ({ after, limit, subject }) => {
      const cut = subject === undefined ? cuts[reads++ % cuts.length]! : limit;
      return visible()
        .filter((row) => lastPosition(row) > after && (subject === undefined || row.subject === subject))
        .slice(0, Math.min(limit, cut));
    }),
    history: async () => [],
    head: scheduler.scheduleFunction(async () => {
      const last = visible().at(-1);
      return last ? lastPosition(last) : 0;
    }),
    onPublished(wake) {
      wakes.add(wake);
      return () => wakes.delete(wake);
    },
    committed: async () => 0,
    commit: async () => undefined,
  };
  const publish = (count: number) => {
    publishedRows = Math.min(rows.length, publishedRows + count);
    for (const wake of wakes) wake();
  };
  return { bus, publish };
}

const subscriber = fc.record({
  from: fc.nat({ max: 12 }),
  orderId: fc.constantFrom(undefined, watched),
  pauses: fc.boolean(),
});

test("however reads, publishing and joining interleave, each subscriber gets exactly the rest", {
  timeout: 30_000,
}, async () => {
  const pages = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 });
  const sizes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 6, maxLength: 24 });
  const subscribers = fc.array(subscriber, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), sizes, pages, subscribers, async (scheduler, sizes, cuts, wanted) => {
      const rows = rowsOf(sizes);
      const { bus, publish } = scheduledBus(scheduler, rows, cuts);
      publish(Math.floor(rows.length / 3));
      const head = lastPosition(rows[Math.floor(rows.length / 3) - 1]!);
      const limits = { pageRows: 3, tailRows: 4 };
      const feed = createEventFeed({
        bus,
        clock,
        log: createLog("silent"),
        metrics: createMetrics(),
        limits,
      });
      await feed.start();
      const results = wanted.map(async ({ from, orderId, pauses }) => {
        const start = Math.min(from, head);
        const expected = rows
          .filter((row) => orderId === undefined || row.subject === orderId)
          .flatMap((row) => row.events.map((_, index) => row.position + index))
          .filter((position) => position > start);
        const filter = { clientId: null, ...(orderId === undefined ? {} : { orderId }) };
        if (pauses) await scheduler.schedule(Promise.resolve(), "comes later");
        const stream = feed.subscribe(filter, String(start));
        const got: number[] = [];
        while (got.length < expected.length) {
          got.push(Number((await stream.next()).value.position));
          if (pauses) await scheduler.schedule(Promise.resolve(), "reads slowly");
        }
        await stream.return?.();
        assert.deepEqual(got, expected);
      });
      const writing = (async () => {
        for (let row = 0; row < rows.length; row += 1) {
          await scheduler.schedule(Promise.resolve(), "publish");
          publish(1);
        }
      })();
      await scheduler.waitFor(Promise.all([...results, writing]));
      const stopped = feed.stop();
      await scheduler.waitFor(stopped);
    }),
    { numRuns: 150 },
  );
});
