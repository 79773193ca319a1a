import { createChildren } from "./children.ts";
import { startLoad } from "./load/load.ts";
import type { RunResult } from "./load/plan.ts";
import { openBooks } from "./measure/database.ts";
import type { Bench } from "./measure/phase.ts";
import { type BenchWindow, defaultShares, type Mix } from "./mix.ts";
import {
  type BenchChannel,
  contendedOrdersPerWindow,
  contendedWindows,
  ensureNetwork,
  makeClients,
  roomyWindows,
} from "./network.ts";
import { startPlatform } from "./platform.ts";
import { currentCommit, describeMachine, type Machine } from "./report/machine.ts";
import { createProgress, type Progress } from "./report/progress.ts";

const clientCount = 400;
/** Of the orders, those that compete for the last units where that is asked for. */
export const contendedShare = 0.2;

/** What every bench takes. */
export interface BenchOptions {
  /** Length of a measured phase. */
  seconds: number;
  /** Tiny numbers: to see that it runs. */
  quick: boolean;
  /** Disk that is measured. */
  folder?: string;
  seed: number;
  out: { isTTY?: boolean; write(text: string): unknown };
}

/** What every bench answers. */
export interface BenchReport {
  bench: string;
  ok: boolean;
  wrong: readonly string[];
  commit: string | null;
  date: string;
  machine: Machine;
  /** For a terminal. */
  lines: readonly string[];
  /** For `--json`: everything. */
  json: Readonly<Record<string, unknown>>;
}

export type ReportHead = Pick<BenchReport, "bench" | "commit" | "date" | "machine">;

/** To be made before anything is started: it says how busy the machine was. */
export const reportHead = (bench: string): ReportHead => ({
  bench,
  commit: currentCommit(),
  date: new Date().toISOString(),
  machine: describeMachine(),
});

/** A platform with a network, clients and a load process, ready to be measured. */
export interface Stage extends Bench {
  channels: readonly BenchChannel[];
  clients: readonly { key: string; clientId: string }[];
  keys: readonly string[];
  /** All orders find room. */
  roomy: Mix;
  /** A fifth of them compete for the last units; another one for each size of the network. */
  readonly contended: Mix;
  windows: readonly BenchWindow[];
  /** Every run that sent orders here, and how many were loaded by SQL: what is stored must be the sum of it. */
  readonly runs: RunResult[];
  loaded: number;
  /** Makes the network this large (it never shrinks). */
  grow(channels: number): Promise<void>;
  /** Stops the server and its PostgreSQL; `resume` starts them again. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  close(): Promise<void>;
}

export interface StageOptions {
  channels: number;
  /** Contended orders that windows are made for. */
  contendedOrders?: number;
  env?: Readonly<Record<string, string>>;
}

export async function setStage(
  options: BenchOptions,
  { channels: count, contendedOrders = 0, env }: StageOptions,
): Promise<Stage> {
  const progress = createProgress(options.out);
  const children = createChildren();
  progress.note("starting the platform and the simulator");
  const platform = await startPlatform({
    children,
    ...(options.folder === undefined ? {} : { folder: options.folder }),
    ...(env === undefined ? {} : { env }),
  });
  try {
    return await furnish(platform, progress, children, options, count, contendedOrders);
  } catch (error) {
    await platform.close();
    throw error;
  }
}

/** Sets a stage, has `measure` run on it, and takes it down. */
export async function onStage(
  name: string,
  options: BenchOptions,
  stageOptions: StageOptions,
  measure: (stage: Stage, head: ReportHead) => Promise<BenchReport>,
): Promise<BenchReport> {
  const head = reportHead(name);
  const stage = await setStage(options, stageOptions);
  try {
    return await measure(stage, head);
  } finally {
    await stage.close();
  }
}

async function furnish(
  platform: Awaited<ReturnType<typeof startPlatform>>,
  progress: Progress,
  children: ReturnType<typeof createChildren>,
  options: BenchOptions,
  count: number,
  contendedOrders: number,
): Promise<Stage> {
  const nowMs = Date.now();
  const windows = roomyWindows(nowMs);
  let channels: readonly BenchChannel[] = [];
  let scarce: readonly BenchWindow[] = [];
  let turn = 0;
  const grow = async (to: number) => {
    progress.note(`making ${to} channels`);
    scarce = contendedWindows(nowMs, contendedOrders, turn++);
    const network = { channels: to, windows, contended: scarce, shares: defaultShares };
    channels = await ensureNetwork(platform, channels, network);
  };
  await grow(count);
  const clients = await makeClients(platform, clientCount);
  const load = await startLoad(children);
  let books = await openBooks(platform.databaseUrl);
  const roomy: Mix = { seed: options.seed, shares: defaultShares, windows };
  return {
    platform,
    load,
    get books() {
      return books;
    },
    progress,
    get channels() {
      return channels;
    },
    clients,
    keys: clients.map(({ key }) => key),
    roomy,
    get contended() {
      if (scarce.length === 0) return roomy;
      const contended = { share: contendedShare, ordersPerWindow: contendedOrdersPerWindow, windows: scarce };
      return { ...roomy, contended };
    },
    windows,
    runs: [],
    loaded: 0,
    grow,
    async pause() {
      await books.close();
      await platform.stopServer();
    },
    async resume() {
      await platform.startServer();
      books = await openBooks(platform.databaseUrl);
    },
    async close() {
      progress.note("stopping");
      await books.close().catch(() => undefined);
      await load.stop();
      await platform.close();
      progress.end();
    },
  };
}
