import { readDay } from "../src/demo/mdrp.ts";
import { type BenchOptions, type BenchReport, reportHead } from "./bench.ts";
import { type Method, methods } from "./day/methods.ts";
import { type DayResult, playDay } from "./day/play.ts";
import { createProgress } from "./report/progress.ts";
import { percent, roundedAll, table } from "./report/table.ts";

export interface DayOptions {
  /** Published days (docs/performance.md); `--quick` takes the first hundred orders of the first. */
  folders: readonly string[];
}

const names: Readonly<Record<Method, string>> = {
  roundRobin: "round robin",
  nearest: "nearest, no limits",
  greedy: "greedy",
  ours: "ours",
};
const quickOrders = 100;

/**
 * Published days of meal orders (Reyes et al. 2018), each under four ways to choose the kitchen: in turn, the nearest as if kitchens had
 * no limits, the nearest with room, and that with bid prices. All run the platform's own routing. Nothing is timed.
 */
export async function benchDay(options: BenchOptions & DayOptions): Promise<BenchReport> {
  const head = reportHead("day");
  const progress = createProgress(options.out);
  const days: DayResult[] = [];
  for (const folder of options.quick ? options.folders.slice(0, 1) : options.folders) {
    const day = await readDay(folder);
    progress.note(`${day.name}: ${day.orders.length} orders`);
    const orders = options.quick ? day.orders.slice(0, quickOrders) : day.orders;
    days.push(await playDay({ ...day, orders }, options.seed));
  }
  const changes = days.map(changesOf);
  const meanOf = (of: (change: Change) => number) =>
    changes.reduce((sum, one) => sum + of(one), 0) / changes.length;
  const summary = {
    mean: meanOf(({ mean }) => mean),
    worst: Math.max(...changes.map(({ mean }) => mean)),
    changeable: meanOf(({ changeable }) => changeable),
  };
  return {
    ...head,
    ok: true,
    wrong: [],
    lines: [...table([header, ...days.flatMap(rowsOf)]), "", ...summaryLines(summary, days.length)],
    json: roundedAll({
      days: days.map((day, index) => ({ ...day, change: changes[index] })),
      summary,
      ...head,
    }),
  };
}

/** Against round robin; -0.5 is half. */
interface Change {
  mean: number;
  changeable: number;
}

function changesOf({ outcomes: { ours, roundRobin } }: DayResult): Change {
  return {
    mean: ours.mean / roundRobin.mean - 1,
    changeable: ours.changeable / roundRobin.changeable - 1,
  };
}

const header = ["day", "mean", "p95", "can change", "undelivered", "couriers busy", "mean", "can change"];

function rowsOf({ day, orders, capacity, outcomes }: DayResult): string[][] {
  const { roundRobin } = outcomes;
  const title = [
    `${day}: ${orders} orders, ${capacity} a kitchen and quarter`,
    ...new Array<string>(7).fill(""),
  ];
  const rows = methods.map((method) => {
    const { mean, p95, changeable, undelivered, courierUse } = outcomes[method];
    const minutes = [mean, p95, changeable].map((value) => `${value.toFixed(1)} min`);
    const change = [mean / roundRobin.mean, changeable / roundRobin.changeable].map((ratio) =>
      percent(ratio - 1),
    );
    return [`  ${names[method]}`, ...minutes, `${undelivered}`, percent(courierUse), ...change];
  });
  return [title, ...rows];
}

const summaryLines = (summary: Change & { worst: number }, days: number): readonly string[] =>
  table([
    [`click-to-door against round robin, mean of ${days} days`, percent(summary.mean)],
    ["  of the worst day", percent(summary.worst)],
    ["  of the part that routing can change, mean", percent(summary.changeable)],
  ]);
