import type { AssignmentProblem } from "../../src/optimization/problem.ts";

/** Cost and overload of an assignment by the text of the file alone; shares no code with the solver. */
export function verifyGap(
  text: string,
  assignment: readonly number[],
): { objective: number; broken: string[] } {
  const numbers = text.trim().split(/\s+/).map(Number);
  const [agents = 0, jobs = 0] = numbers;
  const broken: string[] = [];
  if (assignment.length !== jobs) broken.push(`${assignment.length} jobs assigned of ${jobs}`);
  const load = new Array<number>(agents).fill(0);
  let objective = 0;
  assignment.forEach((agent, job) => {
    if (!(Number.isInteger(agent) && agent >= 0 && agent < agents)) {
      broken.push(`job ${job} at ${agent}`);
      return;
    }
    objective += numbers[2 + agent * jobs + job]!;
    load[agent]! += numbers[2 + agents * jobs + agent * jobs + job]!;
  });
  load.forEach((each, agent) => {
    const capacity = numbers[2 + 2 * agents * jobs + agent]!;
    if (each > capacity) broken.push(`agent ${agent} carries ${each} of ${capacity}`);
  });
  return { objective, broken };
}

/** What an assignment costs; Infinity when it breaks a limit. */
export function costOf(problem: AssignmentProblem, assignment: ArrayLike<number>): number {
  const { orders, channels, resources, cost, use, capacity, unservedCost } = problem;
  const room = Array.from(capacity);
  let sum = 0;
  for (let order = 0; order < orders; order += 1) {
    const channel = assignment[order]!;
    if (channel === -1) {
      sum += unservedCost;
      continue;
    }
    sum += cost[order * channels + channel]!;
    for (let resource = 0; resource < resources; resource += 1) {
      const at = channel * resources + resource;
      room[at]! -= use[order * problem.orderStride + channel * problem.channelStride + resource]!;
      if (room[at]! < 0) return Number.POSITIVE_INFINITY;
    }
  }
  return sum;
}

/** The least cost of all assignments there are, one after another. */
export function bruteForce(problem: AssignmentProblem): number {
  const assignment = new Array<number>(problem.orders).fill(-1);
  let best = Number.POSITIVE_INFINITY;
  const from = (order: number): void => {
    if (order === problem.orders) {
      best = Math.min(best, costOf(problem, assignment));
      return;
    }
    for (let channel = -1; channel < problem.channels; channel += 1) {
      assignment[order] = channel;
      from(order + 1);
    }
  };
  from(0);
  return best;
}
