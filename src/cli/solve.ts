import type { Command } from "commander";
import { addSolveChannels } from "./solve-channels.ts";
import { addSolveGap } from "./solve-gap.ts";
import { addSolveRoutes } from "./solve-routes.ts";

/** Parsers of options, and how a command's exit code is passed on: program.ts has them. */
export interface Wiring {
  does: <Args extends readonly unknown[]>(
    action: (...args: Args) => Promise<number>,
  ) => (...args: Args) => Promise<void>;
  whole: (least: number, most: number) => (text: string) => number;
}

/** `uoop solve <problem> <file…>`: the service's solvers on files. */
export function addSolveCommands(program: Command, wiring: Wiring): void {
  const solve = program
    .command("solve")
    .description("solve a problem in a file with the solvers that the service runs");
  addSolveChannels(solve, wiring);
  addSolveGap(solve, wiring);
  addSolveRoutes(solve, wiring);
}
