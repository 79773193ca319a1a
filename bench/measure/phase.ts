import type { Load } from "../load/load.ts";
import type { Pace, RunPlan, RunResult, Traffic } from "../load/plan.ts";
import type { Platform } from "../platform.ts";
import type { Progress } from "../report/progress.ts";
import type { Books } from "./database.ts";
import { cpuOf, mainThreadCpuOf, postgresCpu } from "./proc.ts";
import { quantile, type Sample, startSampler } from "./sampler.ts";
import { scrape } from "./scrape.ts";

/** What a phase is run against. */
export interface Bench {
  platform: Platform;
  load: Load;
  books: Books;
  progress: Progress;
}

export interface PhasePlan {
  name: string;
  traffic: Traffic;
  pace: Pace;
  measureMs: number;
  rampMs?: number;
  perSecond?: boolean;
}

/** What an order costs. CPU in microseconds, by process. */
export interface PerOrder {
  serverMicros: number;
  /** Of it, the event loop's thread; the rest is garbage collection, disk and name threads. */
  serverMainThreadMicros: number;
  postgresMicros: number;
  postgresMicrosByKind: Readonly<Record<string, number>>;
  simulatorMicros: number;
  loadMicros: number;
  /** Transactions that wrote, and of any kind. */
  writes: number;
  commits: number;
  walBytes: number;
  /** Of them, images of whole pages that were changed for the first time since a checkpoint; and how many. */
  walImageBytes: number;
  walPageImages: number;
  gcMicros: number;
  minorGcs: number;
}

export interface Phase {
  name: string;
  pace: Pace;
  run: RunResult;
  /** 201 answers in the measured time, a second. */
  confirmedPerSecond: number;
  answeredPerSecond: number;
  perOrder: PerOrder;
  /** Most that the server had in memory. */
  rssMiB: number;
  postgresMiB: number;
  eventLoopP99Ms: number;
  relayLagP99Ms: number;
  readModelLagP99Events: number;
  samples: readonly Sample[];
}

const usualRampMs = 500;

let runs = 0;
/** Unique on this machine, so that a key is never sent twice. */
export const nextRunId = (): string =>
  `b${process.pid.toString(36)}${Date.now().toString(36)}${(runs++).toString(36)}`;

export const runPlan = (platform: Platform, plan: PhasePlan): RunPlan => ({
  id: nextRunId(),
  host: platform.host,
  port: platform.port,
  traffic: plan.traffic,
  pace: plan.pace,
  rampMs: plan.rampMs ?? Math.min(usualRampMs, plan.measureMs / 2),
  measureMs: plan.measureMs,
  ...(plan.perSecond === undefined ? {} : { perSecond: plan.perSecond }),
});

/** Runs the load and keeps the books of what it cost: everything is read when the measured time begins and when it ends. */
export async function measurePhase(bench: Bench, plan: PhasePlan): Promise<Phase> {
  const { platform, load, progress } = bench;
  progress.phase(plan.name);
  const pages: Promise<Page>[] = [];
  let sampler: ReturnType<typeof startSampler> | undefined;
  const run = await load.run(runPlan(platform, plan), {
    onBegan() {
      pages.push(readPage(bench));
      sampler = startSampler(platform);
    },
    onEnded: () => void pages.push(readPage(bench)),
    onProgress: (at) => progress.update(at),
  });
  const samples = (await sampler?.stop()) ?? [];
  const [before, after] = await Promise.all(pages);
  if (!before || !after) throw new Error(`The phase ${plan.name} had no measured time.`);
  const orders = Math.max(1, run.orders || run.answered);
  progress.done(plan.name, run);
  return {
    name: plan.name,
    pace: plan.pace,
    run,
    confirmedPerSecond: (run.confirmed * 1_000) / run.measuredMs,
    answeredPerSecond: (run.answered * 1_000) / run.measuredMs,
    perOrder: {
      ...costs(before, after, orders),
      walImageBytes: (await bench.books.imageBytes(before.book, after.book)) / orders,
    },
    rssMiB: Math.max(0, ...samples.map((sample) => sample.residentMiB)),
    postgresMiB: Math.max(0, ...samples.map((sample) => sample.postgresMiB)),
    eventLoopP99Ms: Math.max(0, ...samples.map((sample) => sample.eventLoopP99Ms)),
    relayLagP99Ms: quantile(
      samples.map((sample) => sample.relayLagMs),
      0.99,
    ),
    readModelLagP99Events: quantile(
      samples.map((sample) => sample.readModelLagEvents),
      0.99,
    ),
    samples,
  };
}

type Page = Awaited<ReturnType<typeof readPage>>;

async function readPage({ platform, load, books }: Bench) {
  const cpu = {
    server: cpuOf(platform.serverPid),
    serverMain: mainThreadCpuOf(platform.serverPid),
    postgres: postgresCpu(platform.postgresPid() ?? 0),
    simulator: cpuOf(platform.simulatorPid),
    load: cpuOf(load.pid),
  };
  const [book, metrics] = await Promise.all([books.read(), scrape(platform.url)]);
  return {
    cpu,
    book,
    gcMicros: metrics.sum("nodejs_gc_duration_seconds_sum") * 1e6,
    minorGcs: metrics.sum("nodejs_gc_duration_seconds_count", { kind: "minor" }),
  };
}

function costs(before: Page, after: Page, orders: number): Omit<PerOrder, "walImageBytes"> {
  const per = (from: number, to: number) => (to - from) / orders;
  const kinds = Object.entries(after.cpu.postgres.byKind)
    .map(([kind, micros]) => [kind, per(before.cpu.postgres.byKind[kind] ?? 0, micros)] as const)
    .filter(([, micros]) => micros > 0);
  return {
    serverMicros: per(before.cpu.server, after.cpu.server),
    serverMainThreadMicros: per(before.cpu.serverMain, after.cpu.serverMain),
    postgresMicros: per(before.cpu.postgres.total, after.cpu.postgres.total),
    postgresMicrosByKind: Object.fromEntries(kinds),
    simulatorMicros: per(before.cpu.simulator, after.cpu.simulator),
    loadMicros: per(before.cpu.load, after.cpu.load),
    writes: per(before.book.writes, after.book.writes),
    commits: per(before.book.commits, after.book.commits),
    walBytes: per(before.book.walBytes, after.book.walBytes),
    walPageImages: per(before.book.walPageImages, after.book.walPageImages),
    gcMicros: per(before.gcMicros, after.gcMicros),
    minorGcs: per(before.minorGcs, after.minorGcs),
  };
}
