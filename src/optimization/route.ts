import type { ChannelRoom } from "../capacity/api.ts";
import {
  type Candidate,
  type Evaluation,
  type Exclusion,
  evaluate,
  type SlotPrices,
  type Wish,
} from "../capacity/ranking.ts";
import { type DecisionMethod, type DecisionRecord, exclusionText, recordDecision } from "./decision.ts";

/** Where an order goes; plain data, to be reserved by whoever asked. */
export interface Route {
  candidate: Candidate;
  decision: DecisionRecord;
}

/** `none_now`: some could serve it and are full or down for now. `never`: none fits, whatever time brings. */
export type Routed =
  | { kind: "route"; route: Route }
  | { kind: "none_now"; decision: DecisionRecord }
  | { kind: "never"; code: NeverCode; detail: string; decision: DecisionRecord };

export type NeverCode = "not_serviceable" | "no_slot" | "too_late" | "too_expensive" | "refused_by_channels";

export type RoutingMethod = "weighted" | "round_robin";

export interface RouteOptions {
  method: RoutingMethod;
  nowMs: number;
  /** Whose turn it is under round robin; counted on. */
  turn: { next: number };
  /** Bid prices of slots that will be short (steer.ts). Absent: none will. */
  prices?: SlotPrices;
}

/**
 * A channel for each wish, in input order (earlier wishes have precedence). When every wish can have its best channel
 * within the room that all slots have, taking the best is optimal: no wish could score higher anywhere. Otherwise each in turn takes
 * the best that still has room.
 */
export function route(
  wishes: readonly Wish[],
  network: readonly ChannelRoom[],
  options: RouteOptions,
): Routed[] {
  const evaluations = wishes.map((wish) => evaluate(wish, network, options.nowMs, undefined, options.prices));
  if (options.method === "round_robin") return inTurn(wishes, evaluations, network, options);
  return everyoneGetsTheirBest(wishes, evaluations) ?? oneAfterAnother(wishes, network, options);
}

function everyoneGetsTheirBest(wishes: readonly Wish[], evaluations: readonly Evaluation[]): Routed[] | null {
  const taken = new Map<string, number>();
  for (const [index, { candidates }] of evaluations.entries()) {
    const best = candidates[0];
    if (!best) continue;
    const units = (taken.get(best.slot.id) ?? 0) + wishes[index]!.units;
    if (units > best.slot.sellable - best.slot.reserved) return null;
    taken.set(best.slot.id, units);
  }
  return evaluations.map((evaluation, index) =>
    answer(wishes[index]!, evaluation, evaluation.candidates[0], "best_each"),
  );
}

function oneAfterAnother(
  wishes: readonly Wish[],
  network: readonly ChannelRoom[],
  options: RouteOptions,
): Routed[] {
  const taken = new Map<string, number>();
  return wishes.map((wish) => {
    const evaluation = evaluate(wish, network, options.nowMs, taken, options.prices);
    const best = evaluation.candidates[0];
    if (best) taken.set(best.slot.id, (taken.get(best.slot.id) ?? 0) + wish.units);
    return answer(wish, evaluation, best, "greedy");
  });
}

/** Channels in turn, whatever they cost: the fallback when there is nothing to score by, and the yardstick. */
function inTurn(
  wishes: readonly Wish[],
  evaluations: readonly Evaluation[],
  network: readonly ChannelRoom[],
  options: RouteOptions,
): Routed[] {
  const taken = new Map<string, number>();
  const turnOf = new Map(network.map((room, index) => [room.channel.id, index]));
  return evaluations.map((evaluation, index) => {
    const wish = wishes[index]!;
    const distanceInTurns = (candidate: Candidate) =>
      (turnOf.get(candidate.channel.id)! - (options.turn.next % network.length) + network.length) %
      network.length;
    const next = evaluation.candidates
      .filter((candidate) => candidate.remaining - (taken.get(candidate.slot.id) ?? 0) >= wish.units)
      .toSorted((a, b) => distanceInTurns(a) - distanceInTurns(b))[0];
    if (next) {
      taken.set(next.slot.id, (taken.get(next.slot.id) ?? 0) + wish.units);
      options.turn.next = turnOf.get(next.channel.id)! + 1;
    }
    return answer(wish, evaluation, next, "round_robin");
  });
}

function answer(
  wish: Wish,
  evaluation: Evaluation,
  chosen: Candidate | undefined,
  method: DecisionMethod,
): Routed {
  const decision = recordDecision(evaluation, chosen, method, wish.policy.id);
  if (chosen) return { kind: "route", route: { candidate: chosen, decision } };
  return mayHaveRoomLater(evaluation) ? { kind: "none_now", decision } : { ...never(evaluation), decision };
}

/** Full slots get room again, channels that are down answer again, and so may candidates that others of the batch took. */
export const mayHaveRoomLater = ({ candidates, excluded }: Evaluation): boolean =>
  candidates.length > 0 || excluded.has("full") || excluded.has("stock") || excluded.has("down");

/** Why none fits, whatever time brings. */
export function never({ excluded, nearest }: Evaluation): { kind: "never"; code: NeverCode; detail: string } {
  if (excluded.has("too_late")) {
    return {
      kind: "never",
      code: "too_late",
      detail: "The window ends before any channel that fits could be at the door.",
    };
  }
  if (excluded.has("asked_before")) {
    return {
      kind: "never",
      code: "refused_by_channels",
      detail: "Every channel that fits was asked and said no.",
    };
  }
  if (excluded.has("no_slot")) {
    return {
      kind: "never",
      code: "no_slot",
      detail: "Channels serve this place, but none has a slot in the window.",
    };
  }
  if (excluded.has("cost")) {
    return {
      kind: "never",
      code: "too_expensive",
      detail:
        "Every channel that fits costs more than is allowed (routing.maxCostMinor, or the routing policy).",
    };
  }
  if (excluded.has("not_carried")) {
    return {
      kind: "never",
      code: "not_serviceable",
      detail: "Channels serve this place, but none carries all of its items.",
    };
  }
  return { kind: "never", code: "not_serviceable", detail: notServiceable(excluded, nearest) };
}

function notServiceable(excluded: ReadonlyMap<Exclusion, number>, nearest: Evaluation["nearest"]): string {
  if (nearest === null) return "No channel is active.";
  const km = (meters: number) => `${(meters / 1_000).toFixed(1)} km`;
  const { channel, distanceMeters } = nearest;
  const radius = `the nearest, ${channel.name}, is ${km(distanceMeters)} away and serves ${km(channel.serviceRadiusMeters)}`;
  const others = [...excluded].map(([why, count]) => `${count} ${exclusionText(why)}`).join("; ");
  return `No channel serves this place as asked: ${radius} (of all: ${others}).`;
}
