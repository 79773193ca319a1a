import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { GapSolution } from "../optimization/gap/solve.ts";
import type { AssignmentProblem } from "../optimization/problem.ts";
import type { Wiring } from "./solve.ts";

interface SolveGapOptions {
  deadlineMs: number;
  seed: number;
  json?: boolean;
}

const defaultDeadlineMs = 5_000;
const maxDeadlineMs = 3_600_000;

/** `uoop solve gap`: generalised assignment problems in the OR-Library's format. */
export function addSolveGap(solve: Command, { does, whole }: Wiring): void {
  solve
    .command("gap <files...>")
    .description(
      "generalised assignment problems, OR-Library format: each job to one agent, within capacities",
    )
    .option(
      "--deadline-ms <number>",
      "for each file; 0: the greedy answer",
      whole(0, maxDeadlineMs),
      defaultDeadlineMs,
    )
    .option("--seed <number>", "of the search", whole(0, 2 ** 32 - 1), 1)
    .option("--json", "print one JSON object a file and nothing else")
    .action(does((files: readonly string[], options: SolveGapOptions) => solveFiles(files, options)));
}

/** Exit code 1 when a file has no solution, or none was found; 2 when a file is not one. */
async function solveFiles(files: readonly string[], options: SolveGapOptions): Promise<number> {
  const { parseGap, FormatError } = await import("../optimization/gap/or-library.ts");
  const { solveGap } = await import("../optimization/gap/solve.ts");
  const problems: { file: string; problem: AssignmentProblem }[] = [];
  for (const file of files) {
    try {
      problems.push({ file, problem: parseGap(readFileSync(file, "utf8")) });
    } catch (error) {
      if (!(error instanceof FormatError) && (error as NodeJS.ErrnoException).syscall === undefined)
        throw error;
      console.error(`${file}: ${(error as Error).message}`);
      return 2;
    }
  }
  const width = Math.max(4, ...files.map((file) => file.length));
  if (!options.json) console.log(line(width, ["file", "objective", "bound", "gap", "ms", "status"]));
  let solved = true;
  for (const { file, problem } of problems) {
    const startedAt = performance.now();
    const solution = solveGap(problem, { ...options, now: () => performance.now() });
    const ms = Math.round(performance.now() - startedAt);
    console.log(options.json ? asJson(file, solution, ms) : asRow(width, file, solution, ms));
    for (const reason of reasons(solution)) console.error(`${file}: ${reason}`);
    solved &&= Number.isFinite(solution.objective);
  }
  return solved ? 0 : 1;
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** `objective`, `bound` and `assignment` are null where there is none. */
const asJson = (file: string, { objective, bound, status, assignment }: GapSolution, ms: number): string =>
  JSON.stringify({
    file,
    objective: finite(objective),
    bound: finite(bound),
    status,
    ms,
    assignment: Number.isFinite(objective) ? [...assignment] : null,
  });

function asRow(width: number, file: string, { objective, bound, status }: GapSolution, ms: number): string {
  const text = (value: number): string => (Number.isFinite(value) ? String(value) : "–");
  const gap = Number.isFinite(objective) ? `${((objective / bound - 1 || 0) * 100).toFixed(3)} %` : "–";
  return line(width, [file, text(objective), text(bound), gap, String(ms), status]);
}

const line = (width: number, [file = "", ...cells]: readonly string[]): string =>
  `${file.padEnd(width)} ${cells.map((cell) => cell.padStart(10)).join(" ")}`;

function reasons({ status, shortages }: GapSolution): readonly string[] {
  if (status === "unknown")
    return ["nothing was found before the deadline; that there is no solution is not proven"];
  if (status !== "infeasible") return [];
  if (shortages.length === 0)
    return ["no assignment keeps within all capacities (the search went through all)"];
  return shortages.map((shortage) =>
    shortage.kind === "order"
      ? `job ${shortage.order} takes more of every agent than its capacity`
      : `capacity is short by ${shortage.wanted - shortage.available}: all jobs take at least ${shortage.wanted}, agents have ${shortage.available}`,
  );
}
