import { type BenchOptions, type BenchReport, onStage, type ReportHead, type Stage } from "./bench.ts";
import type { Pace, Second } from "./load/plan.ts";
import type { Phase } from "./measure/phase.ts";
import { atShare, createPhases, latencyCells, reportOf } from "./phases.ts";
import { phaseJson } from "./report/orders-report.ts";
import { millis, percent, table, whole } from "./report/table.ts";

/** So many times what it can take. */
const overloadFactor = 3;
const steadyShare = 0.6;
const recoverySeconds = 15;
/** As before: not slower than twice the p99 before, and anything up to this is as before. */
const asBeforeMs = 50;
const overloadConnections = 8_000;

/** Three times the rate that it can take, and what comes after. */
export const benchOverload = (options: BenchOptions): Promise<BenchReport> =>
  onStage("overload", options, { channels: 12 }, (stage, head) => measureOverload(stage, head, options));

/** The same on a stage that is there. */
export async function measureOverload(
  stage: Stage,
  head: ReportHead,
  options: BenchOptions,
): Promise<BenchReport> {
  const phases = createPhases(stage);
  const shortMs = options.quick ? 700 : 10_000;
  const top = await phases.calibrate(shortMs, options.quick);
  const before = await phases.orders("before, 60 %", atShare(top, steadyShare), { measureMs: shortMs });
  const pace: Pace = { ...atShare(top, overloadFactor), connections: overloadConnections };
  const during = await phases.orders(`overload, ${pace.perSecond}/s`, pace, {
    measureMs: options.seconds * 1_000,
    perSecond: true,
  });
  const after = await phases.orders("after, 60 %", atShare(top, steadyShare), {
    measureMs: options.quick ? 1_000 : recoverySeconds * 1_000,
    rested: false,
    perSecond: true,
  });
  const limitMs = Math.max(asBeforeMs, 2 * before.run.latency.p99Ms);
  const recoveredAfter = secondsUntilAsBefore(after.run.seconds, limitMs);
  const { refusals, answered } = during.run;
  const kept = during.confirmedPerSecond / top.confirmedPerSecond;
  const quickRefusals = refusals.count === 0 ? 1 : refusals.within10Ms / refusals.count;
  return reportOf(stage, head, {
    lines: [
      ...table([
        ["confirmed/s, of the best closed loop", `${whole(during.confirmedPerSecond)}, ${percent(kept)}`],
        ["refused (429, 503)", `${whole(refusals.count)} of ${whole(answered)} answered`],
        ["refused within 10 ms", percent(quickRefusals)],
        ["p99 of a refusal", `${millis(refusals.p99Ms)} ms`],
        ["p99 of what was accepted", `${millis(during.run.latency.p99Ms)} ms`],
        ["never answered, connections lost", `${whole(during.run.unanswered)}, ${whole(during.run.lost)}`],
        ["as before again after", recoveredAfter === null ? "not in time" : `${recoveredAfter} s`],
        ["server memory before, during, after", memory([before, during, after])],
      ]),
      "",
      ...table([
        ["", "confirmed/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms"],
        ...[top, before, during, after].map((phase) => [
          phase.name,
          whole(phase.confirmedPerSecond),
          ...latencyCells(phase.run),
        ]),
      ]),
    ],
    json: {
      ordersPerSecond: during.confirmedPerSecond,
      shareOfBest: kept,
      refusedWithin10Ms: quickRefusals,
      refusalP99Ms: refusals.p99Ms,
      p99Ms: during.run.latency.p99Ms,
      recoveredAfterSeconds: recoveredAfter,
      top: phaseJson(top),
      before: phaseJson(before),
      during: { ...phaseJson(during), refusals },
      after: { ...phaseJson(after), seconds: after.run.seconds },
    },
  });
}

/** The first second from which every later one is as before; null when the last one is not. */
export function secondsUntilAsBefore(seconds: readonly Second[], limitMs: number): number | null {
  const lastBad = seconds.findLastIndex((second) => second.p99Ms > limitMs || second.refused > 0);
  return lastBad === seconds.length - 1 && seconds.length > 0 ? null : lastBad + 1;
}

const memory = (phases: readonly Phase[]): string =>
  phases.map(({ rssMiB }) => `${whole(rssMiB)} MiB`).join(", ");
