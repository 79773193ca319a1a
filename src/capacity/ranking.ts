import type { Channel, ChannelRoom, ChannelType, SlotRoom, Vehicle } from "./api.ts";

/**
 * Who can serve this, and how well. Pure: plain data in, plain data out; routing and `GET /v1/channels/rankings` both
 * stand on it. About 4 µs an order over 12 channels.
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
  | "down";

/** What cost, time, quality and use of capacity weigh. A penalty of 1 is 10.00 of cost, an hour, or all quality lost. */
export interface RoutingPolicy {
  id: string;
  weights: { cost: number; time: number; quality: number; capacity: number };
}

export const defaultPolicy: RoutingPolicy = {
  id: "default@1",
  weights: { cost: 1, time: 1, quality: 0.5, capacity: 0.25 },
};

/** City averages including stops; metres a minute. */
export const metersPerMinute: Record<Vehicle, number> = {
  walk: 80,
  bike: 250,
  scooter: 400,
  car: 400,
  van: 350,
};

export interface Evaluation {
  /** Best first; ties by channel id, so that the same input gives the same answer. */
  candidates: Candidate[];
  excluded: Map<Exclusion, number>;
  /** For the message when nobody serves the place: the channel that misses by least. */
  nearest: { channel: Channel; distanceMeters: number } | null;
}

/** Evaluates every channel of the network for one wish. `taken` is what the same batch already took of a slot. */
export function evaluate(
  wish: Wish,
  network: readonly ChannelRoom[],
  policy: RoutingPolicy,
  nowMs: number,
  taken: ReadonlyMap<string, number> = new Map(),
): Evaluation {
  const candidates: Candidate[] = [];
  const excluded = new Map<Exclusion, number>();
  let nearest: Evaluation["nearest"] = null;
  for (const room of network) {
    const { channel } = room;
    const distanceMeters = distance(wish.location, channel.location);
    if (channel.status === "active" && (nearest === null || distanceMeters < nearest.distanceMeters)) {
      nearest = { channel, distanceMeters };
    }
    const found =
      excludedBy(wish, channel, distanceMeters) ??
      unlessDown(channel, findSlot(wish, room, distanceMeters, nowMs, taken));
    if (typeof found === "string") {
      excluded.set(found, (excluded.get(found) ?? 0) + 1);
      continue;
    }
    candidates.push({ ...found, score: score(found, wish, policy, taken) });
  }
  candidates.sort((a, b) => b.score - a.score || (a.channel.id < b.channel.id ? -1 : 1));
  return { candidates, excluded, nearest };
}

/** Who could serve it but can't be reached may yet: nothing else is wrong, so it is worth waiting for. */
const unlessDown = (channel: Channel, found: Omit<Candidate, "score"> | Exclusion) =>
  channel.health === "down" && typeof found !== "string" ? "down" : found;

function excludedBy(wish: Wish, channel: Channel, distanceMeters: number): Exclusion | null {
  if (channel.status !== "active") return "inactive";
  if (wish.channelTypes !== null && !wish.channelTypes.includes(channel.type)) return "channel_type";
  if (wish.excluded.includes(channel.id)) return "asked_before";
  if (wish.vehicle !== null && !channel.vehicles.includes(wish.vehicle)) return "vehicle";
  if (wish.currency !== null && channel.costModel.currency !== wish.currency) return "currency";
  if (distanceMeters > channel.serviceRadiusMeters) return "radius";
  if (wish.maxCostMinor !== null && costOf(channel, distanceMeters, wish.units) > wish.maxCostMinor)
    return "cost";
  return null;
}

/** The channel's earliest slot in the window that has room and that can still be made. */
function findSlot(
  wish: Wish,
  room: ChannelRoom,
  distanceMeters: number,
  nowMs: number,
  taken: ReadonlyMap<string, number>,
): Omit<Candidate, "score"> | Exclusion {
  const { channel, slots } = room;
  const travelMinutes = distanceMeters / metersPerMinute[wish.vehicle ?? fastest(channel.vehicles)];
  const leadMs = (channel.preparationMinutes + travelMinutes) * 60_000;
  const readyMs = nowMs + leadMs;
  let why: Exclusion = "no_slot";
  for (let index = firstEndingAfter(slots, wish.windowStartMs); index < slots.length; index += 1) {
    const slot = slots[index]!;
    if (slot.startMs >= wish.windowEndMs) break;
    const promisedStartMs = Math.max(slot.startMs, wish.windowStartMs, readyMs);
    const promisedEndMs = Math.min(slot.endMs, wish.windowEndMs);
    if (promisedStartMs >= promisedEndMs) {
      why = "too_late";
      continue;
    }
    const remaining = slot.sellable - slot.reserved - (taken.get(slot.id) ?? 0);
    if (remaining < wish.units) {
      why = "full";
      continue;
    }
    const etaMinutes = travelMinutes + (promisedStartMs - Math.max(nowMs, wish.windowStartMs)) / 60_000;
    const costMinor = costOf(channel, distanceMeters, wish.units);
    return {
      channel,
      slot,
      promisedStartMs,
      promisedEndMs,
      distanceMeters,
      costMinor,
      etaMinutes,
      remaining,
    };
  }
  return why;
}

function score(
  candidate: Omit<Candidate, "score">,
  wish: Wish,
  policy: RoutingPolicy,
  taken: ReadonlyMap<string, number>,
): number {
  const { weights } = policy;
  const { slot } = candidate;
  const used =
    slot.sellable === 0 ? 1 : (slot.reserved + (taken.get(slot.id) ?? 0) + wish.units) / slot.sellable;
  const penalty =
    (weights.cost * candidate.costMinor) / 1_000 +
    (weights.time * candidate.etaMinutes) / 60 +
    weights.quality * (1 - candidate.channel.quality) +
    weights.capacity * used;
  return 1 / (1 + penalty);
}

const costOf = (channel: Channel, distanceMeters: number, units: number): number =>
  Math.round(
    channel.costModel.baseMinor +
      (channel.costModel.perKmMinor * distanceMeters) / 1_000 +
      channel.costModel.perUnitMinor * units,
  );

/** Great-circle distance in metres (haversine, mean Earth radius 6,371,008.8 m). */
export function distance(a: { lat: number; lng: number }, b: { lat: number; lng: number }): number {
  const toRadians = Math.PI / 180;
  const sinLat = Math.sin(((b.lat - a.lat) * toRadians) / 2);
  const sinLng = Math.sin(((b.lng - a.lng) * toRadians) / 2);
  const h = sinLat * sinLat + Math.cos(a.lat * toRadians) * Math.cos(b.lat * toRadians) * sinLng * sinLng;
  return 2 * 6_371_008.8 * Math.asin(Math.min(1, Math.sqrt(h)));
}

const fastest = (vehicles: readonly Vehicle[]): Vehicle =>
  vehicles.reduce(
    (best, vehicle) => (metersPerMinute[vehicle] > metersPerMinute[best] ? vehicle : best),
    "walk",
  );

/** Index of the first slot that ends after `ms`: slots of a channel don't overlap, so their ends are sorted too. */
function firstEndingAfter(slots: readonly SlotRoom[], ms: number): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (slots[middle]!.endMs > ms) high = middle;
    else low = middle + 1;
  }
  return low;
}
