import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseGap } from "../src/optimization/gap/or-library.ts";
import { type GapSolution, solveGap } from "../src/optimization/gap/solve.ts";
import { type BenchOptions, type BenchReport, reportHead } from "./bench.ts";
import { generateGap } from "./gap/generate.ts";
import { createProgress } from "./report/progress.ts";
import { table } from "./report/table.ts";

export interface GapBenchOptions {
  /** Instances in the OR-Library's format; none: some of each class are made. */
  files?: readonly string[];
  /** A text that names their optima: `d05100 6353`. */
  optima?: string;
  /** A Python that may have OR-Tools. */
  python?: string;
}

interface Peer {
  objective: number | null;
  bound: number;
  status: string;
  ms: number;
}

interface Row {
  file: string;
  /** Null where it is not known; then distances are from our bound. */
  optimum: number | null;
  ours: { objective: number; bound: number; status: string; ms: number };
  peer: Peer | null;
}

const generated = (["A", "B", "C", "D"] as const).flatMap((kind) =>
  (
    [
      [5, 100],
      [10, 200],
      [20, 100],
    ] as const
  ).map(([agents, jobs]) => ({ kind, agents, jobs })),
);

/**
 * Generalised assignment problems one after another, `seconds` each: ours, and native CP-SAT (OR-Tools from PyPI, one thread, the same
 * deadline) where the Python given has it. Every answer of ours is added up anew from the file.
 */
export async function benchGap(options: BenchOptions & GapBenchOptions): Promise<BenchReport> {
  const head = reportHead("gap");
  const progress = createProgress(options.out);
  const folder = mkdtempSync(join(tmpdir(), "uoop-bench-gap-"));
  try {
    const python = options.python ?? "python3";
    const peer = spawnSync(python, ["-c", "import ortools"]).status === 0 ? python : null;
    if (!peer) progress.note(`${python} has no OR-Tools: only ours is measured`);
    const optima = readOptima(options.optima);
    const rows: Row[] = [];
    for (const path of options.files ?? makeFiles(folder, options)) {
      progress.note(`${basename(path)}, ${options.seconds} s each`);
      rows.push(measure(path, options, optima, peer));
    }
    const wrong = rows
      .filter(({ ours }) => ours.status === "wrong")
      .map(({ file }) => `${file}: our answer breaks a limit, or costs what it does not say`);
    const summary = {
      ours: summarize(rows, (row) => row.ours.objective),
      peer: peer ? summarize(rows, (row) => row.peer?.objective ?? null) : null,
    };
    return {
      ...head,
      ok: wrong.length === 0,
      wrong,
      lines: linesOf(rows, summary),
      json: { ...head, seconds: options.seconds, summary, rows },
    };
  } finally {
    progress.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

function readOptima(path: string | undefined): ReadonlyMap<string, number> {
  const text = path === undefined ? "" : readFileSync(path, "utf8");
  return new Map(
    [...text.matchAll(/([\w-]+)\s+(\d+)/g)].map(([, name = "", value]) => [name, Number(value)]),
  );
}

function makeFiles(folder: string, { seed, quick }: BenchOptions): readonly string[] {
  return (quick ? generated.slice(0, 2) : generated).map(({ kind, agents, jobs }) => {
    const path = join(folder, `${kind.toLowerCase()}${String(agents).padStart(2, "0")}${jobs}-${seed}.txt`);
    writeFileSync(path, generateGap(kind, agents, jobs, seed));
    return path;
  });
}

function measure(
  path: string,
  { seconds, seed }: BenchOptions,
  optima: ReadonlyMap<string, number>,
  python: string | null,
): Row {
  const file = basename(path).replace(/\.[^.]*$/, "");
  const text = readFileSync(path, "utf8");
  const startedAt = performance.now();
  const solution = solveGap(parseGap(text), {
    deadlineMs: seconds * 1_000,
    seed,
    now: () => performance.now(),
  });
  const ms = Math.round(performance.now() - startedAt);
  const status = isRight(text, solution) ? solution.status : "wrong";
  const { objective, bound } = solution;
  return {
    file,
    optimum: optima.get(file) ?? null,
    ours: { objective, bound, status, ms },
    peer: python ? cpSat(python, path, seconds, seed) : null,
  };
}

/** Adds up cost and loads from the file's numbers. */
function isRight(text: string, { assignment, objective }: GapSolution): boolean {
  if (!Number.isFinite(objective)) return true;
  const numbers = text.trim().split(/\s+/).map(Number);
  const [agents = 0, jobs = 0] = numbers;
  const room = numbers.slice(2 + 2 * agents * jobs);
  let cost = 0;
  assignment.forEach((agent, job) => {
    cost += numbers[2 + agent * jobs + job]!;
    room[agent]! -= numbers[2 + (agents + agent) * jobs + job]!;
  });
  return cost === objective && room.every((left) => left >= 0);
}

function cpSat(python: string, path: string, seconds: number, seed: number): Peer {
  const script = join(import.meta.dirname, "gap", "cp-sat.py");
  const { status, stdout, stderr } = spawnSync(python, [script, path, String(seconds), String(seed)], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`CP-SAT on ${path}: ${stderr}`);
  return JSON.parse(stdout) as Peer;
}

interface Summary {
  mean: number;
  worst: number;
  optimal: number;
  missing: number;
}

const distanceOf = ({ optimum, ours }: Row, objective: number): number =>
  objective / (optimum ?? ours.bound) - 1;

function summarize(rows: readonly Row[], of: (row: Row) => number | null): Summary {
  const found = rows.flatMap((row) => {
    const objective = of(row);
    return objective === null || !Number.isFinite(objective) ? [] : [distanceOf(row, objective)];
  });
  return {
    mean: found.reduce((sum, each) => sum + each, 0) / Math.max(1, found.length),
    worst: Math.max(0, ...found),
    optimal: found.filter((each) => each === 0).length,
    missing: rows.length - found.length,
  };
}

const percent = (share: number): string => `${(share * 100).toFixed(3)} %`;

function linesOf(rows: readonly Row[], summary: { ours: Summary; peer: Summary | null }): readonly string[] {
  const distance = (row: Row, objective: number | null): string =>
    objective === null || !Number.isFinite(objective) ? "none found" : percent(distanceOf(row, objective));
  const head = [
    "file",
    "optimum",
    "ours",
    "bound",
    "distance",
    "ms",
    "status",
    "CP-SAT",
    "distance",
    "ms",
    "status",
  ];
  const width = summary.peer ? head.length : 7;
  const cells = rows.map((row) => [
    row.file,
    String(row.optimum ?? "–"),
    String(row.ours.objective),
    String(row.ours.bound),
    distance(row, row.ours.objective),
    String(row.ours.ms),
    row.ours.status,
    String(row.peer?.objective ?? "–"),
    row.peer ? distance(row, row.peer.objective) : "",
    String(row.peer?.ms ?? ""),
    row.peer?.status ?? "",
  ]);
  const text = (name: string, { mean, worst, optimal, missing }: Summary): string =>
    `${name}: mean ${percent(mean)}, worst ${percent(worst)}; ${optimal} of ${rows.length} at distance 0${missing ? `, ${missing} without an answer` : ""}`;
  return [
    ...table([head, ...cells].map((row) => row.slice(0, width))),
    "Distance: from the optimum, or where that is not known from our bound.",
    text("ours", summary.ours),
    ...(summary.peer ? [text("CP-SAT", summary.peer)] : []),
  ];
}
