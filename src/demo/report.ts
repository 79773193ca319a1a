import type { CheckReport } from "../check/check.ts";
import type { ConsumerReport } from "./consumers.ts";
import type { Day } from "./mdrp.ts";
import type { DayPlayed } from "./play.ts";
import { type DayProgress, percentileMs } from "./progress.ts";

/** One day under one routing method. */
export interface DayOutcome {
  played: DayPlayed;
  progress: DayProgress;
  check: CheckReport;
  consumers: readonly ConsumerReport[];
  seconds: number;
}

export interface ClickToDoor {
  mean: number;
  p95: number;
}

/** What `uoop demo --json` prints. */
export interface DemoReport {
  orders: number;
  delivered: number;
  /** Orders that ended otherwise; the text report says why. */
  failed: number;
  /** Submit to answer. */
  p50Ms: number;
  p99Ms: number;
  clickToDoorMinutes: { ours: ClickToDoor; roundRobin: ClickToDoor };
  /** What the services of examples/consumers know at the end of our day. */
  consumers: readonly ConsumerReport[];
  /** `ok`, or what is violated, one sentence each. */
  invariants: "ok" | string[];
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

/** Mean and 95th percentile (nearest rank), minutes; 0 of nothing. */
export function clickToDoor(minutes: readonly number[]): ClickToDoor {
  if (minutes.length === 0) return { mean: 0, p95: 0 };
  const sorted = minutes.toSorted((one, other) => one - other);
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  return { mean: round(mean, 1), p95: round(sorted[Math.ceil(sorted.length * 0.95) - 1]!, 1) };
}

const deliveredOf = (outcome: DayOutcome): number => outcome.played.ended.get("delivered") ?? 0;

const violationsOf = (outcome: DayOutcome): string[] =>
  outcome.check.findings.flatMap(({ invariant, name, violations }) =>
    violations.map(({ subject, what }) => `${invariant} ${name}: ${subject} ${what}`),
  );

export function demoReport(ours: DayOutcome, roundRobin: DayOutcome): DemoReport {
  const orders = ours.progress.totalOrders;
  const violations = [...violationsOf(ours), ...violationsOf(roundRobin)];
  return {
    orders,
    delivered: deliveredOf(ours),
    failed: orders - deliveredOf(ours),
    p50Ms: round(percentileMs(ours.progress.latency, 50), 2),
    p99Ms: round(percentileMs(ours.progress.latency, 99), 2),
    clickToDoorMinutes: {
      ours: clickToDoor(ours.played.clickToDoorMinutes),
      roundRobin: clickToDoor(roundRobin.played.clickToDoorMinutes),
    },
    consumers: ours.consumers,
    invariants: violations.length === 0 ? "ok" : violations,
  };
}

/** The report for a person. */
export function reportLines(day: Day, ours: DayOutcome, roundRobin: DayOutcome): string[] {
  const report = demoReport(ours, roundRobin);
  const both = [ours, roundRobin];
  const { ours: mine, roundRobin: theirs } = report.clickToDoorMinutes;
  const row = (name: string, cells: readonly string[]) =>
    `${name.padEnd(30)}${cells.map((cell) => cell.padStart(14)).join("")}`;
  const kitchens = ours.progress.kitchens.length;
  return [
    "",
    `${day.name}: ${day.orders.length} orders, ${day.couriers.length} couriers, ${kitchens} kitchens`,
    "",
    row("", ["our routing", "round robin"]),
    row(
      "delivered",
      both.map((outcome) => String(deliveredOf(outcome))),
    ),
    row(
      "not delivered",
      both.map((outcome) => String(report.orders - deliveredOf(outcome))),
    ),
    ...reasonRows(both, row),
    row("click to door, mean minutes", [mine.mean.toFixed(1), theirs.mean.toFixed(1)]),
    row("click to door, p95 minutes", [mine.p95.toFixed(1), theirs.p95.toFixed(1)]),
    row(
      "couriers driving or serving",
      both.map(({ played }) => `${Math.round(played.courierUse * 100)} %`),
    ),
    row(
      "submit to answer, p50 ms",
      both.map(({ progress }) => percentileMs(progress.latency, 50).toFixed(1)),
    ),
    row(
      "submit to answer, p99 ms",
      both.map(({ progress }) => percentileMs(progress.latency, 99).toFixed(1)),
    ),
    row(
      "played in seconds",
      both.map(({ seconds }) => seconds.toFixed(0)),
    ),
    "",
    `From click to door our routing takes ${changeInWords(mine.mean, theirs.mean)} than round robin.`,
    ...consumerLines(report),
    ...invariantLines(report, both),
  ];
}

function reasonRows(
  outcomes: readonly DayOutcome[],
  row: (name: string, cells: readonly string[]) => string,
): string[] {
  const reasons = new Set(outcomes.flatMap(({ played }) => [...played.reasons.keys()]));
  return [...reasons].flatMap((reason) => {
    const counts = outcomes.map(({ played }) => String(played.reasons.get(reason) ?? 0));
    return reason.length <= 26 ? [row(`  ${reason}`, counts)] : [`  ${reason}`, row("", counts)];
  });
}

function consumerLines({ consumers }: DemoReport): string[] {
  return [
    "Downstream, over the event stream:",
    ...consumers.map(({ name, saw, agrees }) => {
      const counts = Object.entries(saw).map(([what, count]) => `${what.replaceAll("_", " ")} ${count}`);
      return `  ${name.padEnd(14)}${agrees ? "agrees with the orders" : "DISAGREES"}: ${counts.join(", ")}`;
    }),
  ];
}

function changeInWords(mine: number, theirs: number): string {
  if (theirs === 0) return "no other time";
  const percent = Math.round((mine / theirs - 1) * 100);
  return `${Math.abs(percent)} % ${percent <= 0 ? "less" : "more"}`;
}

function invariantLines(report: DemoReport, outcomes: readonly DayOutcome[]): string[] {
  if (report.invariants === "ok") {
    const rules = outcomes[0]!.check.findings.length;
    return [`Invariants: ok (${rules} rules over both databases).`];
  }
  return ["Invariants violated:", ...report.invariants.map((violation) => `  ${violation}`)];
}
