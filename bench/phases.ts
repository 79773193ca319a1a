import type { BenchReport, ReportHead, Stage } from "./bench.ts";
import type { Pace, RunResult } from "./load/plan.ts";
import { measurePhase, type Phase } from "./measure/phase.ts";
import type { Mix } from "./mix.ts";
import { millis, roundedAll } from "./report/table.ts";
import { settle, type Verification, verify } from "./verify.ts";

/** In flight where the closed loop is near its best. */
const nearBestInFlight = 256;
const fewInFlight = 32;
export const openConnections = 2_048;

/** Runs phases of orders one after the other on a stage, which remembers what was sent. */
export interface Phases {
  /** At rest before, then measured. */
  orders(
    name: string,
    pace: Pace,
    options: { measureMs: number; mix?: Mix; rested?: boolean; perSecond?: boolean },
  ): Promise<Phase>;
  /** A warm-up, then the best that a closed loop does: what rates are derived from. */
  calibrate(measureMs: number, quick: boolean): Promise<Phase>;
}

export function createPhases(stage: Stage): Phases {
  const phases: Phases = {
    async orders(name, pace, { measureMs, mix = stage.roomy, rested = true, perSecond = false }) {
      if (rested) await settle(stage.books);
      const traffic = { kind: "orders", keys: stage.keys, mix } as const;
      const phase = await measurePhase(stage, { name, traffic, pace, measureMs, perSecond });
      stage.runs.push(phase.run);
      return phase;
    },
    async calibrate(measureMs, quick) {
      const pace: Pace = { kind: "closed", inFlight: quick ? fewInFlight : nearBestInFlight };
      await phases.orders("warm-up", pace, { measureMs });
      return phases.orders(`closed loop, ${pace.inFlight} in flight`, pace, { measureMs });
    },
  };
  return phases;
}

/** A share of what a phase reached, as an open loop. */
export const atShare = (phase: Phase, share: number): Extract<Pace, { kind: "open" }> => ({
  kind: "open",
  perSecond: Math.max(10, Math.round(phase.confirmedPerSecond * share)),
  connections: openConnections,
});

/** The report of a bench that sent orders: it fails when what it left behind is not right. */
export async function reportOf(
  stage: Stage,
  head: ReportHead,
  shown: {
    lines: readonly string[];
    json: Readonly<Record<string, unknown>>;
    wrong?: readonly string[];
  },
): Promise<BenchReport> {
  stage.progress.note("checking every order");
  const verification = await verify(stage);
  const wrong = [...(shown.wrong ?? []), ...verification.wrong];
  return {
    ...head,
    ok: wrong.length === 0,
    wrong,
    lines: [...shown.lines, "", checkedLine(verification)],
    json: roundedAll({
      ...shown.json,
      machine: head.machine,
      commit: head.commit,
      date: head.date,
      ok: wrong.length === 0,
      wrong,
      checkedOrders: verification.orders,
    }),
  };
}

const checkedLine = ({ ok, orders, wrong }: Verification): string =>
  ok
    ? `checked: ${orders.toLocaleString("en-US")} orders, every invariant, event and booking`
    : `NOT RIGHT: ${wrong.join("; ")}`;

/** p50, p99, p99.9 and max as cells. */
export const latencyCells = ({ latency }: RunResult): readonly string[] => [
  millis(latency.p50Ms),
  millis(latency.p99Ms),
  millis(latency.p999Ms),
  millis(latency.maxMs),
];

export const latencyJson = ({ latency, statuses, lost, unanswered }: RunResult) => {
  const { count, p50Ms, p99Ms, p999Ms, maxMs } = latency;
  return { count, p50Ms, p99Ms, p999Ms, maxMs, statuses, lost, unanswered };
};
