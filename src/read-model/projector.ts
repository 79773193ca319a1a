import type { Bus } from "../bus/api.ts";
import { type Consumer, createConsumer } from "../bus/consume.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { newestViews } from "./project.ts";
import { writeViews } from "./store.ts";

/** Its name on the bus: under it its position is kept. */
export const projectorName = "read-model";

/**
 * Keeps the order views up with the bus: of each chunk only the newest event of an order is written, and the position
 * moves in the same transaction. Killed anywhere, it goes on from there.
 */
export function createProjector(dependencies: {
  database: Database;
  bus: Bus;
  clock: Clock;
  log: Log;
  metrics: Metrics;
}): Consumer {
  const { database, bus, clock, log, metrics } = dependencies;
  return createConsumer({
    bus,
    clock,
    log,
    metrics,
    name: projectorName,
    handle: (rows, from, to) => writeViews(database, projectorName, newestViews(rows), from, to),
  });
}
