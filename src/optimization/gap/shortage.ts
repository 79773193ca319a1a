import type { Model } from "./model.ts";

/** A limit that makes a problem impossible where all orders must be served. Orders, channels and resources count from 0. */
export type Shortage =
  /** No channel may take the order, or has room for it even when empty. */
  | { kind: "order"; order: number }
  /** Even where each order takes least, all together take more than all channels have. */
  | { kind: "resource"; resource: number; wanted: number; available: number };

/** Limits that are short for certain. None found does not say that a solution exists. */
export function shortages({ jobs, agents, unserved, resources, cost, use, capacity }: Model): Shortage[] {
  if (unserved) return [];
  const found: Shortage[] = [];
  for (let job = 0; job < jobs; job += 1) {
    const pairs = cost.subarray(job * agents, (job + 1) * agents);
    if (pairs.every((each) => each === Number.POSITIVE_INFINITY)) found.push({ kind: "order", order: job });
  }
  for (let resource = 0; resource < resources; resource += 1) {
    let wanted = 0;
    for (let job = 0; job < jobs; job += 1) {
      let least = Number.POSITIVE_INFINITY;
      for (let agent = 0; agent < agents; agent += 1) {
        const pair = job * agents + agent;
        if (cost[pair]! < Number.POSITIVE_INFINITY)
          least = Math.min(least, use[pair * resources + resource]!);
      }
      if (least < Number.POSITIVE_INFINITY) wanted += least;
    }
    let available = 0;
    for (let agent = 0; agent < agents; agent += 1) available += capacity[agent * resources + resource]!;
    if (wanted > available) found.push({ kind: "resource", resource, wanted, available });
  }
  return found;
}
