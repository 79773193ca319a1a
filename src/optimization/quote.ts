import type { ChannelRoom, ChannelType } from "../capacity/api.ts";
import { distance } from "../capacity/distance.ts";
import { rulesFor } from "../capacity/policy.ts";
import {
  costOf,
  cutOffMsOf,
  type Evaluation,
  evaluate,
  firstEndingAfter,
  leadMsOf,
  screen,
  travelMinutesOf,
  type Wish,
} from "../capacity/ranking.ts";
import { mayHaveRoomLater, type NeverCode, never } from "./route.ts";

/** What an order would get if it were placed now; nothing is held. */
export interface Quote {
  deliverable: boolean;
  policy: string;
  /** Why not; null when it is. */
  reason: { code: NeverCode | "no_capacity" | "channel_unreachable"; detail: string } | null;
  /** Of no_capacity: what is wanted, and the most that a channel has in the window. */
  short: { unitsWanted: number; unitsFree: number } | null;
  /** The best channel of each type, best first. */
  options: readonly QuoteOption[];
  /** The first slots with room from the window's start on (or now, when that is later). */
  nextSlots: readonly NextSlot[];
}

interface QuoteOption {
  channelType: ChannelType;
  channelId: string;
  costMinor: number;
  promised: { start: string; end: string };
  etaMinutes: number;
}

/** Slots of several channels at the same time are one: the cheapest's. */
interface NextSlot {
  start: string;
  end: string;
  channelType: ChannelType;
  costMinor: number;
  unitsFree: number;
}

const maxNextSlots = 5;
/** Of a channel's slots: a network that is full for longer shows fewer next slots. */
const maxScannedSlots = 200;

/** Pure, over the network in memory: about twice what routing an order costs. */
export function quote(wish: Wish, network: readonly ChannelRoom[], nowMs: number): Quote {
  const evaluation = evaluate(wish, network, nowMs);
  const deliverable = evaluation.candidates.length > 0;
  const short = deliverable || !evaluation.excluded.has("full") ? null : shortOf(wish, network, nowMs);
  return {
    deliverable,
    policy: wish.policy.id,
    reason: deliverable ? null : reasonOf(wish, evaluation, short, nowMs),
    short,
    options: optionsOf(evaluation),
    nextSlots: nextSlotsOf(wish, network, nowMs),
  };
}

function optionsOf({ candidates }: Evaluation): QuoteOption[] {
  const options: QuoteOption[] = [];
  for (const { channel, costMinor, etaMinutes, promisedStartMs, promisedEndMs } of candidates) {
    if (options.some(({ channelType }) => channelType === channel.type)) continue;
    options.push({
      channelType: channel.type,
      channelId: channel.id,
      costMinor,
      promised: { start: iso(promisedStartMs), end: iso(promisedEndMs) },
      etaMinutes: Math.round(etaMinutes),
    });
  }
  return options;
}

/** The most that any channel has for it in the window. */
function shortOf(wish: Wish, network: readonly ChannelRoom[], nowMs: number): Quote["short"] {
  let unitsFree = 0;
  for (const room of network) {
    const { candidates } = evaluate({ ...wish, units: 1 }, [room], nowMs);
    unitsFree = Math.max(unitsFree, candidates[0]?.remaining ?? 0);
  }
  return { unitsWanted: wish.units, unitsFree };
}

function reasonOf(wish: Wish, evaluation: Evaluation, short: Quote["short"], nowMs: number): Quote["reason"] {
  if (wish.windowEndMs <= nowMs) return { code: "too_late", detail: "The window has passed." };
  if (!mayHaveRoomLater(evaluation)) {
    const { code, detail } = never(evaluation);
    return { code, detail };
  }
  if (short) {
    const detail = `Channels serve this place in the window, but none has room for ${short.unitsWanted} units: the most that is free is ${short.unitsFree}.`;
    return { code: "no_capacity", detail };
  }
  if (evaluation.excluded.has("stock")) {
    return { code: "no_capacity", detail: "Channels serve this place, but have not enough of an item left." };
  }
  return { code: "channel_unreachable", detail: "Channels that could serve it can't be reached just now." };
}

interface FreeSlot extends Omit<NextSlot, "start" | "end"> {
  startMs: number;
  endMs: number;
}

function nextSlotsOf(wish: Wish, network: readonly ChannelRoom[], nowMs: number): NextSlot[] {
  const rules = rulesFor(wish.policy, wish.facts, wish.location);
  const found: FreeSlot[] = [];
  for (const room of network) {
    const distanceMeters = distance(wish.location, room.channel.location);
    const isOut = typeof screen(wish, room, distanceMeters, rules) === "string";
    if (!isOut && room.channel.health !== "down") addFreeSlots(found, wish, room, distanceMeters, nowMs);
  }
  return found.map(({ startMs, endMs, ...slot }) => ({ start: iso(startMs), end: iso(endMs), ...slot }));
}

/** Adds a channel's to those that were found, which stay the earliest few, by start. */
function addFreeSlots(
  found: FreeSlot[],
  wish: Wish,
  room: ChannelRoom,
  distanceMeters: number,
  nowMs: number,
): void {
  const { channel, slots } = room;
  const readyMs = nowMs + leadMsOf(wish, room, travelMinutesOf(wish, channel, distanceMeters));
  const cutOffMs = cutOffMsOf(room);
  const from = firstEndingAfter(slots, Math.max(wish.windowStartMs, readyMs));
  const until = Math.min(slots.length, from + maxScannedSlots);
  const costMinor = costOf(channel, distanceMeters, wish.units);
  let added = 0;
  for (let index = from; index < until && added < maxNextSlots; index += 1) {
    const { startMs, endMs, sellable, reserved } = slots[index]!;
    if (found.length === maxNextSlots && startMs > found.at(-1)!.startMs) return;
    const unitsFree = sellable - reserved;
    if (unitsFree < wish.units || nowMs > startMs - cutOffMs) continue;
    added += 1;
    const place = found.findIndex((one) => one.startMs >= startMs);
    const slot = { startMs, endMs, channelType: channel.type, costMinor, unitsFree };
    if (place < 0) found.push(slot);
    else if (found[place]!.startMs > startMs) found.splice(place, 0, slot);
    else if (costMinor < found[place]!.costMinor) found[place] = slot;
    if (found.length > maxNextSlots) found.pop();
  }
}

const iso = (ms: number): string => new Date(ms).toISOString();
