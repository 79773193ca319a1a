import assert from "node:assert/strict";
import type { AssignmentProblem } from "../../src/optimization/problem.ts";

/** What an assignment costs, reckoned from the problem alone; fails where a channel is overfull or not allowed. -1: unserved. */
export function verify(problem: AssignmentProblem, assignment: ArrayLike<number>): number {
  const { orders, channels, resources } = problem;
  assert.equal(assignment.length, orders);
  const used = Array.from({ length: channels * resources }, () => 0);
  let cost = 0;
  for (let order = 0; order < orders; order += 1) {
    const channel = assignment[order]!;
    if (channel === -1) {
      cost += problem.unservedCost;
      continue;
    }
    assert.ok(Number.isInteger(channel) && channel >= 0 && channel < channels, `channel ${channel}`);
    cost += problem.cost[order * channels + channel]!;
    for (let r = 0; r < resources; r += 1) {
      used[channel * resources + r]! +=
        problem.use[order * problem.orderStride + channel * problem.channelStride + r]!;
    }
  }
  for (const [limit, units] of used.entries()) {
    const most = problem.capacity[limit]!;
    assert.ok(units <= most, `limit ${limit}: ${units} of ${most}`);
  }
  return cost;
}

/** The least cost of all assignments, by trying them all. Infinity: there is none. */
export function cheapestOfAll(problem: AssignmentProblem): number {
  const { orders, channels, resources } = problem;
  const room = Array.from(problem.capacity);
  const from = (order: number): number => {
    if (order === orders) return 0;
    let best = problem.unservedCost + from(order + 1);
    for (let channel = 0; channel < channels; channel += 1) {
      const cost = problem.cost[order * channels + channel]!;
      const use = (r: number) =>
        problem.use[order * problem.orderStride + channel * problem.channelStride + r]!;
      let fits = cost < Number.POSITIVE_INFINITY;
      for (let r = 0; r < resources; r += 1) fits &&= use(r) <= room[channel * resources + r]!;
      if (!fits) continue;
      for (let r = 0; r < resources; r += 1) room[channel * resources + r]! -= use(r);
      best = Math.min(best, cost + from(order + 1));
      for (let r = 0; r < resources; r += 1) room[channel * resources + r]! += use(r);
    }
    return best;
  };
  return from(0);
}
