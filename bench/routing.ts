import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseChannelsFile } from "../src/optimization/channels-file.ts";
import { createSolverPool, type SolverPool } from "../src/optimization/pool.ts";
import type { AssignmentProblem } from "../src/optimization/problem.ts";
import { type BenchOptions, type BenchReport, reportHead } from "./bench.ts";
import { createProgress } from "./report/progress.ts";
import { millis, table } from "./report/table.ts";
import { type InstanceOptions, makeInstance } from "./routing/instance.ts";
import { hasOrTools, runOrTools } from "./routing/peer.ts";
import { streamByPrices, streamGreedily } from "./routing/stream.ts";

/** Optima of the whole linear relaxation, by HiGHS in about 6 s each: no assignment costs less. */
const cities: readonly { instance: InstanceOptions; linearBound: number }[] = [
  { instance: { seed: 1, orders: 1_000, channels: 20, load: 0.9 }, linearBound: 1_924_817 },
  { instance: { seed: 1 }, linearBound: 7_700_832 },
  { instance: { seed: 2 }, linearBound: 5_665_196 },
  { instance: { seed: 3, load: 0.9 }, linearBound: 4_299_953 },
  { instance: { seed: 4, noise: 0.2 }, linearBound: 6_677_600 },
];
const deadlinesMs = [500, 5_000];
const quick = { instance: { seed: 5, orders: 200, channels: 8 }, deadlinesMs: [50] };

export interface RoutingOptions {
  /** Instances instead of ours, in the format of `uoop solve channels`. */
  files?: readonly string[];
  /** The Python that OR-Tools is looked for in. */
  python?: string;
}

interface Case {
  name: string;
  instance: object;
  problem: AssignmentProblem;
  /** Undefined: our own bound is what distances are from. */
  linearBound: number | undefined;
}

interface Measured {
  name: string;
  bound: number;
  solves: {
    deadlineMs: number;
    objective: number;
    bound: number;
    method: string;
    ms: number;
    above: number;
  }[];
  orTools: { deadlineMs: number; above: number | null; ms: number }[];
  stream: { above: number; greedyAbove: number };
}

/**
 * Orders to channels on made-up cities: how far from the bound by each deadline, in a warm worker as in the service; the same orders as a
 * stream that is routed at once; and native OR-Tools where there is one.
 */
export async function benchRouting(options: BenchOptions & RoutingOptions): Promise<BenchReport> {
  const head = reportHead("routing");
  const progress = createProgress(options.out);
  const python = options.python ?? "python3";
  const peer = hasOrTools(python) ? python : undefined;
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), "uoop-bench-routing-"));
  const failures: string[] = [];
  const pool = createSolverPool({ threads: 1, failed: (error) => failures.push(error.message) });
  try {
    await pool.start();
    const measured: Measured[] = [];
    for (const each of casesOf(options)) {
      progress.note(each.name);
      const deadlines = options.quick ? quick.deadlinesMs : deadlinesMs;
      measured.push(await measure(pool, each, deadlines, peer, join(folder, "instance.json")));
    }
    const missing = peer === undefined ? [`OR-Tools was left out: ${python} has no package ortools.`] : [];
    return {
      ...head,
      ok: failures.length === 0,
      wrong: failures,
      lines: [...linesOf(measured), ...missing],
      json: { instances: measured, orTools: peer !== undefined, ...head },
    };
  } finally {
    progress.end();
    await pool.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function* casesOf({ files, quick: isQuick }: BenchOptions & RoutingOptions): Iterable<Case> {
  if (files !== undefined) {
    for (const file of files) {
      const text = readFileSync(file, "utf8");
      yield {
        name: basename(file),
        instance: JSON.parse(text),
        problem: parseChannelsFile(text),
        linearBound: undefined,
      };
    }
    return;
  }
  for (const { instance, linearBound } of isQuick ? [{ ...quick, linearBound: undefined }] : cities) {
    const made = makeInstance(instance);
    yield { name: made.name, instance: made, problem: parseChannelsFile(JSON.stringify(made)), linearBound };
  }
}

async function measure(
  pool: SolverPool,
  { name, instance, problem, linearBound }: Case,
  deadlines: readonly number[],
  python: string | undefined,
  file: string,
): Promise<Measured> {
  const solves: Omit<Measured["solves"][number], "above">[] = [];
  for (const deadlineMs of deadlines) {
    const startedAt = performance.now();
    const { objective, bound, method } = await pool.assign(problem, { deadlineMs });
    solves.push({ deadlineMs, objective, bound, method, ms: Math.round(performance.now() - startedAt) });
  }
  const bound = linearBound ?? Math.max(...solves.map((solve) => solve.bound));
  const above = (objective: number) => objective / bound - 1;
  const peers =
    python === undefined
      ? []
      : deadlines.map((deadlineMs) => ({
          deadlineMs,
          ...runOrTools(python, instance, deadlineMs, file),
        }));
  return {
    name,
    bound,
    solves: solves.map((solve) => ({ ...solve, above: above(solve.objective) })),
    orTools: peers.map(({ deadlineMs, objective, ms }) => ({
      deadlineMs,
      above: objective === null ? null : above(objective),
      ms: Math.round(ms),
    })),
    stream: {
      above: above(streamByPrices(problem).objective),
      greedyAbove: above(streamGreedily(problem).objective),
    },
  };
}

function linesOf(measured: readonly Measured[]): readonly string[] {
  const first = measured[0];
  if (first === undefined) return [];
  const share = (value: number | null) => (value === null ? "nothing" : `${(100 * value).toFixed(2)} %`);
  const columns: { name: string; of: (each: Measured) => number | null }[] = [
    ...first.solves.map(({ deadlineMs }, at) => ({
      name: `${millis(deadlineMs)} ms`,
      of: (each: Measured) => each.solves[at]!.above,
    })),
    ...first.orTools.map(({ deadlineMs }, at) => ({
      name: `OR-Tools ${millis(deadlineMs)} ms`,
      of: (each: Measured) => each.orTools[at]!.above,
    })),
    { name: "stream", of: ({ stream }) => stream.above },
    { name: "stream, greedy", of: ({ stream }) => stream.greedyAbove },
  ];
  const mean = (values: readonly (number | null)[]) =>
    values.includes(null) ? null : values.reduce<number>((sum, value) => sum + value! / values.length, 0);
  return table([
    ["above the bound", ...columns.map(({ name }) => name)],
    ...measured.map((each) => [each.name, ...columns.map(({ of }) => share(of(each)))]),
    ["mean", ...columns.map(({ of }) => share(mean(measured.map(of))))],
  ]);
}
