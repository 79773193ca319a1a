import { createSolverPool, type SolverPool } from "./pool.ts";
import type { FindPrices } from "./steer.ts";

/**
 * Shadow prices from a worker thread of their own, which is started when something is short for the first time: most networks never need
 * it. Rejects where the solver gave up, so that the last prices stay.
 */
export function pooledPrices(): { findPrices: FindPrices; stopFinding(): Promise<void> } {
  let pool: SolverPool | undefined;
  return {
    async findPrices(problem, settings) {
      pool ??= createSolverPool({ threads: 1 });
      const { prices, method } = await pool.assign(problem, { ...settings, maxRounds: 0 });
      if (method === "regret") throw new Error("The solver had no time for prices.");
      return prices;
    },
    async stopFinding() {
      await pool?.stop();
    },
  };
}
