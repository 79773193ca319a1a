import { type PricedSolution, type SolveSettings, solveAssignment } from "./assign/solve.ts";
import type { AssignmentProblem } from "./problem.ts";
import type { CourierPlan, CourierProblem } from "./routes/courier-plan.ts";

/** One solve, as it is handed to a worker thread. */
interface Task<Problem> {
  problem: Problem;
  /** On the clock that all threads share, `sharedNow()`. */
  endsAt: number;
}

export type AssignTask = Task<AssignmentProblem> & Omit<SolveSettings, "deadlineMs" | "now">;
export type CouriersTask = Task<CourierProblem> & { seed: number };

/** Milliseconds since 1970, finer than Date.now(), and the same in every thread. */
export const sharedNow = (): number => performance.timeOrigin + performance.now();

// What a solver's thread does: its pool calls these by name. The wait for a thread has been taken from the time.

export const assign = ({ problem, ...settings }: AssignTask): PricedSolution =>
  solveAssignment(problem, inTime(settings));

/** Its solver is loaded by the first plan: starting a process without it is 40 ms shorter. */
export async function couriers({ problem, ...settings }: CouriersTask): Promise<CourierPlan> {
  const { planCouriers } = await import("./routes/courier-plan.ts");
  return planCouriers(problem, inTime(settings));
}

const inTime = <Settings>({ endsAt, ...settings }: Settings & { endsAt: number }) => ({
  ...settings,
  deadlineMs: Math.max(0, endsAt - sharedNow()),
  now: sharedNow,
});
