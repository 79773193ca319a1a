import { planCouriers } from "../../src/optimization/routes/courier-plan.ts";
import {
  type AssignTask,
  type CouriersTask,
  couriers as planInTime,
  sharedNow,
  assign as solve,
} from "../../src/optimization/worker.ts";

/** What the number of orders, or of stops, asks the worker to do. */
export const asked = { hang: 11, exhaust: 12, die: 13 };

export function assign(task: AssignTask): ReturnType<typeof solve> {
  misbehave(task.problem.orders);
  return solve(task);
}

/** Begins well and misbehaves in the middle of the search. */
export async function couriers(task: CouriersTask): ReturnType<typeof planInTime> {
  const { problem, seed } = task;
  if (!Object.values(asked).includes(problem.stops.length)) return planInTime(task);
  let looks = 0;
  const now = () => {
    if (++looks === 20) misbehave(problem.stops.length);
    return sharedNow();
  };
  return planCouriers(problem, { seed, deadlineMs: 60_000, now });
}

function misbehave(count: number): void {
  const hoard: number[][] = [];
  while (count === asked.hang);
  while (count === asked.exhaust) hoard.push(Array.from({ length: 100_000 }, (_, at) => at + 0.5));
  if (count === asked.die) process.exit(3); // of this thread
}
