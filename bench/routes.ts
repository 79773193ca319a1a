import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readSolomon } from "../src/optimization/routes/solomon.ts";
import { solveRoutes } from "../src/optimization/routes/solve.ts";
import { type BenchOptions, type BenchReport, reportHead } from "./bench.ts";
import { createProgress } from "./report/progress.ts";
import { roundedAll, table } from "./report/table.ts";
import { solomonText } from "./routes/recipe.ts";
import { measureRoutes, verify } from "./routes/verify.ts";

export interface RoutesBenchOptions {
  /** Solomon files; without, some are made. */
  files?: readonly string[];
  /** A Python that has PyVRP. */
  python?: string;
}

interface Result {
  vehicles: number;
  distance: number;
}

interface Line {
  file: string;
  ours: Result;
  pyvrp: Result | null;
}

const generatedFiles = 6;
const peerScript = fileURLToPath(new URL("./routes/pyvrp_peer.py", import.meta.url));

/**
 * Vehicle routes with time windows at a deadline for each file, beside PyVRP (native, C++) at the same deadline and objective, one after the other
 * in one run. Both answers are held against the file's text.
 */
export async function benchRoutes(options: BenchOptions & RoutesBenchOptions): Promise<BenchReport> {
  const head = reportHead("routes");
  const progress = createProgress(options.out);
  const folder = mkdtempSync(join(tmpdir(), "uoop-bench-routes-"));
  const python = options.python ?? "python3";
  try {
    const files = options.files ?? generate(folder, options.quick ? 1 : generatedFiles, options.seed);
    const hasPeer = spawnSync(python, ["-c", "import pyvrp"]).status === 0;
    const [lines, wrong]: [Line[], string[]] = [[], []];
    for (const file of files) {
      const text = readFileSync(file, "utf8");
      const check = (name: string, routes: number[][]): Result => {
        const result = { vehicles: routes.length, distance: measureRoutes(text, routes) };
        wrong.push(...verify(text, { ...result, routes }).map((what) => `${name} on ${file}: ${what}`));
        return result;
      };
      const ours = check("uoop", solveOurs(text, options));
      const pyvrp = hasPeer ? check("PyVRP", solvePeer(python, file, options)) : null;
      lines.push({ file: basename(file), ours, pyvrp });
      progress.note(`${basename(file)}: ${cell(ours)}, PyVRP ${pyvrp ? cell(pyvrp) : "–"}`);
    }
    const sums = summary(lines);
    return {
      ...head,
      ok: wrong.length === 0,
      wrong,
      lines: [
        ...table([
          ["file", "uoop", "PyVRP", "distance against PyVRP"],
          ...lines.map(({ file, ours, pyvrp }) => [
            file,
            cell(ours),
            pyvrp ? cell(pyvrp) : "–",
            against(ours, pyvrp),
          ]),
          ["sum", cell(sums.ours), sums.pyvrp ? cell(sums.pyvrp) : "–", against(sums.ours, sums.pyvrp)],
        ]),
        ...(hasPeer
          ? []
          : ["", `PyVRP is not there (pip install pyvrp; --python names another Python than ${python}).`]),
      ],
      json: roundedAll({ seconds: options.seconds, files: lines, sum: sums, wrong, ...head }),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function generate(folder: string, count: number, seed: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => {
    const file = join(folder, `generated-${seed + index}.txt`);
    const size = index % 2 === 0 ? { vehicles: 10, perVehicle: 10 } : { vehicles: 4, perVehicle: 25 };
    writeFileSync(file, solomonText(seed + index, { ...size, width: 30 * (1 + (index % 3)) }));
    return file;
  });
}

function solveOurs(text: string, { seconds, seed }: BenchOptions): number[][] {
  const { problem, customers } = readSolomon(text);
  const now = () => performance.now();
  const { routes } = solveRoutes(problem, { deadlineMs: seconds * 1_000, seed, now });
  return routes.filter((route) => route.length > 0).map((route) => route.map((stop) => customers[stop]!));
}

function solvePeer(python: string, file: string, { seconds, seed }: BenchOptions): number[][] {
  const run = spawnSync(python, [peerScript, file, `${seconds}`, `${seed}`], { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`PyVRP failed on ${file}: ${run.stderr}`);
  return (JSON.parse(run.stdout) as { routes: number[][] }).routes;
}

function summary(lines: readonly Line[]): { ours: Result; pyvrp: Result | null } {
  const add = (results: readonly Result[]): Result => ({
    vehicles: results.reduce((sum, { vehicles }) => sum + vehicles, 0),
    distance: results.reduce((sum, { distance }) => sum + distance, 0),
  });
  const peers = lines.flatMap(({ pyvrp }) => (pyvrp ? [pyvrp] : []));
  return { ours: add(lines.map(({ ours }) => ours)), pyvrp: peers.length > 0 ? add(peers) : null };
}

const cell = ({ vehicles, distance }: Result): string => `${vehicles} / ${distance.toFixed(2)}`;

const against = (ours: Result, pyvrp: Result | null): string =>
  pyvrp ? `${((ours.distance / pyvrp.distance - 1) * 100).toFixed(2)} %` : "–";
