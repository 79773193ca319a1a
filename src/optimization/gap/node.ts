import type { Model } from "./model.ts";

/** A part of the problem: some jobs placed, and for each other one the agents that it may still go to. */
export interface Node {
  /** Jobs not placed yet: the first `openCount` of `open`. */
  open: Int32Array;
  openCount: number;
  /** By job, then agent: 1 while the job may go there. */
  alive: Uint8Array;
  /** Agent by job, -1 while open. */
  placed: Int32Array;
  /** What agents have left, by agent, then resource. */
  room: Int32Array;
  /** Of the jobs placed. */
  cost: number;
  /** Lagrangian multipliers: of a job (what serving it is worth) and of each priced resource of an agent (what a unit costs). */
  worth: Float64Array;
  price: Float64Array;
}

/** Everything open. Multipliers begin at each job's second cheapest agent (Fisher, Jaikumar, Van Wassenhove 1986). */
export function rootNode(model: Model): Node {
  const { jobs, agents, resources, cost } = model;
  const alive = new Uint8Array(jobs * agents);
  const worth = new Float64Array(jobs);
  for (let job = 0; job < jobs; job += 1) {
    let least = Number.POSITIVE_INFINITY;
    let second = Number.POSITIVE_INFINITY;
    for (let agent = 0; agent < agents; agent += 1) {
      const each = cost[job * agents + agent]!;
      if (each === Number.POSITIVE_INFINITY) continue;
      alive[job * agents + agent] = 1;
      if (each < least) {
        second = least;
        least = each;
      } else if (each < second) second = each;
    }
    worth[job] = second < Number.POSITIVE_INFINITY ? second : least < Number.POSITIVE_INFINITY ? least : 0;
  }
  return {
    open: Int32Array.from({ length: jobs }, (_, job) => job),
    openCount: jobs,
    alive,
    placed: new Int32Array(jobs).fill(-1),
    room: Int32Array.from(model.capacity),
    cost: 0,
    worth,
    price: new Float64Array(agents * resources),
  };
}

export function copyNode(from: Node, to: Node): Node {
  to.open.set(from.open);
  to.openCount = from.openCount;
  to.alive.set(from.alive);
  to.placed.set(from.placed);
  to.room.set(from.room);
  to.cost = from.cost;
  to.worth.set(from.worth);
  to.price.set(from.price);
  return to;
}

/** Whether the agent has room for the job. */
export function fits({ agents, resources, use }: Model, { room }: Node, job: number, agent: number): boolean {
  const pair = (job * agents + agent) * resources;
  for (let resource = 0; resource < resources; resource += 1)
    if (use[pair + resource]! > room[agent * resources + resource]!) return false;
  return true;
}

/** Gives an open job to an agent. False when it does not fit. */
export function place(model: Model, node: Node, job: number, agent: number): boolean {
  if (!fits(model, node, job, agent)) return false;
  const { agents, resources, use } = model;
  const pair = job * agents + agent;
  for (let resource = 0; resource < resources; resource += 1)
    node.room[agent * resources + resource]! -= use[pair * resources + resource]!;
  node.cost += model.cost[pair]!;
  node.placed[job] = agent;
  const at = node.open.indexOf(job);
  node.openCount -= 1;
  node.open[at] = node.open[node.openCount]!;
  node.open[node.openCount] = job;
  return true;
}
