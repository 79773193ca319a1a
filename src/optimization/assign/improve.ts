import type { Random } from "../random.ts";
import { createChains } from "./chains.ts";
import { chargedCosts } from "./dual.ts";
import { createExchange, type Exchange } from "./exchange.ts";
import { listNear, type Near } from "./near.ts";
import type { Options } from "./options.ts";
import { copyPlan, costOf, hasRoom, type Plan } from "./plan.ts";

/** When to stop. */
export interface Until {
  timeLeft(): number;
  /** Kicks at most. */
  rounds: number;
  /** A plan of this cost is proven the best. */
  goal: number;
}

const smallestKick = 2;
const kickRange = 8;

/**
 * Chains until none helps; then, while there is time, kicks (a few orders of one channel are thrown out) and chains again from
 * where the kick was, kept when no worse: iterated local search (Lourenço, Martin & Stützle 2003).
 */
export function improve(
  options: Options,
  from: Plan,
  prices: Float64Array,
  near: number,
  until: Until,
  random: Random,
): Plan {
  const plan = copyPlan(from);
  const charged = chargedCosts(options, prices);
  const list = listNear(options, charged, plan.choice, near);
  const exchange = createExchange(options, plan, list);
  if (exchange === null) return plan;
  const chains = createChains(exchange);
  let cost = costOf(options, plan) + settle(chains, [...allChannels(options)], until);
  const kept = copyPlan(plan);
  for (let round = 0; round < until.rounds && until.timeLeft() > 0 && cost > until.goal; round += 1) {
    const kicked = kick(options, exchange, list, random);
    settle(chains, kicked, until);
    const now = costOf(options, plan);
    if (now <= cost) {
      cost = now;
      kept.choice.set(plan.choice);
      kept.room.set(plan.room);
    } else goBack(exchange, kept);
  }
  return kept;
}

/** The unserved first: that is where most is to be gained. */
function* allChannels({ problem }: Options): Iterable<number> {
  for (let channel = problem.channels; channel >= 0; channel -= 1) yield channel;
}

/** Looks for chains from these channels, and again from those that a chain ran through, until there are none. Answers the change of cost. */
function settle(chains: ReturnType<typeof createChains>, queue: number[], until: Until): number {
  let change = 0;
  const waiting = new Set(queue);
  for (const channel of waiting) {
    waiting.delete(channel);
    for (;;) {
      if (until.timeLeft() <= 0) return change;
      const found = chains.improveFrom(channel);
      if (found === null) break;
      change += found.cost;
      for (const each of found.channels) waiting.add(each);
    }
  }
  return change;
}

/** Moves some orders of one channel to another option with room, or leaves them unserved. Answers the channels touched. */
function kick(options: Options, exchange: Exchange, near: Near, random: Random): number[] {
  const { choice, room } = exchange.plan;
  const touched = new Set<number>([options.problem.channels]);
  const channel = Math.floor(random() * options.problem.channels);
  const members = exchange.members(channel);
  const many = Math.min(members.length, smallestKick + Math.floor(random() * kickRange));
  for (let n = 0; n < many; n += 1) {
    const order = members[Math.floor(random() * members.length)]!;
    let to = options.start[order + 1]! - 1;
    for (let at = near.start[order]!; at < near.start[order + 1]!; at += 1) {
      const option = near.option[at]!;
      if (option === choice[order] || options.channel[option] === channel) continue;
      if (options.cost[option]! < options.cost[to]! && hasRoom(options, room, option)) to = option;
    }
    touched.add(channel).add(options.channel[to]!);
    exchange.move(order, to);
  }
  return [...touched];
}

function goBack(exchange: Exchange, { choice }: Plan): void {
  const now = exchange.plan.choice;
  for (let order = 0; order < choice.length; order += 1) {
    if (now[order] !== choice[order]) exchange.move(order, choice[order]!);
  }
}
