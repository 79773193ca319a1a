import { join } from "node:path";
import {
  type BenchOptions,
  type BenchReport,
  contendedShare,
  onStage,
  type ReportHead,
  type Stage,
  type StageOptions,
} from "./bench.ts";
import { type Limits, measureLimits } from "./limit/limits.ts";
import type { Pace } from "./load/plan.ts";
import type { TableSize } from "./measure/database.ts";
import { measurePhase, type Phase } from "./measure/phase.ts";
import type { Mix } from "./mix.ts";
import { openConnections } from "./phases.ts";
import { ordersJson, ordersLines } from "./report/orders-report.ts";
import { settle, type Verification, verify } from "./verify.ts";

/** What is run, and how long; the quick form only shows that everything works. */
interface Plan {
  warmUpMs: number;
  measureMs: number;
  inFlight: readonly number[];
  perSecond: readonly number[];
  channels: readonly [few: number, many: number];
  captureMs: number;
  limit: Limits["plan"];
}

const wholePlan = (seconds: number): Plan => ({
  warmUpMs: 5_000,
  measureMs: seconds * 1_000,
  inFlight: [64, 256, 1_024],
  perSecond: [1_000, 2_500, 5_000, 7_500],
  channels: [12, 50],
  captureMs: 3_000,
  limit: {
    concurrency: [1, 2, 4],
    batch: [500, 1_000, 2_000],
    tryOrders: 12_000,
    orders: 60_000,
    naiveConnections: [8, 16, 32],
    naiveMs: 5_000,
  },
});

const quickPlan = (seconds: number): Plan => ({
  warmUpMs: 500,
  measureMs: seconds * 1_000,
  inFlight: [32],
  perSecond: [100],
  channels: [12, 16],
  captureMs: 500,
  limit: {
    concurrency: [2],
    batch: [100],
    tryOrders: 400,
    orders: 800,
    naiveConnections: [4],
    naiveMs: 500,
  },
});

/** The open loop runs at this share of the best closed loop for the latency that the report leads with. */
const steadyShare = 0.6;

export interface OrdersReport {
  closed: readonly Phase[];
  rates: readonly Phase[];
  /** Open loop at 60 % of the best closed loop. */
  steady: Phase;
  /** A fifth of the orders compete for slots that fill up. */
  contended: Phase;
  /** With the larger network: all with room, and a fifth competing. */
  manyChannels: Phase;
  manyContended: Phase;
  channels: Plan["channels"];
  tables: readonly TableSize[];
  verification: Verification;
  limits: Limits;
}

const planOf = ({ quick, seconds }: BenchOptions): Plan => (quick ? quickPlan(seconds) : wholePlan(seconds));

/** The stage that `measureOrders` wants: windows for what a contended phase may take at 12,000 orders a second. */
export const ordersStage = (options: BenchOptions): StageOptions => {
  const { channels, measureMs } = planOf(options);
  return {
    channels: channels[0],
    contendedOrders: Math.max(400, Math.ceil(measureMs * 12 * contendedShare)),
  };
};

/** Orders a second, latency, and what an order costs, beside the limit of the same SQL. */
export const benchOrders = (options: BenchOptions): Promise<BenchReport> =>
  onStage("orders", options, ordersStage(options), (stage, head) => measureOrders(stage, head, options));

/** The same on a stage that is there; it leaves the server stopped. */
export async function measureOrders(
  stage: Stage,
  head: ReportHead,
  options: BenchOptions,
): Promise<BenchReport> {
  const report = await runOrders(stage, planOf(options));
  const { wrong, ok } = report.verification;
  return { ...head, ok, wrong, lines: ordersLines(report), json: ordersJson(report, head) };
}

export const best = (phases: readonly Phase[]): Phase =>
  phases.reduce((one, other) => (other.confirmedPerSecond > one.confirmedPerSecond ? other : one));

async function runOrders(stage: Stage, plan: Plan): Promise<OrdersReport> {
  const { books, progress } = stage;
  const phase = async (name: string, pace: Pace, mix: Mix = stage.roomy, measureMs = plan.measureMs) => {
    // Every phase begins behind a checkpoint with nothing waiting: the same page images, nobody else's backlog.
    await settle(books);
    await books.query("checkpoint");
    const traffic = { kind: "orders", keys: stage.keys, mix } as const;
    const done = await measurePhase(stage, { name, traffic, pace, measureMs });
    stage.runs.push(done.run);
    return done;
  };
  const closedAt = (inFlight: number): Pace => ({ kind: "closed", inFlight });
  const openAt = (perSecond: number): Pace => ({ kind: "open", perSecond, connections: openConnections });

  await phase("warm-up", closedAt(plan.inFlight.at(-1)!), stage.roomy, plan.warmUpMs);
  const closed: Phase[] = [];
  for (const inFlight of plan.inFlight)
    closed.push(await phase(`closed loop, ${inFlight} in flight`, closedAt(inFlight)));
  const top = best(closed);
  const steadyRate = Math.max(10, Math.round(top.confirmedPerSecond * steadyShare));
  const steady = await phase(`open loop at 60 %, ${steadyRate}/s`, openAt(steadyRate));
  const rates: Phase[] = [];
  for (const rate of plan.perSecond) rates.push(await phase(`open loop, ${rate}/s`, openAt(rate)));

  progress.note("recording the statements");
  const recording = await measureLimits.record(stage, join(stage.platform.dataFolder, "postgres.log"), () =>
    phase("closed loop, recorded", top.pace, stage.roomy, plan.captureMs),
  );
  const contended = await phase("closed loop, a fifth contending", top.pace, stage.contended);
  await stage.grow(plan.channels[1]);
  const manyChannels = await phase(`closed loop, ${plan.channels[1]} channels`, top.pace);
  const manyContended = await phase(
    `closed loop, ${plan.channels[1]} channels, a fifth contending`,
    top.pace,
    stage.contended,
  );

  progress.note("checking every order");
  const verification = await verify(stage);
  const tables = await books.tableSizes();
  const limits = await measureLimits.run(stage, recording, plan.limit, top);
  const channels = plan.channels;
  return {
    closed,
    rates,
    steady,
    contended,
    manyChannels,
    manyContended,
    channels,
    tables,
    verification,
    limits,
  };
}
