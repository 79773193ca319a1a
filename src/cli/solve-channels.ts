import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { AssignmentProblem } from "../optimization/problem.ts";
import type { Wiring } from "./solve.ts";

const defaultDeadlineMs = 500;
const maxDeadlineMs = 3_600_000;

interface Options {
  deadlineMs?: number;
  json?: boolean;
}

export function addSolveChannels(solve: Command, { does, whole }: Wiring): void {
  solve
    .command("channels <file>")
    .description("orders to channels, jointly, within capacity; exit code 2 when the file is not understood")
    .option(
      "--deadline-ms <number>",
      `answer within, once the file is read; 0: the greedy answer (default: ${defaultDeadlineMs})`,
      whole(0, maxDeadlineMs),
    )
    .option("--json", "print one JSON object and nothing else")
    .action(does(solveChannels));
}

async function solveChannels(
  file: string,
  { deadlineMs = defaultDeadlineMs, json }: Options,
): Promise<number> {
  const { solveAssignment } = await import("../optimization/assign/solve.ts");
  const problem = await readInstance(file);
  if (deadlineMs > 0) (await import("../optimization/assign/warm-up.ts")).warmUp();
  const startedAt = performance.now();
  const solution = solveAssignment(problem, { deadlineMs, now: () => performance.now() });
  const ms = Math.round(performance.now() - startedAt);
  const { objective, bound, method } = solution;
  const served = solution.assignment.reduce((count, channel) => count + (channel < 0 ? 0 : 1), 0);
  if (json) {
    const assignment = Array.from(solution.assignment, (channel) => (channel < 0 ? null : channel));
    console.log(JSON.stringify({ objective, bound, served, method, ms, assignment }));
    return 0;
  }
  const gap = objective === 0 ? 0 : 1 - bound / objective;
  const rows = [
    ["orders × channels", `${problem.orders} × ${problem.channels}`],
    ["served", `${served}`],
    ["objective", `${objective}`],
    ["bound", `${bound.toFixed(1)} (${(100 * gap).toFixed(3)} % below)`],
    ["method", `${method}, ${solution.status}`],
    ["time", `${ms} ms`],
  ] as const;
  for (const [name, value] of rows) console.log(`${name.padEnd(18)} ${value}`);
  return 0;
}

/** Throws a UsageError that names the file. */
async function readInstance(file: string): Promise<AssignmentProblem> {
  const { InstanceError, parseChannelsFile } = await import("../optimization/channels-file.ts");
  const { UsageError } = await import("./program.ts");
  try {
    return parseChannelsFile(readFileSync(file, "utf8"));
  } catch (error) {
    const known = error instanceof InstanceError || (error as NodeJS.ErrnoException).code !== undefined;
    throw known ? new UsageError(`${file}: ${(error as Error).message}`) : error;
  }
}
