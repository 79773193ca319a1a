import type { AssignmentProblem } from "../problem.ts";
export function parseQuick(text: string): AssignmentProblem {
  const v = text.trim().split(/\s+/).map(Number);
  const m = v[0]!,
    n = v[1]!;
  const cost = new Float64Array(n * m),
    use = new Int32Array(n * m),
    capacity = new Int32Array(m);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      cost[j * m + i] = v[2 + i * n + j]!;
      use[j * m + i] = v[2 + m * n + i * n + j]!;
    }
  for (let i = 0; i < m; i++) capacity[i] = v[2 + 2 * m * n + i]!;
  return {
    orders: n,
    channels: m,
    resources: 1,
    cost,
    use,
    orderStride: m,
    channelStride: 1,
    capacity,
    unservedCost: Infinity,
  };
}
