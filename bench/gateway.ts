import { type BenchOptions, type BenchReport, reportHead } from "./bench.ts";
import { createChildren } from "./children.ts";
import { type Side, startSide } from "./gateway/side.ts";
import { type Load, startLoad } from "./load/load.ts";
import type { Pace, RunResult } from "./load/plan.ts";
import { nextRunId } from "./measure/phase.ts";
import { cpuOf } from "./measure/proc.ts";
import { defaultShares, type Mix } from "./mix.ts";
import { roomyWindows } from "./network.ts";
import { latencyCells, latencyJson, openConnections } from "./phases.ts";
import { createProgress, type Progress } from "./report/progress.ts";
import { millis, roundedAll, table, whole } from "./report/table.ts";

const thorough = { perSecond: [1_000, 2_500, 5_000], inFlight: 64 } as const;
const quick = { perSecond: [100], inFlight: 8 } as const;

interface Measured {
  name: string;
  run: RunResult;
  micros: number;
}

interface World {
  load: Load;
  progress: Progress;
  mix: Mix;
  measureMs: number;
}

/**
 * What the gateway adds to a request: it with everything behind it answering at once, less a bare HTTP server that answers
 * as many bytes, each in its own process under the same load.
 */
export async function benchGateway(options: BenchOptions): Promise<BenchReport> {
  const head = reportHead("gateway");
  const plan = options.quick ? quick : thorough;
  const progress = createProgress(options.out);
  const children = createChildren();
  const load = await startLoad(children);
  const mix: Mix = { seed: options.seed, shares: defaultShares, windows: roomyWindows(Date.now()) };
  const world: World = { load, progress, mix, measureMs: options.seconds * 1_000 };
  const bare = await startSide(children, "bare");
  const ours = await startSide(children, "gateway");
  try {
    const open = (perSecond: number): Pace => ({ kind: "open", perSecond, connections: openConnections });
    const rates: { perSecond: number; bare: Measured; ours: Measured }[] = [];
    for (const side of [bare, ours])
      await send(world, side, "warm-up", { kind: "closed", inFlight: plan.inFlight });
    for (const perSecond of plan.perSecond) {
      rates.push({
        perSecond,
        bare: await send(world, bare, `bare HTTP, ${perSecond}/s`, open(perSecond)),
        ours: await send(world, ours, `gateway, ${perSecond}/s`, open(perSecond)),
      });
    }
    const closed: Pace = { kind: "closed", inFlight: plan.inFlight };
    const most = await send(world, ours, `gateway, closed loop, ${plan.inFlight} in flight`, closed);
    const middle = rates[Math.floor(rates.length / 2)]!;
    const added = {
      p50Ms: middle.ours.run.latency.p50Ms - middle.bare.run.latency.p50Ms,
      p99Ms: middle.ours.run.latency.p99Ms - middle.bare.run.latency.p99Ms,
      micros: middle.ours.micros - middle.bare.micros,
    };
    const rows = [...rates.flatMap((rate) => [rate.bare, rate.ours]), most];
    const wrong = wrongAnswers(rows);
    return {
      ...head,
      ok: wrong.length === 0,
      wrong,
      lines: [
        `added by the gateway at ${whole(middle.perSecond)}/s: p50 ${millis(added.p50Ms)} ms, p99 ${millis(added.p99Ms)} ms, CPU ${whole(added.micros)} µs a request`,
        "",
        ...table([
          ["", "answered/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU µs"],
          ...rows.map(({ name, run, micros }) => [
            name,
            whole((run.answered * 1_000) / run.measuredMs),
            ...latencyCells(run),
            whole(micros),
          ]),
        ]),
      ],
      json: roundedAll({
        ...added,
        perSecond: middle.perSecond,
        mostPerSecond: (most.run.answered * 1_000) / most.run.measuredMs,
        phases: rows.map(({ name, run, micros }) => ({ name, micros, ...latencyJson(run) })),
        ok: wrong.length === 0,
        ...head,
      }),
    };
  } finally {
    await load.stop();
    for (const side of [bare, ours]) await side.stop();
    progress.end();
  }
}

/** Every request must have been taken: an error is answered quicker. */
const wrongAnswers = (rows: readonly Measured[]): readonly string[] =>
  rows.flatMap(({ name, run }) =>
    Object.entries(run.statuses)
      .filter(([status]) => status !== "201")
      .map(([status, count]) => `${name}: ${count} answers were ${status}`),
  );

async function send(world: World, side: Side, name: string, pace: Pace): Promise<Measured> {
  const { load, progress, mix, measureMs } = world;
  progress.phase(name);
  let from = 0;
  let until = 0;
  const plan = {
    id: nextRunId(),
    host: side.url.hostname,
    port: Number(side.url.port),
    traffic: { kind: "orders", keys: side.keys, mix },
    pace,
    rampMs: 300,
    measureMs,
  } as const;
  const run = await load.run(plan, {
    onBegan() {
      from = cpuOf(side.pid);
    },
    onEnded() {
      until = cpuOf(side.pid);
    },
    onProgress: (at) => progress.update(at),
  });
  progress.done(name, run);
  return { name, run, micros: (until - from) / Math.max(1, run.answered) };
}
