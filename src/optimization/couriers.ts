import { availableParallelism } from "node:os";
import { UoopError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";
import type { CouriersApi } from "./api.ts";
import { createSolverPool, type SolverPool } from "./pool.ts";

/** Plans under way at most, waiting ones included; beyond it 503. */
const maxUnderWay = 8;
/** More than this for each stop is not spent: small problems are done long before. */
const searchMsPerStop = 20;
/** The first plan waits for its thread to start. */
const graceMs = 1_000;
const maxHeapMegabytes = 256;
const seed = 1;

/**
 * Plans couriers' routes in worker threads, one core left to the rest. The threads start with the first plan, so that who
 * never asks for one pays nothing.
 */
export function createCouriers({ log, workerFile }: { log: Log; workerFile?: URL }): CouriersApi & Service {
  let pool: SolverPool | undefined;
  let stopped = false;
  let underWay = 0;
  const open = (): SolverPool =>
    createSolverPool({
      threads: Math.max(1, availableParallelism() - 1),
      graceMs,
      maxHeapMegabytes,
      maxWaiting: maxUnderWay,
      failed: (error) => log.warn({ error }, "courier routes were constructed only: their solver failed"),
      ...(workerFile === undefined ? {} : { workerFile }),
    });
  return {
    name: "couriers",
    start: async () => undefined,
    async plan(problem, { deadlineMs }) {
      if (stopped) throw new UoopError("unavailable", "The process is stopping; another one answers.");
      if (underWay >= maxUnderWay)
        throw new UoopError("overloaded", `${maxUnderWay} plans are under way already.`);
      underWay += 1;
      try {
        pool ??= open();
        const usefulMs = problem.stops.length * searchMsPerStop;
        return await pool.couriers(problem, { deadlineMs: Math.min(deadlineMs, usefulMs), seed });
      } finally {
        underWay -= 1;
      }
    },
    async stop() {
      stopped = true;
      await pool?.stop();
    },
  };
}
