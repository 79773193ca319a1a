import { seeded } from "../mix.ts";

/** The classes of the OR-Library's generalised assignment problems. D is the hard one: what is cheap takes much. */
export type GapClass = "A" | "B" | "C" | "D";

/**
 * An instance in the OR-Library's format, by the recipe of Chu and Beasley, "A genetic algorithm for the generalised assignment
 * problem" (1997), section 4. A: use 5–25, cost 10–50, capacity 0.6 · 15 · jobs / agents + 0.4 · the load of the fullest agent when each
 * job goes to its cheapest. B: 70 % of A's capacity. C: capacity 0.8 · what all jobs would take of the agent, over the
 * number of agents. D: as C, with use 1–100 and cost 111 − use + (−10…10).
 */
export function generateGap(kind: GapClass, agents: number, jobs: number, seed: number): string {
  const random = seeded(seed);
  const int = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const matrix = (value: (agent: number, job: number) => number) =>
    Array.from({ length: agents }, (_, agent) => Array.from({ length: jobs }, (_, job) => value(agent, job)));
  const use = matrix(() => (kind === "D" ? int(1, 100) : int(5, 25)));
  const cost = matrix((agent, job) => (kind === "D" ? 111 - use[agent]![job]! + int(-10, 10) : int(10, 50)));
  const rows = [...cost, ...use, capacities(kind, cost, use)];
  return `${agents} ${jobs}\n${rows.map((row) => row.join(" ")).join("\n")}\n`;
}

function capacities(kind: GapClass, cost: readonly number[][], use: readonly number[][]): number[] {
  const agents = use.length;
  const jobs = use[0]!.length;
  if (kind === "C" || kind === "D")
    return use.map((row) => Math.floor((0.8 * row.reduce((sum, each) => sum + each, 0)) / agents));
  const loads = new Array<number>(agents).fill(0);
  for (let job = 0; job < jobs; job += 1) {
    let cheapest = 0;
    for (let agent = 1; agent < agents; agent += 1)
      if (cost[agent]![job]! < cost[cheapest]![job]!) cheapest = agent;
    loads[cheapest]! += use[cheapest]![job]!;
  }
  const ofA = 0.6 * 15 * (jobs / agents) + 0.4 * Math.max(...loads);
  return new Array<number>(agents).fill(Math.floor(kind === "A" ? ofA : 0.7 * ofA));
}
