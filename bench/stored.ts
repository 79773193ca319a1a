import { createLog } from "../src/platform/log.ts";
import { createPostgres } from "../src/platform/postgres.ts";
import { type BenchOptions, type BenchReport, onStage, type ReportHead, type Stage } from "./bench.ts";
import type { Pace } from "./load/plan.ts";
import type { Phase } from "./measure/phase.ts";
import { atShare, createPhases, latencyCells, type Phases, reportOf } from "./phases.ts";
import { phaseJson } from "./report/orders-report.ts";
import { percent, table, whole } from "./report/table.ts";
import { loadStored } from "./stored/load-stored.ts";
import { deliverTemplates } from "./stored/templates.ts";

const steadyShare = 0.6;

export interface StoredOptions {
  /** Orders that are stored, in millions. */
  millions?: number;
}

const defaultMillions = 5;
const quickMillions = 0.002;

interface Pair {
  closed: Phase;
  open: Phase;
}

/** The same load on an empty platform and on one that has stored millions of orders. */
export const benchStored = (options: BenchOptions & StoredOptions): Promise<BenchReport> =>
  onStage("stored", options, { channels: 12 }, (stage, head) => measureStored(stage, head, options));

/** The same on a stage that is there. */
export async function measureStored(
  stage: Stage,
  head: ReportHead,
  options: BenchOptions & StoredOptions,
): Promise<BenchReport> {
  const orders = Math.round((options.millions ?? (options.quick ? quickMillions : defaultMillions)) * 1e6);
  const phases = createPhases(stage);
  const measureMs = options.seconds * 1_000;
  const closed = await phases.calibrate(measureMs, options.quick);
  const pace = atShare(closed, steadyShare);
  const open = await phases.orders(`open loop, ${pace.perSecond}/s`, pace, { measureMs });
  const templates = await deliverTemplates(stage);
  const loadedInMs = await storeThem(stage, templates, orders);
  stage.loaded += orders;
  const stored = await measureAgain(phases, closed.pace, pace, measureMs, orders);
  const lossOfThroughput = 1 - stored.closed.confirmedPerSecond / closed.confirmedPerSecond;
  const row = (phase: Phase) => [
    phase.name,
    whole(phase.confirmedPerSecond),
    ...latencyCells(phase.run),
    whole(phase.perOrder.serverMicros),
    whole(phase.perOrder.postgresMicros),
    whole(phase.perOrder.walBytes),
  ];
  return reportOf(stage, head, {
    lines: [
      `loss of throughput with ${whole(orders)} orders stored: ${percent(lossOfThroughput)} (loaded by SQL in ${whole(loadedInMs / 1_000)} s)`,
      "",
      ...table([
        ["", "orders/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "server µs", "PostgreSQL µs", "WAL bytes"],
        ...[closed, stored.closed, open, stored.open].map(row),
      ]),
    ],
    json: {
      orders,
      lossOfThroughput,
      p99Ms: { empty: open.run.latency.p99Ms, stored: stored.open.run.latency.p99Ms },
      empty: { closed: phaseJson(closed), open: phaseJson(open) },
      stored: { closed: phaseJson(stored.closed), open: phaseJson(stored.open) },
      tables: await stage.books.tableSizes(),
    },
  });
}

async function measureAgain(
  phases: Phases,
  closedPace: Pace,
  openPace: Pace,
  measureMs: number,
  orders: number,
): Promise<Pair> {
  await phases.orders("warm-up", closedPace, { measureMs });
  const closed = await phases.orders(`closed loop, ${whole(orders)} stored`, closedPace, { measureMs });
  const open = await phases.orders(`open loop, ${whole(orders)} stored`, openPace, { measureMs });
  return { closed, open };
}

/** Stops the server, stores the orders with its PostgreSQL alone, and starts it again. Returns how long the storing took. */
async function storeThem(stage: Stage, templates: readonly string[], orders: number): Promise<number> {
  const { platform, progress } = stage;
  await stage.pause();
  const postgres = createPostgres({ folder: platform.dataFolder, log: createLog("error") });
  await postgres.start();
  const startedAt = performance.now();
  try {
    await loadStored({
      databaseUrl: platform.databaseUrl,
      templates,
      orders,
      onProgress: (text) => progress.live(text),
    });
  } finally {
    await postgres.stop();
  }
  const tookMs = performance.now() - startedAt;
  progress.note(`${whole(orders)} orders stored in ${whole(tookMs / 1_000)} s; starting again`);
  await stage.resume();
  return tookMs;
}
