import { createLog } from "../../src/platform/log.ts";
import { createPostgres } from "../../src/platform/postgres.ts";
import type { Stage } from "../bench.ts";
import { openBooks } from "../measure/database.ts";
import type { Phase } from "../measure/phase.ts";
import { settle } from "../verify.ts";
import { captureStatements } from "./capture.ts";
import { type NaiveResult, runNaiveLoop } from "./naive.ts";
import { type Recording, takeApart } from "./rebatch.ts";
import { type ReplayResult, type ReplaySetting, replay } from "./replay.ts";

interface LimitPlan {
  concurrency: readonly number[];
  batch: readonly number[];
  /** Orders to try each setting with. */
  tryOrders: number;
  /** Orders of the run that counts, at the best setting; no more than the run had that it is compared with. */
  orders: number;
  naiveConnections: readonly number[];
  naiveMs: number;
}

export interface Limits {
  plan: LimitPlan;
  recorded: { orders: number; statementsPerOrder: Recording["statementsPerOrder"] };
  /** Best setting, run at length; and every setting that was tried. */
  best: ReplayResult;
  tried: readonly ReplayResult[];
  naive: NaiveResult;
  shareOfLimit: number;
  timesNaive: number;
  /**
   * WAL bytes an order of the replay, as a share of the run's: within 5 % of 1, or the two are not the same work. Without page
   * images, which depend on how many orders share a page until the next checkpoint.
   */
  walRatio: number;
}

/** A run whose WAL differs by more is not the same work. */
export const walTolerance = 0.05;

export const measureLimits = {
  /** Runs `phase` with PostgreSQL logging what it executes, until everything that it caused has come to rest. */
  async record(stage: Stage, logFile: string, phase: () => Promise<unknown>): Promise<Recording> {
    const { books } = stage;
    const captured = await captureStatements(books, logFile, async () => {
      await phase();
      await settle(books);
    });
    return takeApart(captured);
  },

  /** Stops the server, and finds out what the same SQL does at best, and what four transactions an order do. */
  async run(stage: Stage, recording: Recording, plan: LimitPlan, top: Phase): Promise<Limits> {
    const { platform, progress } = stage;
    if (recording.orders.length === 0)
      throw new Error("No order was recorded: does the platform still write with orders_insert?");
    progress.note("stopping the server; its database goes on alone");
    await stage.pause();
    const postgres = createPostgres({ folder: platform.dataFolder, log: createLog("error") });
    await postgres.start();
    const books = await openBooks(platform.databaseUrl);
    try {
      const world = { databaseUrl: platform.databaseUrl, books };
      const again = async (setting: ReplaySetting, orders: number) => {
        await books.query("checkpoint");
        progress.note(
          `the same SQL, ${setting.concurrency} at once in batches of ${setting.batch}, ${orders} orders`,
        );
        return replay(world, recording, setting, orders);
      };
      const tried: ReplayResult[] = [];
      for (const batch of plan.batch)
        for (const concurrency of plan.concurrency)
          tried.push(await again({ concurrency, batch }, plan.tryOrders));
      const fastest = tried.reduce((one, other) =>
        other.ordersPerSecond > one.ordersPerSecond ? other : one,
      );
      const best = await again(fastest, Math.min(plan.orders, Math.max(plan.tryOrders, top.run.orders)));
      const naive = await bestNaive(platform.databaseUrl, recording, plan);
      const { statementsPerOrder } = recording;
      return {
        plan,
        recorded: { orders: recording.orders.length, statementsPerOrder },
        best,
        tried,
        naive,
        shareOfLimit: top.confirmedPerSecond / best.ordersPerSecond,
        timesNaive: top.confirmedPerSecond / naive.ordersPerSecond,
        walRatio:
          (best.walBytesPerOrder - best.walImageBytesPerOrder) /
          (top.perOrder.walBytes - top.perOrder.walImageBytes),
      };
    } finally {
      await books.close();
      await postgres.stop();
    }
  },
};

async function bestNaive(databaseUrl: string, recording: Recording, plan: LimitPlan): Promise<NaiveResult> {
  let best: NaiveResult | undefined;
  for (const connections of plan.naiveConnections) {
    const result = await runNaiveLoop(databaseUrl, recording, connections, plan.naiveMs);
    if (!best || result.ordersPerSecond > best.ordersPerSecond) best = result;
  }
  return best!;
}
