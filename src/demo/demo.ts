import { existsSync } from "node:fs";
import { type CheckReport, runCheck } from "../check/check.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { createClient } from "./client.ts";
import { startConsumers } from "./consumers.ts";
import { type Day, readDay } from "./mdrp.ts";
import { openKitchens, type Staging, stage } from "./network.ts";
import { playDay } from "./play.ts";
import { type DayProgress, newHistogram } from "./progress.ts";
import { type DayOutcome, type DemoReport, demoReport, reportLines } from "./report.ts";
import { openView, type Screen } from "./view.ts";

/** A fresh platform of its own for one day; `stop` leaves nothing behind. */
export interface DemoInstance {
  url: string;
  /** A key with the scope admin. */
  apiKey: string;
  database: Database;
  stop(): Promise<void>;
}

export type DemoRouting = "weighted" | "round_robin";

export interface DemoOptions {
  /** Of a published day; without it the example's. */
  folder?: string;
  /** How much faster than the day's own clock; without it, so that a day takes about half a minute. */
  speed?: number;
  /** Print one JSON object and nothing else. */
  json?: boolean;
  out: Screen;
  clock: Clock;
  /** Aborted: the day is given up, what was started is stopped. */
  signal: AbortSignal;
  startInstance(routing: DemoRouting): Promise<DemoInstance>;
}

/** The day that is played when none is named. */
const exampleDay = new URL("../../examples/mdrp/0o100t100s1p100", import.meta.url).pathname;

/** What a day is made to take when no speed is given. */
const defaultDaySeconds = 25;
/** Trips of the last orders, roughly: only for choosing the speed. */
const afterLastMinutes = 60;

/**
 * Plays a published day twice, each time on a fresh platform of its own: under our routing and under round robin, with the
 * same kitchens and couriers. Answers the report; throws when the day can't be read or the platform answers what it must not.
 */
export async function runDemo(options: DemoOptions): Promise<DemoReport> {
  const folder = options.folder ?? exampleDay;
  if (!existsSync(folder))
    throw new Error(`There is no folder ${folder}; without one, the example's day is played`);
  const day = await readDay(folder);
  const ours = await playOn(day, "weighted", "our routing ", options);
  const roundRobin = await playOn(day, "round_robin", "round robin ", options);
  const report = demoReport(ours, roundRobin);
  const lines = options.json ? [JSON.stringify(report)] : reportLines(day, ours, roundRobin);
  for (const line of lines) options.out.write(`${line}\n`);
  return report;
}

async function playOn(
  day: Day,
  routing: DemoRouting,
  title: string,
  options: DemoOptions,
): Promise<DayOutcome> {
  const { clock, signal } = options;
  const startedMs = clock.nowMs();
  const instance = await options.startInstance(routing);
  const client = createClient(instance.url, instance.apiKey, clock);
  const downstream = await startConsumers(instance.url, instance.apiKey, clock).catch(async (error) => {
    await instance.stop();
    throw error;
  });
  try {
    signal.throwIfAborted();
    const staging = stage(day, clock.nowMs());
    const kitchens = await openKitchens(client, day, staging);
    const progress = newProgress(day, staging, title);
    const view = options.json ? undefined : openView(progress, options.out, clock);
    const speed = options.speed ?? defaultSpeed(day);
    const played = await playDay({ day, staging, kitchens, client, speed, clock, signal, progress }).finally(
      () => view?.close(),
    );
    const consumers = await downstream.report(client, signal);
    const check = await checkDay(instance.database, clock);
    return { played, progress, check, consumers, seconds: (clock.nowMs() - startedMs) / 1_000 };
  } finally {
    await downstream.stop();
    await client.close();
    await instance.stop();
  }
}

const defaultSpeed = ({ orders }: Day): number =>
  ((orders.at(-1)!.placedAt - orders[0]!.placedAt + afterLastMinutes) * 60) / defaultDaySeconds;

const checkDay = (database: Database, clock: Clock): Promise<CheckReport> =>
  runCheck({ database, clock, out: () => undefined });

function newProgress(day: Day, staging: Staging, title: string): DayProgress {
  const firstMinute = day.orders[0]!.placedAt;
  return {
    title,
    minute: firstMinute,
    firstMinute,
    lastMinute: day.orders.at(-1)!.placedAt,
    totalOrders: day.orders.length,
    byStatus: new Map(),
    latency: newHistogram(),
    kitchens: staging.kitchens.map((_, index) => ({
      name: `Kitchen ${index + 1}`,
      orders: 0,
      recent: [],
      capacity: staging.capacity,
    })),
  };
}
