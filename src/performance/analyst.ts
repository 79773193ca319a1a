import { LRUCache } from "lru-cache";
import type { Bus, LoggedRow } from "../bus/api.ts";
import { type Consumer, createConsumer } from "../bus/consume.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { measure, needsPast, type Past } from "./measure.ts";
import { readTallies, writeTallies } from "./store.ts";
import { emptyTally, type HalfLives, type Tally, tallyOrder } from "./tally.ts";

export interface AnalystDependencies {
  database: Database;
  bus: Bus;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  halfLives: HalfLives;
}

/** Its name on the bus: under it its position is kept. */
export const analystName = "performance";

/** Orders whose past is remembered; what is not is read from the bus again. About 0.5 KB each. */
const maxPasts = 20_000;
/** Orders whose past is read in one statement. */
const maxReadOrders = 500;
/** At 5,000 rows a second a chunk is a thousand, well within what the bus has in memory. */
const restMs = 200;

/**
 * Measures from the bus what channels do. What it adds to and its position are written in one transaction, so each event counts
 * once, whichever process was at work or killed; every addition follows the order of the bus, so a rebuild gives the same numbers.
 */
export function createAnalyst(dependencies: AnalystDependencies): Consumer {
  const { database, bus, clock, log, metrics, halfLives } = dependencies;
  const pasts = new LRUCache<string, Past>({ max: maxPasts });
  let tallies = new Map<string, Tally>();
  /** What `tallies` are as of; null: not known. */
  let asOf: number | null = null;

  /** Reads what rows need of the past and is not remembered. Returns whose. */
  async function readPasts(rows: readonly LoggedRow[]): Promise<ReadonlySet<string>> {
    const first = rows[0]?.position ?? 0;
    const wanted = new Set<string>();
    for (const row of rows) if (needsPast(row) && !pasts.has(row.subject)) wanted.add(row.subject);
    const subjects = [...wanted];
    for (let from = 0; from < subjects.length; from += maxReadOrders) {
      const before = await bus.history(subjects.slice(from, from + maxReadOrders), first);
      for (const row of before) pasts.set(row.subject, measure(row, pasts.get(row.subject)).past);
    }
    return wanted;
  }

  async function handle(rows: readonly LoggedRow[], from: number, to: number): Promise<boolean> {
    if (asOf !== from) {
      const read = await readTallies(database, analystName);
      if (read.position !== from) return false;
      ({ tallies } = read);
      pasts.clear();
    }
    asOf = null;
    // A row that begins before `from` was handled: a chunk ends with a row's last event.
    const fresh = rows.filter((row) => row.position > from && row.clientId !== null);
    const wanted = await readPasts(fresh);
    const touched = new Set<string>();
    for (const row of fresh) {
      const { measured, past } = measure(row, pasts.get(row.subject));
      const isUnderWay = past.preparingMs !== undefined || past.dispatchedMs !== undefined;
      if (isUnderWay || wanted.has(row.subject) || pasts.has(row.subject)) pasts.set(row.subject, past);
      for (const one of measured) {
        const tally = tallies.get(one.channelId) ?? emptyTally();
        tallies.set(one.channelId, tally);
        touched.add(one.channelId);
        tallyOrder(tally, one, halfLives);
      }
    }
    const written = [...touched].sort().map((id) => [id, tallies.get(id)!] as const);
    if (!(await writeTallies(database, analystName, written, from, to))) return false;
    asOf = to;
    return true;
  }

  return createConsumer({ bus, clock, log, metrics, name: analystName, handle, restMs });
}
