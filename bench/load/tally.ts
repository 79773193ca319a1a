import { build, type Histogram } from "hdr-histogram-js";
import { channelTypes } from "../../src/capacity/api.ts";
import type { Connection } from "./connection.ts";
import type { Latency, RunPlan, RunResult, Second } from "./plan.ts";
import type { RequestSource } from "./requests.ts";

const mostMicros = 600_000_000;
const refusalGoalMs = 10;

/** Counts the answers of one run. All times are `performance.now()` milliseconds. */
export interface Tally {
  /** From now on (and for `measureMs`) answers are counted. */
  begin(nowMs: number): void;
  /** The measured time is over. */
  end(): void;
  answer(connection: Connection, status: number, matches: number): void;
  lost(): void;
  /** An open-loop request that was due and never answered. */
  unanswered(dueAt: number): void;
  readonly answered: number;
  readonly confirmed: number;
  result(): RunResult;
}

export function createTally(plan: RunPlan, source: RequestSource): Tally {
  let from = Number.POSITIVE_INFINITY;
  let until = Number.POSITIVE_INFINITY;
  let endedAt = 0;
  const counted = { answered: 0, orders: 0, confirmed: 0 };
  const whole = { answered: 0, confirmed: 0, lost: 0, unanswered: 0, within10Ms: 0 };
  const statuses: number[] = new Array(600).fill(0);
  const byKind: number[] = channelTypes.map(() => 0);
  const latency = histogram();
  const refusals = histogram();
  const seconds: { confirmed: number; refused: number; latency: Histogram }[] = [];

  function noteSecond(nowMs: number, confirmed: number, refused: boolean, latencyMs: number): void {
    const index = Math.floor((nowMs - from) / 1_000);
    if (index < 0) return;
    while (seconds.length <= index) seconds.push({ confirmed: 0, refused: 0, latency: histogram(2) });
    const second = seconds[index]!;
    second.confirmed += confirmed;
    if (refused) second.refused += 1;
    else record(second.latency, latencyMs);
  }

  return {
    begin(nowMs) {
      from = nowMs;
      until = nowMs + plan.measureMs;
    },
    end() {
      endedAt = performance.now();
    },
    answer(connection, status, matches) {
      const nowMs = performance.now();
      const refused = status === 503 || status === 429;
      const confirmed = source.needle === undefined ? (status === 201 ? 1 : 0) : matches;
      statuses[status] = (statuses[status] ?? 0) + 1;
      whole.answered += 1;
      whole.confirmed += confirmed;
      byKind[connection.kind] = byKind[connection.kind]! + confirmed;
      if (nowMs >= from && nowMs < until) {
        counted.answered += 1;
        counted.confirmed += confirmed;
        if (!refused && status < 500 && status !== 400) counted.orders += source.orders;
      }
      if (connection.dueAt >= from && connection.dueAt < until) {
        if (refused) {
          record(refusals, nowMs - connection.sentAt);
          if (nowMs - connection.sentAt <= refusalGoalMs) whole.within10Ms += 1;
        } else record(latency, nowMs - connection.dueAt);
      }
      if (plan.perSecond) noteSecond(nowMs, confirmed, refused, nowMs - connection.dueAt);
    },
    lost() {
      whole.lost += 1;
    },
    unanswered(dueAt) {
      whole.unanswered += 1;
      if (dueAt >= from && dueAt < until) record(latency, performance.now() - dueAt);
    },
    get answered() {
      return whole.answered;
    },
    get confirmed() {
      return whole.confirmed;
    },
    result: () => ({
      id: plan.id,
      measuredMs: (endedAt || performance.now()) - from,
      ...counted,
      statuses: Object.fromEntries(
        statuses.flatMap((count, status) => (count > 0 ? [[String(status), count]] : [])),
      ),
      confirmedByKind: byKind,
      lost: whole.lost,
      unanswered: whole.unanswered,
      latency: summary(latency),
      refusals: { ...summary(refusals), within10Ms: whole.within10Ms },
      seconds: seconds.map(
        (second): Second => ({
          confirmed: second.confirmed,
          refused: second.refused,
          p99Ms: millis(second.latency.getValueAtPercentile(99)),
        }),
      ),
    }),
  };
}

const histogram = (digits: 2 | 3 = 3): Histogram =>
  build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: mostMicros,
    numberOfSignificantValueDigits: digits,
  });

const record = (into: Histogram, ms: number): void =>
  into.recordValue(Math.min(mostMicros, Math.max(1, Math.round(ms * 1_000))));

const millis = (micros: number): number => Math.round(micros) / 1_000;

function summary(of: Histogram): Latency {
  const at = (percentile: number) => millis(of.getValueAtPercentile(percentile));
  const some = of.totalCount > 0;
  return {
    count: of.totalCount,
    meanMs: some ? millis(of.mean) : 0,
    p50Ms: some ? at(50) : 0,
    p90Ms: some ? at(90) : 0,
    p99Ms: some ? at(99) : 0,
    p999Ms: some ? at(99.9) : 0,
    maxMs: some ? millis(of.maxValue) : 0,
  };
}
