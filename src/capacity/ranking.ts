import type { Channel, ChannelRoom, ChannelType, SlotRoom, Vehicle } from "./api.ts";
import { distance } from "./distance.ts";
import { judge, type OrderFacts, type RoutingPolicy, rulesFor } from "./policy.ts";

/**
 * Who can serve this, and how well. Pure: plain data in, plain data out; routing and `GET /v1/channels/rankings` both
 * stand on it. Routing takes 7 to 8 µs an order over 12 channels
 * (bench/measure/route-cost.ts), of which this is two thirds.
 */
export interface Wish {
  location: { lat: number; lng: number };
  windowStartMs: number;
  windowEndMs: number;
  vehicle: Vehicle | null;
  units: number;
  /** null: any currency (rankings). */
  currency: string | null;
  channelTypes: readonly ChannelType[] | null;
  maxCostMinor: number | null;
  /** Channels that are not to be asked again. */
  excluded: readonly string[];
  policy: RoutingPolicy;
  /** What the policy's rules look at. */
  facts: OrderFacts;
}

/** A channel's slot that could serve the wish. */
export interface Candidate {
  channel: Channel;
  slot: SlotRoom;
  promisedStartMs: number;
  promisedEndMs: number;
  distanceMeters: number;
  costMinor: number;
  /** From now (or the window's start, when that is later) until it can be at the door. */
  etaMinutes: number;
  remaining: number;
  /** Of the slot, with this order in it; 0 to 1. */
  used: number;
  /** What the policy's rules add to its penalty. */
  adjustment: number;
  /** What its units cost others who will need them: bid price · units, part of its penalty. 0 where nothing is short. */
  price: number;
  /** By the policy's weights; the score says the same the other way round. */
  penalty: number;
  score: number;
}

/** Why a channel is not a candidate. */
export type Exclusion =
  | "inactive"
  | "channel_type"
  | "asked_before"
  | "vehicle"
  | "currency"
  | "radius"
  | "cost"
  | "no_slot"
  | "too_late"
  | "full"
  | "not_carried"
  | "stock"
  | "down"
  | "distance"
  | "eta"
  | `rule:${string}`;

/** City averages including stops; metres a minute. */
export const metersPerMinute: Record<Vehicle, number> = {
  walk: 80,
  bike: 250,
  scooter: 400,
  car: 400,
  van: 350,
};

/** A channel that is no candidate, and why. */
export interface Excluded {
  channel: Channel;
  distanceMeters: number;
  why: Exclusion;
}

export interface Evaluation {
  /** Best first; ties by channel id, so that the same input gives the same answer. */
  candidates: Candidate[];
  excluded: Map<Exclusion, number>;
  /** Of the excluded channels the nearest, nearest first: at most `maxNamedExclusions`. */
  near: Excluded[];
  /** For the message when nobody serves the place: the channel that misses by least. */
  nearest: { channel: Channel; distanceMeters: number } | null;
}

const maxNamedExclusions = 3;
const nothingTaken: ReadonlyMap<string, number> = new Map();

/** Penalty per unit by slot id. */
export type SlotPrices = ReadonlyMap<string, number>;

/** Evaluates every channel of the network for one wish. `taken` is what the same batch already took of a slot. */
export function evaluate(
  wish: Wish,
  network: readonly ChannelRoom[],
  nowMs: number,
  taken: ReadonlyMap<string, number> = nothingTaken,
  prices?: SlotPrices,
): Evaluation {
  const candidates: Candidate[] = [];
  const excluded = new Map<Exclusion, number>();
  const near: Excluded[] = [];
  let nearest: Evaluation["nearest"] = null;
  const rules = rulesFor(wish.policy, wish.facts, wish.location);
  for (const room of network) {
    const { channel } = room;
    const distanceMeters = distance(wish.location, channel.location);
    if (channel.status === "active" && (nearest === null || distanceMeters < nearest.distanceMeters)) {
      nearest = { channel, distanceMeters };
    }
    const screened = screen(wish, room, distanceMeters, rules);
    const found =
      typeof screened === "string"
        ? screened
        : unlessDown(channel, findSlot(wish, room, distanceMeters, nowMs, taken, screened, prices));
    if (typeof found !== "string") candidates.push(found);
    else {
      excluded.set(found, (excluded.get(found) ?? 0) + 1);
      noteNear(near, channel, distanceMeters, found);
    }
  }
  candidates.sort((a, b) => b.score - a.score || (a.channel.id < b.channel.id ? -1 : 1));
  return { candidates, excluded, near, nearest };
}

