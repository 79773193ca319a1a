import { type AssignTask, assign as solve } from "../../src/optimization/worker.ts";

/** What the number of orders asks the worker to do. */
export const asked = { hang: 11, exhaust: 12, die: 13 };

export function assign(task: AssignTask): ReturnType<typeof solve> {
  const { orders } = task.problem;
  const hoard: number[][] = [];
  while (orders === asked.hang);
  while (orders === asked.exhaust) hoard.push(Array.from({ length: 100_000 }, (_, at) => at + 0.5));
  if (orders === asked.die) process.exit(3); // of this thread
  return solve(task);
}
