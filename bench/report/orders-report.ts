import type { ReportHead } from "../bench.ts";
import { walTolerance } from "../limit/limits.ts";
import type { Phase } from "../measure/phase.ts";
import { best, type OrdersReport } from "../orders.ts";
import { millis, percent, roundedAll, table, whole } from "./table.ts";

/** The terminal's table: what the issue's goals name first, then phases, then what an order costs. */
export function ordersLines(report: OrdersReport): readonly string[] {
  const top = best(report.closed);
  const { limits, steady, verification } = report;
  const agrees = Math.abs(limits.walRatio - 1) <= walTolerance;
  return [
    ...table([
      ["confirmed orders/s, best closed loop", whole(top.confirmedPerSecond)],
      ["p99 submit → confirmed at 60 % of it", `${millis(steady.run.latency.p99Ms)} ms`],
      [
        "share of the SQL limit",
        `${percent(limits.shareOfLimit)} of ${whole(limits.best.ordersPerSecond)}/s`,
      ],
      ["times the naive loop", `${limits.timesNaive.toFixed(1)} × ${whole(limits.naive.ordersPerSecond)}/s`],
      ["server CPU an order", `${whole(top.perOrder.serverMicros)} µs`],
    ]),
    "",
    ...phaseTable(report),
    "",
    ...costTable(top),
    "",
    ...storageTable(report),
    "",
    `SQL limit: ${limits.best.concurrency} at once in batches of ${limits.best.batch}, ${whole(limits.best.walBytesPerOrder)} WAL bytes an order, without page images ` +
      `${percent(limits.walRatio)} of the run's${agrees ? "" : ` (MORE THAN ${walTolerance * 100} % APART: not the same work)`}, ${limits.best.lost} rows lost`,
    `commits of an order: ${list(verification.commitsPerOrder)}`,
    `statements an order: ${list(limits.recorded.statementsPerOrder, 8)}`,
    verification.ok
      ? `checked: ${whole(verification.orders)} orders, every invariant, event and booking`
      : `NOT RIGHT: ${verification.wrong.join("; ")}`,
  ];
}

const list = (values: Readonly<Record<string, number>>, most = 20): string =>
  Object.entries(values)
    .slice(0, most)
    .map(([name, value]) => `${name} ${value < 0.1 ? value.toFixed(4) : value.toFixed(2)}`)
    .join(", ");

export const phaseHead = [
  "",
  "confirmed/s",
  "p50 ms",
  "p99 ms",
  "p99.9 ms",
  "max ms",
  "server µs",
  "PostgreSQL µs",
  "loop p99 ms",
  "relay ms",
  "view events",
];

export const phaseRow = (phase: Phase): readonly string[] => {
  const { latency } = phase.run;
  return [
    phase.name,
    whole(phase.confirmedPerSecond),
    millis(latency.p50Ms),
    millis(latency.p99Ms),
    millis(latency.p999Ms),
    millis(latency.maxMs),
    whole(phase.perOrder.serverMicros),
    whole(phase.perOrder.postgresMicros),
    millis(phase.eventLoopP99Ms),
    whole(phase.relayLagP99Ms),
    whole(phase.readModelLagP99Events),
  ];
};

const phasesOf = (report: OrdersReport): readonly Phase[] => [
  ...report.closed,
  report.steady,
  ...report.rates,
  report.contended,
  report.manyChannels,
  report.manyContended,
];

const phaseTable = (report: OrdersReport): readonly string[] =>
  table([phaseHead, ...phasesOf(report).map(phaseRow)]);

