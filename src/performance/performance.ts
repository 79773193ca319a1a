import { hostname } from "node:os";
import type { CapacityApi, Channel } from "../capacity/api.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import { repeatEvery } from "../platform/repeat.ts";
import type { Service } from "../platform/service.ts";
import type { PerformanceApi } from "./api.ts";
import { type CallCounts, createCallCounts } from "./calls.ts";
import { type Quality, qualityOf } from "./quality.ts";
import { type Report, reportAt, type Stored, sharesOf } from "./report.ts";
import { signsOf } from "./signs.ts";
import { readChanged, readOne } from "./store.ts";
import type { HalfLives } from "./tally.ts";

export type PerformanceSettings = Pick<
  Config,
  "PERFORMANCE_HALF_LIFE_HOURS" | "QUALITY_PRIOR_ORDERS" | "HEALTH_HALF_LIFE_MINUTES"
>;

export interface PerformanceDependencies {
  database: Database;
  clock: Clock;
  log: Log;
  config: PerformanceSettings;
  capacity: {
    rated(): readonly Channel[];
    rateBy(quality: (rated: Channel) => number): void;
    noteSigns: CapacityApi["noteSigns"];
  };
  refreshMs?: number;
}

export interface Performance extends PerformanceApi, Service {
  readonly noteCall: CallCounts["note"];
  /** Saves what was counted and looks at what is stored, as it does by itself every few seconds. */
  refresh(): Promise<void>;
}

export const halfLivesOf = (config: PerformanceSettings): HalfLives => ({
  lastingMs: config.PERFORMANCE_HALF_LIFE_HOURS * 3_600_000,
  recentMs: config.HEALTH_HALF_LIFE_MINUTES * 60_000,
});

const by = { actor: "performance", source: `${hostname()}:${process.pid}` };

/**
 * What channels did, in the memory of every process: it saves the calls that this one made, reads what all of them measured, and
 * has routing rate channels by it.
 */
export function createPerformance(dependencies: PerformanceDependencies): Performance {
  const { database, clock, log, config, capacity, refreshMs = 2_000 } = dependencies;
  const halfLives = halfLivesOf(config);
  const calls = createCallCounts({ database, clock, halfLives });
  const known = new Map<string, Stored>();
  let since = "1970-01-01T00:00:00.000Z";
  let stopTimer = (): void => undefined;

  const assess = (channel: Channel, stored: Stored, nowMs: number): { report: Report; quality: Quality } => {
    const report = reportAt(stored, halfLives, nowMs);
    const shares = sharesOf(report, channel.preparationMinutes);
    return { report, quality: qualityOf(shares, channel.quality, config.QUALITY_PRIOR_ORDERS) };
  };

  async function refresh(): Promise<void> {
    await calls.save();
    const { stored, until } = await readChanged(database, since);
    since = until;
    for (const [id, one] of stored) known.set(id, one);
    const nowMs = clock.nowMs();
    capacity.rateBy((rated) => {
      const one = known.get(rated.id);
      return one ? assess(rated, one, nowMs).quality.score : rated.quality;
    });
    await judge(nowMs);
  }

  /** Signs that begin or end are noted; where processes see it at once, the first does. */
  async function judge(nowMs: number): Promise<void> {
    for (const { id, healthSigns = [] } of capacity.rated()) {
      const stored = known.get(id);
      if (!stored) continue;
      const report = reportAt(stored, halfLives, nowMs);
      const now = signsOf(report, healthSigns);
      if (
        now.length === healthSigns.length &&
        now.every(({ sign }, index) => healthSigns[index]!.sign === sign)
      )
        continue;
      await capacity.noteSigns(id, (channel) => signsOf(report, channel.healthSigns ?? []), by);
    }
  }

  return {
    name: "performance",
    async start() {
      await refresh();
      stopTimer = repeatEvery(clock, refreshMs, refresh, (error) =>
        log.warn({ error }, "what channels did could not be read; routing goes on with what it has"),
      );
    },
    async stop() {
      stopTimer();
      await calls.save().catch((error: unknown) => log.warn({ error }, "counts of calls could not be saved"));
    },
    refresh,
    noteCall: calls.note,
    async of(channel) {
      const asOfMs = clock.nowMs();
      return { channel, asOfMs, ...assess(channel, await readOne(database, channel.id), asOfMs) };
    },
  };
}
