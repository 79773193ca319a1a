import { type BenchOptions, type BenchReport, onStage, type ReportHead, type Stage } from "./bench.ts";
import type { Traffic } from "./load/plan.ts";
import { measurePhase, type Phase, runPlan } from "./measure/phase.ts";
import { createPhases, latencyCells, latencyJson, openConnections, reportOf } from "./phases.ts";
import { table, whole } from "./report/table.ts";
import { settle } from "./verify.ts";

const thorough = { seedMs: 5_000, readsPerSecond: 5_000, writesPerSecond: 2_000, orders: 20_000 } as const;
const quick = { seedMs: 500, readsPerSecond: 200, writesPerSecond: 50, orders: 200 } as const;

/** Orders by id at a fixed rate: alone, and beside writes. */
export const benchReads = (options: BenchOptions): Promise<BenchReport> =>
  onStage("reads", options, { channels: 12 }, (stage, head) => measureReads(stage, head, options));

/** The same on a stage that is there. */
export async function measureReads(
  stage: Stage,
  head: ReportHead,
  options: BenchOptions,
): Promise<BenchReport> {
  const plan = options.quick ? quick : thorough;
  const phases = createPhases(stage);
  const measureMs = options.seconds * 1_000;
  await phases.calibrate(plan.seedMs, options.quick);
  await settle(stage.books);
  const traffic = await readsOf(stage, plan.orders);
  const pace = { kind: "open", perSecond: plan.readsPerSecond, connections: openConnections } as const;
  const alone = await measurePhase(stage, {
    name: `reads alone, ${pace.perSecond}/s`,
    traffic,
    pace,
    measureMs,
  });
  const writing = stage.load.run(
    runPlan(stage.platform, {
      name: "writes",
      traffic: { kind: "orders", keys: stage.keys, mix: stage.roomy },
      pace: { kind: "open", perSecond: plan.writesPerSecond, connections: openConnections },
      measureMs,
    }),
  );
  const beside = await measurePhase(stage, {
    name: `reads beside ${plan.writesPerSecond} writes/s`,
    traffic,
    pace,
    measureMs,
  });
  const writes = await writing;
  stage.runs.push(writes);
  const row = (phase: Phase) => [phase.name, whole(phase.answeredPerSecond), ...latencyCells(phase.run)];
  const failed = [alone, beside].flatMap(({ run }) =>
    Object.keys(run.statuses).filter((status) => status !== "200"),
  );
  return reportOf(stage, head, {
    lines: table([
      ["GET /v1/orders/{id}", "answered/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms"],
      row(alone),
      row(beside),
      ["the writes beside", whole((writes.confirmed * 1_000) / writes.measuredMs), ...latencyCells(writes)],
    ]),
    json: {
      p50Ms: beside.run.latency.p50Ms,
      p99Ms: beside.run.latency.p99Ms,
      p999Ms: beside.run.latency.p999Ms,
      readsPerSecond: beside.answeredPerSecond,
      alone: latencyJson(alone.run),
      beside: latencyJson(beside.run),
      writes: latencyJson(writes),
    },
    wrong: failed.length > 0 ? [`reads were answered ${[...new Set(failed)].join(", ")}`] : [],
  });
}

/** Some of the orders that are stored, each with a key of its client. */
async function readsOf(stage: Stage, count: number): Promise<Extract<Traffic, { kind: "reads" }>> {
  const keyOf = new Map(stage.clients.map(({ clientId, key }) => [clientId, key]));
  const rows = await stage.books.query<{ id: string; client: string }>(
    `select id, client_id as client from orders order by right(id, 4) limit $1`,
    [count],
  );
  const orders = rows.flatMap(({ id, client }) => {
    const key = keyOf.get(client);
    return key === undefined ? [] : [{ id, key }];
  });
  return { kind: "reads", orders };
}
