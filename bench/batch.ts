import { type BenchOptions, type BenchReport, onStage, type ReportHead, type Stage } from "./bench.ts";
import { measurePhase, type Phase } from "./measure/phase.ts";
import { createPhases, latencyCells, reportOf } from "./phases.ts";
import { phaseJson } from "./report/orders-report.ts";
import { table, whole } from "./report/table.ts";
import { settle } from "./verify.ts";

/** Orders in a request, and requests in flight. */
const thorough = {
  sizes: [100, 500, 1_000, 5_000],
  inFlight: [2, 4],
} as const;
const quick = { sizes: [50], inFlight: [2] } as const;

/** Orders a second over POST /v1/orders/batch. */
export const benchBatch = (options: BenchOptions): Promise<BenchReport> =>
  onStage("batch", options, { channels: 12 }, (stage, head) => measureBatch(stage, head, options));

/** The same on a stage that is there. */
export async function measureBatch(
  stage: Stage,
  head: ReportHead,
  options: BenchOptions,
): Promise<BenchReport> {
  const plan = options.quick ? quick : thorough;
  const phases = createPhases(stage);
  const measureMs = options.seconds * 1_000;
  await phases.calibrate(options.quick ? 300 : 5_000, options.quick);
  const measured: { size: number; phase: Phase }[] = [];
  for (const size of plan.sizes) {
    for (const inFlight of plan.inFlight) {
      await settle(stage.books);
      const phase = await measurePhase(stage, {
        name: `${size} orders a request, ${inFlight} in flight`,
        traffic: { kind: "batch", keys: stage.keys, mix: stage.roomy, size },
        pace: { kind: "closed", inFlight },
        measureMs,
      });
      stage.runs.push(phase.run);
      measured.push({ size, phase });
    }
  }
  const best = measured.reduce((one, other) =>
    other.phase.confirmedPerSecond > one.phase.confirmedPerSecond ? other : one,
  );
  return reportOf(stage, head, {
    lines: [
      `orders/s over POST /v1/orders/batch: ${whole(best.phase.confirmedPerSecond)}`,
      "",
      ...table([
        ["", "orders/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "server µs", "PostgreSQL µs"],
        ...measured.map(({ phase }) => [
          phase.name,
          whole(phase.confirmedPerSecond),
          ...latencyCells(phase.run),
          whole(phase.perOrder.serverMicros),
          whole(phase.perOrder.postgresMicros),
        ]),
      ]),
    ],
    json: {
      ordersPerSecond: best.phase.confirmedPerSecond,
      size: best.size,
      phases: measured.map(({ size, phase }) => ({ size, ...phaseJson(phase) })),
    },
  });
}