function noteNear(near: Excluded[], channel: Channel, distanceMeters: number, why: Exclusion): void {
  let place = near.length;
  while (place > 0 && near[place - 1]!.distanceMeters > distanceMeters) place -= 1;
  if (place >= maxNamedExclusions) return;
  near.splice(place, 0, { channel, distanceMeters, why });
  if (near.length > maxNamedExclusions) near.pop();
}

/** Who could serve it but can't be reached may yet: nothing else is wrong, so it is worth waiting for. */
const unlessDown = (channel: Channel, found: Candidate | Exclusion) =>
  channel.health === "down" && typeof found !== "string" ? "down" : found;

/** Why a channel can't serve the wish whatever its slots are, or what the policy's rules add to its penalty. */
export function screen(
  wish: Wish,
  { channel, stock }: ChannelRoom,
  distanceMeters: number,
  rules: ReturnType<typeof rulesFor>,
): Exclusion | number {
  const why = excludedBy(wish, channel, distanceMeters);
  if (why !== null) return why;
  const verdict = rules.length === 0 ? 0 : judge(rules, channel);
  if (typeof verdict === "string" || stock === undefined) return verdict;
  return lacking(wish.facts.items, stock) ?? verdict;
}

function excludedBy(wish: Wish, channel: Channel, distanceMeters: number): Exclusion | null {
  const { limits } = wish.policy;
  if (channel.status !== "active") return "inactive";
  if (wish.channelTypes !== null && !wish.channelTypes.includes(channel.type)) return "channel_type";
  if (limits.channelTypes !== undefined && !limits.channelTypes.includes(channel.type)) return "channel_type";
  if (wish.excluded.includes(channel.id)) return "asked_before";
  if (vehicleFor(wish, channel) === null) return "vehicle";
  if (wish.currency !== null && channel.costModel.currency !== wish.currency) return "currency";
  if (distanceMeters > channel.serviceRadiusMeters) return "radius";
  if (limits.maxDistanceMeters !== undefined && distanceMeters > limits.maxDistanceMeters) return "distance";
  const maxCostMinor = Math.min(wish.maxCostMinor ?? Infinity, limits.maxCostMinor ?? Infinity);
  if (maxCostMinor < Infinity && costOf(channel, distanceMeters, wish.units) > maxCostMinor) return "cost";
  return null;
}

/** What it would be driven with: what the order asks for, or the channel's fastest that the policy allows; null: nothing. */
function vehicleFor({ vehicle, policy }: Wish, channel: Channel): Vehicle | null {
  const allowed = policy.limits.vehicles;
  if (vehicle === null && allowed === undefined) return fastest(channel.vehicles);
  if (vehicle === null) return fastest(channel.vehicles.filter((one) => allowed!.includes(one)));
  const may = channel.vehicles.includes(vehicle) && (allowed === undefined || allowed.includes(vehicle));
  return may ? vehicle : null;
}

/** A SKU that the channel does not have at all, or not enough of now. */
function lacking(
  items: Wish["facts"]["items"],
  stock: NonNullable<ChannelRoom["stock"]>,
): "not_carried" | "stock" | null {
  let short = false;
  for (const { sku } of items) {
    const free = stock.get(sku);
    if (free === undefined) return "not_carried";
    short ||= free < items.reduce((sum, item) => (item.sku === sku ? sum + item.quantity : sum), 0);
  }
  return short ? "stock" : null;
}

