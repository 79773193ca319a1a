import { type PricedSolution, type SolveSettings, solveAssignment } from "./assign/solve.ts";
import type { AssignmentProblem } from "./problem.ts";

/** One solve, as it is handed to a worker thread. */
export interface AssignTask extends Omit<SolveSettings, "deadlineMs" | "now"> {
  problem: AssignmentProblem;
  /** On the clock that all threads share, `sharedNow()`. */
  endsAt: number;
}

/** Milliseconds since 1970, finer than Date.now(), and the same in every thread. */
export const sharedNow = (): number => performance.timeOrigin + performance.now();

/** What a solver's thread does (its pool calls it by name). The wait for a thread has been taken from the time. */
export function assign({ problem, endsAt, ...settings }: AssignTask): PricedSolution {
  return solveAssignment(problem, {
    ...settings,
    deadlineMs: Math.max(0, endsAt - sharedNow()),
    now: sharedNow,
  });
}
