import { readFileSync } from "node:fs";
import type { Command } from "commander";
import type { NeverServed } from "../optimization/routes/problem.ts";
import type { SolomonInstance } from "../optimization/routes/solomon.ts";
import type { RoutesSolution } from "../optimization/routes/solve.ts";
import type { Wiring } from "./solve.ts";

const defaultDeadlineMs = 10_000;
const maxDeadlineMs = 3_600_000;
const defaultSeed = 1;

interface Options {
  deadlineMs?: number;
  seed?: number;
  json?: boolean;
}

export function addSolveRoutes(solve: Command, { does, whole }: Wiring): void {
  solve
    .command("routes <files...>")
    .description(
      "vehicle routes with time windows (Solomon's format): fewest vehicles, then least distance; exit code 1 when a customer stays unserved",
    )
    .option(
      "--deadline-ms <number>",
      `for each file, once it is read; 0: the construction as it is (default: ${defaultDeadlineMs})`,
      whole(0, maxDeadlineMs),
    )
    .option("--seed <number>", `of the search (default: ${defaultSeed})`, whole(0, 2 ** 32 - 1))
    .option("--json", "print one JSON object for each file and nothing else")
    .action(does(solveFiles));
}

async function solveFiles(files: readonly string[], options: Options): Promise<number> {
  const { solveRoutes } = await import("../optimization/routes/solve.ts");
  // All are read before the first is solved: a wrong name is said at once.
  const instances = [];
  for (const file of files) instances.push({ file, ...(await readInstance(file)) });
  const width = Math.max(...files.map((file) => file.length));
  if (!options.json) console.log(row("file", "vehicles", "distance", "ms", width));
  let code = 0;
  for (const { file, problem, customers } of instances) {
    const startedAt = performance.now();
    const solution = solveRoutes(problem, {
      deadlineMs: options.deadlineMs ?? defaultDeadlineMs,
      seed: options.seed ?? defaultSeed,
      now: () => performance.now(),
    });
    const ms = Math.round(performance.now() - startedAt);
    const { vehicles, distance } = solution;
    const routes = solution.routes
      .filter((route) => route.length > 0)
      .map((route) => route.map((stop) => customers[stop]!));
    if (options.json) console.log(JSON.stringify({ file, vehicles, distance, ms, routes }));
    else console.log(row(file, `${vehicles}`, distance.toFixed(2), `${ms}`, width));
    for (const sentence of unservedSentences(solution, customers, problem.vehicles.length)) {
      console.error(`${file}: ${sentence}`);
      code = 1;
    }
  }
  return code;
}

const row = (file: string, vehicles: string, distance: string, ms: string, width: number): string =>
  `${file.padEnd(width)}  ${vehicles.padStart(8)}  ${distance.padStart(12)}  ${ms.padStart(7)}`;

const reasons: Record<NeverServed, string> = {
  capacity: "demand above a vehicle's capacity",
  window: "not reached before its due date, straight from the depot",
  shift: "no way back to the depot in time",
};

function unservedSentences(
  { never, unserved }: RoutesSolution,
  customers: readonly number[],
  vehicles: number,
): readonly string[] {
  const impossible = Object.entries(reasons).map(([reason, why]) => ({
    why: `can never be served: ${why}`,
    stops: unserved.filter((stop) => never[stop] === reason),
  }));
  const short = {
    why: `found no room in ${vehicles} vehicles within the deadline`,
    stops: unserved.filter((stop) => never[stop] === null),
  };
  return [...impossible, short]
    .filter(({ stops }) => stops.length > 0)
    .map(({ why, stops }) => `customers ${stops.map((stop) => customers[stop]).join(", ")}: ${why}`);
}

/** Throws a UsageError that names the file. */
async function readInstance(file: string): Promise<SolomonInstance> {
  const { readSolomon, SolomonFormatError } = await import("../optimization/routes/solomon.ts");
  const { UsageError } = await import("./program.ts");
  try {
    return readSolomon(readFileSync(file, "utf8"));
  } catch (error) {
    const known = error instanceof SolomonFormatError || (error as NodeJS.ErrnoException).code !== undefined;
    throw known ? new UsageError(`${file}: ${(error as Error).message}`) : error;
  }
}