/** The channel's earliest slot in the window that has room and that can still be made. */
function findSlot(
  wish: Wish,
  room: ChannelRoom,
  distanceMeters: number,
  nowMs: number,
  taken: ReadonlyMap<string, number>,
  adjustment: number,
  prices: SlotPrices | undefined,
): Candidate | Exclusion {
  const { channel, slots } = room;
  const { weights, limits } = wish.policy;
  const { maxEtaMinutes } = limits;
  const travelMinutes = travelMinutesOf(wish, channel, distanceMeters);
  const readyMs = nowMs + leadMsOf(wish, room, travelMinutes);
  const cutOffMs = cutOffMsOf(room);
  let why: Exclusion = "no_slot";
  for (let index = firstEndingAfter(slots, wish.windowStartMs); index < slots.length; index += 1) {
    const slot = slots[index]!;
    if (slot.startMs >= wish.windowEndMs) break;
    const promisedStartMs = Math.max(slot.startMs, wish.windowStartMs, readyMs);
    const promisedEndMs = Math.min(slot.endMs, wish.windowEndMs);
    if (promisedStartMs >= promisedEndMs || nowMs > slot.startMs - cutOffMs) {
      why = "too_late";
      continue;
    }
    const remaining = slot.sellable - slot.reserved - (taken.get(slot.id) ?? 0);
    if (remaining < wish.units) {
      why = "full";
      continue;
    }
    const etaMinutes = travelMinutes + (promisedStartMs - Math.max(nowMs, wish.windowStartMs)) / 60_000;
    if (maxEtaMinutes !== undefined && etaMinutes > maxEtaMinutes) return why === "full" ? "full" : "eta";
    const costMinor = costOf(channel, distanceMeters, wish.units);
    const used = slot.sellable === 0 ? 1 : (slot.sellable - remaining + wish.units) / slot.sellable;
    const price = prices === undefined ? 0 : (prices.get(slot.id) ?? 0) * wish.units;
    const penalty =
      (weights.cost * costMinor) / 1_000 +
      (weights.time * etaMinutes) / 60 +
      weights.quality * (1 - channel.quality) +
      weights.capacity * used +
      adjustment +
      price;
    return {
      channel,
      slot,
      promisedStartMs,
      promisedEndMs,
      distanceMeters,
      costMinor,
      etaMinutes,
      remaining,
      used,
      adjustment,
      price,
      penalty,
      score: scoreOf(penalty),
    };
  }
  return why;
}

/** From confirmation until the food can leave: by the schedule, where it says so by item. */
function preparationMinutes({ channel, rules }: ChannelRoom, units: number): number {
  const preparation = rules?.preparation;
  if (!preparation) return channel.preparationMinutes;
  return preparation.baseMinutes + preparation.perItemMinutes * units;
}

/** From now until it can be at the door. */
export const leadMsOf = (wish: Wish, room: ChannelRoom, travelMinutes: number): number =>
  (preparationMinutes(room, wish.units) + travelMinutes) * 60_000;

/** How long before a slot begins it takes no more orders; by default until it ends. */
export const cutOffMsOf = ({ rules }: ChannelRoom): number =>
  (rules?.cutOffMinutes ?? Number.NEGATIVE_INFINITY) * 60_000;

/** Falls as the penalty grows: 1 at none, above 1 where rules prefer a channel by more than all else counts against it. */
const scoreOf = (penalty: number): number => (penalty >= 0 ? 1 / (1 + penalty) : 1 - penalty);

/** Of a channel that was screened. */
export const travelMinutesOf = (wish: Wish, channel: Channel, distanceMeters: number): number =>
  distanceMeters / metersPerMinute[vehicleFor(wish, channel)!];

export const costOf = (channel: Channel, distanceMeters: number, units: number): number =>
  Math.round(
    channel.costModel.baseMinor +
      (channel.costModel.perKmMinor * distanceMeters) / 1_000 +
      channel.costModel.perUnitMinor * units,
  );

function fastest(vehicles: readonly Vehicle[]): Vehicle | null {
  let best: Vehicle | null = null;
  for (const vehicle of vehicles) {
    if (best === null || metersPerMinute[vehicle] > metersPerMinute[best]) best = vehicle;
  }
  return best;
}

/** Index of the first slot that ends after `ms`: slots of a channel don't overlap, so their ends are sorted too. */
export function firstEndingAfter(slots: readonly SlotRoom[], ms: number): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slots[middle]!.endMs > ms) high = middle;
    else low = middle + 1;
  }
  return low;
}
