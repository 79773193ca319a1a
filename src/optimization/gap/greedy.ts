import type { Model } from "./model.ts";

type Wish = (model: Model, pair: number, agent: number) => number;

/**
 * How much an agent is wanted for a job: less is better. Cost or share of capacity alone, or their product, after Martello and Toth, "Knapsack
 * Problems" (1990), ch. 7 (MTHG); and cost with capacity at a price, which class D needs: there the best of the former is 50 % above the optimum.
 */
function wishesOf(model: Model): readonly Wish[] {
  let [costs, shares] = [0, 0];
  model.cost.forEach((each, pair) => {
    if (each === Number.POSITIVE_INFINITY) return;
    costs += Math.abs(each);
    shares += share(model, pair, pair % model.agents);
  });
  const price = shares > 0 ? costs / shares : 0;
  const priced =
    (times: number): Wish =>
    (_, pair, agent) =>
      model.cost[pair]! + times * price * share(model, pair, agent);
  return [
    (_, pair) => model.cost[pair]!,
    (_, pair, agent) => share(model, pair, agent),
    (_, pair, agent) => model.cost[pair]! * share(model, pair, agent),
    ...[0.1, 0.3, 0.6, 0.85, 1.1, 1.5].map(priced),
  ];
}

/** Of the agent's capacity, what the job takes of the resource that it takes most of. */
function share({ resources, use, capacity }: Model, pair: number, agent: number): number {
  let most = 0;
  for (let resource = 0; resource < resources; resource += 1)
    most = Math.max(
      most,
      use[pair * resources + resource]! / Math.max(1, capacity[agent * resources + resource]!),
    );
  return most;
}

interface Greedy {
  /** Agent by job. */
  assignment: Int32Array;
  /** Every job fitted somewhere. */
  feasible: boolean;
  cost: number;
}

/** The best by any of the wishes. Where jobs found no room, it is no solution but a place to begin from. Time: jobs² × agents at worst. */
export function greedy(model: Model): Greedy {
  return wishesOf(model)
    .map((wish) => byRegret(model, wish))
    .reduce((best, each) =>
      (each.feasible && !best.feasible) || (each.feasible === best.feasible && each.cost < best.cost)
        ? each
        : best,
    );
}

/** The job next whose second choice is worst against its first; one that fits nowhere goes where it is cheapest. */
function byRegret(model: Model, wish: Wish): Greedy {
  const { jobs, agents, resources, use, cost } = model;
  const room = Int32Array.from(model.capacity);
  const wished = cost.map((each, pair) =>
    each === Number.POSITIVE_INFINITY ? each : wish(model, pair, pair % agents),
  );
  const choice = choiceOf(model, room, wished);
  const waiting = Array.from({ length: jobs }, (_, job) => choice(job));
  const result: Greedy = { assignment: new Int32Array(jobs), feasible: true, cost: 0 };
  while (waiting.length > 0) {
    let at = 0;
    for (let each = 1; each < waiting.length; each += 1)
      if (waiting[each]!.regret > waiting[at]!.regret) at = each;
    const { job, agent } = waiting[at]!;
    waiting[at] = waiting.at(-1)!;
    waiting.pop();
    if (agent < 0) result.feasible = false;
    const to = agent < 0 ? cheapest(model, job) : agent;
    result.assignment[job] = to;
    result.cost += cost[job * agents + to]!;
    for (let resource = 0; resource < resources; resource += 1)
      room[to * resources + resource]! -= use[(job * agents + to) * resources + resource]!;
    waiting.forEach((other, index) => {
      if (other.agent === to || other.second === to) waiting[index] = choice(other.job);
    });
  }
  return result;
}

/** Best and second agent with room, and by how much the first is better: without limit when there is no second. */
function choiceOf({ agents, resources, use }: Model, room: Int32Array, wished: Float64Array) {
  const fits = (pair: number, agent: number): boolean => {
    for (let resource = 0; resource < resources; resource += 1)
      if (use[pair * resources + resource]! > room[agent * resources + resource]!) return false;
    return true;
  };
  return (job: number): { job: number; agent: number; second: number; regret: number } => {
    let [agent, second] = [-1, -1];
    let [least, next] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let each = 0; each < agents; each += 1) {
      const value = wished[job * agents + each]!;
      if (value >= next || !fits(job * agents + each, each)) continue;
      if (value < least) {
        [next, second] = [least, agent];
        [least, agent] = [value, each];
      } else [next, second] = [value, each];
    }
    return { job, agent, second, regret: agent < 0 ? Number.POSITIVE_INFINITY : next - least };
  };
}

function cheapest({ agents, cost }: Model, job: number): number {
  const own = cost.subarray(job * agents, (job + 1) * agents);
  return own.indexOf(Math.min(...own));
}
