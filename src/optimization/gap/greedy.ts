import type { Model } from "./model.ts";

/** How much an agent is wanted for a job: less is better. Martello and Toth, "Knapsack Problems" (1990), ch. 7 (MTHG). */
const wishes: readonly ((model: Model, pair: number, agent: number) => number)[] = [
  ({ cost }, pair) => cost[pair]!,
  (model, pair, agent) => share(model, pair, agent),
  (model, pair, agent) => model.cost[pair]! * share(model, pair, agent),
  (model, pair, agent) => model.cost[pair]! + model.ceiling * share(model, pair, agent) * model.agents / Math.max(1, model.jobs) ** 2,
];

/** Of the agent's capacity that the job takes, where it takes most. */
function share({ resources, use, capacity }: Model, pair: number, agent: number): number {
  let most = 0;
  for (let resource = 0; resource < resources; resource += 1)
    most = Math.max(most, use[pair * resources + resource]! / Math.max(1, capacity[agent * resources + resource]!));
  return most;
}

/**
 * The best that regret finds by any of the wishes: the job whose second choice is worst against its first goes next. Jobs that fit
 * nowhere any more go where they overload least: then the answer is no solution, and a place to begin from. Time: jobs² × agents.
 */
export function greedy(model: Model): { assignment: Int32Array; feasible: boolean } {
  let best: { assignment: Int32Array; left: number; cost: number } | null = null;
  for (const wish of wishes) {
    const found = byRegret(model, wish);
    if (!best || found.left < best.left || (found.left === best.left && found.cost < best.cost)) best = found;
  }
  return { assignment: best!.assignment, feasible: best!.left === 0 };
}

function byRegret(model: Model, wish: (model: Model, pair: number, agent: number) => number) {
  const { jobs, agents, resources, use, cost } = model;
  const room = Int32Array.from(model.capacity);
  const assignment = new Int32Array(jobs).fill(-1);
  const wished = Float64Array.from(cost, (each, pair) =>
    each === Number.POSITIVE_INFINITY ? each : wish(model, pair, pair % agents),
  );
  const fits = (job: number, agent: number): boolean => {
    for (let resource = 0; resource < resources; resource += 1)
      if (use[(job * agents + agent) * resources + resource]! > room[agent * resources + resource]!) return false;
    return true;
  };
  const regretOf = (job: number): { agent: number; regret: number } => {
    let agent = -1;
    let least = Number.POSITIVE_INFINITY;
    let second = Number.POSITIVE_INFINITY;
    for (let each = 0; each < agents; each += 1) {
      const value = wished[job * agents + each]!;
      if (value >= second || !fits(job, each)) continue;
      if (value < least) {
        second = least;
        least = value;
        agent = each;
      } else second = value;
    }
    return { agent, regret: second - least };
  };
  const waiting = Array.from({ length: jobs }, (_, job) => ({ job, ...regretOf(job) }));
  let total = 0;
  let left = 0;
  while (waiting.length > 0) {
    let at = 0;
    for (let each = 1; each < waiting.length; each += 1)
      if (waiting[each]!.agent < 0 || waiting[each]!.regret > waiting[at]!.regret) at = each;
    const { job, agent } = waiting[at]!;
    waiting[at] = waiting.at(-1)!;
    waiting.pop();
    const to = agent >= 0 ? agent : cheapest(model, job);
    if (agent < 0) left += 1;
    assignment[job] = to;
    total += cost[job * agents + to]!;
    for (let resource = 0; resource < resources; resource += 1)
      room[to * resources + resource]! -= use[(job * agents + to) * resources + resource]!;
    for (const other of waiting) if (other.agent >= 0) Object.assign(other, regretOf(other.job));
  }
  return { assignment, left, cost: total };
}

function cheapest({ agents, cost }: Model, job: number): number {
  let best = 0;
  for (let agent = 1; agent < agents; agent += 1) if (cost[job * agents + agent]! < cost[job * agents + best]!) best = agent;
  return best;
}