function costTable({ perOrder, name, rssMiB, postgresMiB }: Phase): readonly string[] {
  const kinds = Object.entries(perOrder.postgresMicrosByKind).map(
    ([kind, micros]) => `${kind} ${whole(micros)}`,
  );
  return table([
    [`an order costs (${name})`, ""],
    [
      "  server CPU",
      `${whole(perOrder.serverMicros)} µs, event loop ${whole(perOrder.serverMainThreadMicros)}`,
    ],
    ["  PostgreSQL CPU", `${whole(perOrder.postgresMicros)} µs: ${kinds.join(", ")}`],
    ["  simulator CPU", `${whole(perOrder.simulatorMicros)} µs`],
    ["  load generator CPU", `${whole(perOrder.loadMicros)} µs`],
    ["  writing transactions", `${perOrder.writes.toFixed(4)} of ${perOrder.commits.toFixed(4)} commits`],
    [
      "  WAL",
      `${whole(perOrder.walBytes)} bytes, of them ${whole(perOrder.walImageBytes)} in ${perOrder.walPageImages.toFixed(3)} page images`,
    ],
    ["  garbage collection", `${perOrder.gcMicros.toFixed(1)} µs`],
    ["memory: server, PostgreSQL", `${whole(rssMiB)} MiB, ${whole(postgresMiB)} MiB`],
  ]);
}

function storageTable({ tables, verification }: OrdersReport): readonly string[] {
  const orders = Math.max(1, verification.orders);
  const large = tables.filter(({ bytes }) => bytes / orders >= 20);
  const total = tables.reduce((sum, { bytes }) => sum + bytes, 0);
  return table([
    [`bytes an order on disk (${whole(orders)} orders)`, whole(total / orders)],
    ...large.map(({ table: name, bytes, indexBytes }) => [
      `  ${name}`,
      whole(bytes / orders),
      `indexes ${whole(indexBytes / orders)}`,
    ]),
  ]);
}

/** What `--json` prints: the figures that the goals name on top, everything else below them. */
export function ordersJson(report: OrdersReport, head: ReportHead): Readonly<Record<string, unknown>> {
  const top = best(report.closed);
  const { steady, limits, verification } = report;
  const { p50Ms, p99Ms, p999Ms } = steady.run.latency;
  return roundedAll({
    ordersPerSecond: top.confirmedPerSecond,
    p50Ms,
    p99Ms,
    p999Ms,
    shareOfLimit: limits.shareOfLimit,
    timesNaive: limits.timesNaive,
    cpuMicrosPerOrder: top.perOrder.serverMicros,
    rssMiB: Math.max(...phasesOf(report).map((phase) => phase.rssMiB)),
    rates: report.rates.map(rateJson),
    machine: head.machine,
    commit: head.commit,
    date: head.date,
    ok: verification.ok,
    steady: phaseJson(steady),
    closed: report.closed.map(phaseJson),
    contended: phaseJson(report.contended),
    manyChannels: {
      channels: report.channels[1],
      roomy: phaseJson(report.manyChannels),
      contended: phaseJson(report.manyContended),
    },
    limit: {
      ordersPerSecond: limits.best.ordersPerSecond,
      concurrency: limits.best.concurrency,
      batch: limits.best.batch,
      walBytesPerOrder: limits.best.walBytesPerOrder,
      walRatio: limits.walRatio,
      lost: limits.best.lost,
      tried: limits.tried,
    },
    naive: limits.naive,
    statementsPerOrder: limits.recorded.statementsPerOrder,
    commitsPerOrder: verification.commitsPerOrder,
    tables: report.tables,
    verification,
  });
}

const rateJson = (phase: Phase) => ({
  perSecond: phase.pace.kind === "open" ? phase.pace.perSecond : 0,
  ...phaseJson(phase),
});

/** A phase without its samples. */
export function phaseJson(phase: Phase): Readonly<Record<string, unknown>> {
  const { samples: _samples, run, ...rest } = phase;
  const { p50Ms, p90Ms, p99Ms, p999Ms, maxMs } = run.latency;
  const { statuses, lost, unanswered, confirmedByKind } = run;
  return { ...rest, p50Ms, p90Ms, p99Ms, p999Ms, maxMs, statuses, lost, unanswered, confirmedByKind };
}
