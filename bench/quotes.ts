import { type BenchOptions, type BenchReport, reportHead } from "./bench.ts";
import { createChildren } from "./children.ts";
import { type Side, startSide } from "./gateway/side.ts";
import { type Load, startLoad } from "./load/load.ts";
import type { Pace, RunResult } from "./load/plan.ts";
import { nextRunId } from "./measure/phase.ts";
import { cpuOf } from "./measure/proc.ts";
import { measureRouting } from "./measure/route-cost.ts";
import { centre, seeded, spread } from "./mix.ts";
import { roomyWindows } from "./network.ts";
import { latencyCells, latencyJson, openConnections } from "./phases.ts";
import { createProgress, type Progress } from "./report/progress.ts";
import { roundedAll, table, whole } from "./report/table.ts";

const thorough = { perSecond: [2_500, 5_000], inFlight: 64, routedOrders: 100_000 } as const;
const quick = { perSecond: [100], inFlight: 8, routedOrders: 1_000 } as const;
const routedChannels = [12, 50];
const differentQuotes = 2_000;

interface Measured {
  name: string;
  run: RunResult;
  micros: number;
}

/**
 * `POST /v1/quotes` over 12 channels in memory: a process with the gateway and routing, and no database, since no quote asks
 * one. Beside it what routing costs an order, in this process.
 */
export async function benchQuotes(options: BenchOptions): Promise<BenchReport> {
  const head = reportHead("quotes");
  const plan = options.quick ? quick : thorough;
  const progress = createProgress(options.out);
  const children = createChildren();
  progress.note("routing orders");
  const routing = routedChannels.map((channels) => ({
    channels,
    micros: measureRouting({ channels, orders: plan.routedOrders }),
  }));
  const load = await startLoad(children);
  const side = await startSide(children, "gateway");
  try {
    const bodies = quoteBodies(options.seed);
    const send = (name: string, pace: Pace) =>
      sendQuotes({ load, side, progress, bodies, measureMs: options.seconds * 1_000 }, name, pace);
    const closed: Pace = { kind: "closed", inFlight: plan.inFlight };
    await send("warm-up", closed);
    const phases: Measured[] = [];
    for (const perSecond of plan.perSecond) {
      phases.push(await send(`${perSecond}/s`, { kind: "open", perSecond, connections: openConnections }));
    }
    phases.push(await send(`closed loop, ${plan.inFlight} in flight`, closed));
    const wrong = phases.flatMap(({ name, run }) =>
      Object.entries(run.statuses)
        .filter(([status]) => status !== "200")
        .map(([status, count]) => `${name}: ${count} answers were ${status}`),
    );
    const most = phases.at(-1)!;
    return {
      ...head,
      ok: wrong.length === 0,
      wrong,
      lines: [
        ...routing.map(
          ({ channels, micros }) =>
            `routing over ${channels} channels: ${micros.toFixed(1)} µs of CPU an order`,
        ),
        "",
        ...table([
          ["quotes", "answered/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU µs"],
          ...phases.map(({ name, run, micros }) => [
            name,
            whole(perSecondOf(run)),
            ...latencyCells(run),
            whole(micros),
          ]),
        ]),
      ],
      json: roundedAll({
        mostPerSecond: perSecondOf(most.run),
        routing,
        phases: phases.map(({ name, run, micros }) => ({ name, micros, ...latencyJson(run) })),
        ok: wrong.length === 0,
        ...head,
      }),
    };
  } finally {
    await load.stop();
    await side.stop();
    progress.end();
  }
}

const perSecondOf = (run: RunResult): number => (run.answered * 1_000) / run.measuredMs;

function quoteBodies(seed: number): readonly string[] {
  const random = seeded(seed);
  const windows = roomyWindows(Date.now());
  const near = (around: number) => around + (random() * 2 - 1) * spread;
  return Array.from({ length: differentQuotes }, () =>
    JSON.stringify({
      currency: "AED",
      customerId: `cus_${Math.floor(random() * 50_000)}`,
      items: [{ sku: `meal-${Math.floor(random() * 400)}`, quantity: 2, unitPriceMinor: 4_500 }],
      delivery: {
        location: { lat: near(centre.lat), lng: near(centre.lng) },
        window: windows[Math.floor(random() * windows.length)],
      },
    }),
  );
}

interface World {
  load: Load;
  side: Side;
  progress: Progress;
  bodies: readonly string[];
  measureMs: number;
}

async function sendQuotes(world: World, name: string, pace: Pace): Promise<Measured> {
  const { load, side, progress, bodies, measureMs } = world;
  progress.phase(name);
  let from = 0;
  let until = 0;
  const plan = {
    id: nextRunId(),
    host: side.url.hostname,
    port: Number(side.url.port),
    traffic: { kind: "quotes", keys: side.keys, bodies },
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
