import { type Channel, type ChannelType, channelTypes, type Slot } from "../src/capacity/api.ts";
import { createKeys } from "../src/gateway/keys.ts";
import { systemClock } from "../src/platform/clock.ts";
import { openDatabase } from "../src/platform/database.ts";
import { createIds } from "../src/platform/ids.ts";
import { must } from "./http.ts";
import { type BenchWindow, centre, type Mix, meanUnitsPerOrder, seeded, spread } from "./mix.ts";
import type { Platform } from "./platform.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Slots with room hold what no run can sell. */
const plenty = 1_000_000;
const slotsInPut = 1_000;

/** Windows with room: the twelve two-hour slots of tomorrow. */
export function roomyWindows(nowMs: number): readonly BenchWindow[] {
  return windowsFrom(nextMidnight(nowMs), 2 * hourMs, 12);
}

const contendedMinutes = 10;
/** Windows of one network: five days of them. */
const mostContendedWindows = 720;
export const contendedOrdersPerWindow = 400;
/** Of the demand in a contended window, what the usual channels of a type have room for; the rest goes to the reserve. */
const contendedRoom = 0.6;

/**
 * Windows that fill up: ten minutes each, from the day after tomorrow, enough for `orders` contended ones. `turn` counts
 * networks: each has windows of its own, in which nothing is sold yet.
 */
export function contendedWindows(nowMs: number, orders: number, turn: number): readonly BenchWindow[] {
  const count = Math.min(mostContendedWindows, Math.ceil(orders / contendedOrdersPerWindow));
  const lengthMs = contendedMinutes * 60_000;
  return windowsFrom(nextMidnight(nowMs) + dayMs + turn * mostContendedWindows * lengthMs, lengthMs, count);
}

const nextMidnight = (nowMs: number): number => nowMs - (nowMs % dayMs) + dayMs;

const windowsFrom = (fromMs: number, lengthMs: number, count: number): BenchWindow[] =>
  Array.from({ length: count }, (_, index) => ({
    start: new Date(fromMs + index * lengthMs).toISOString(),
    end: new Date(fromMs + (index + 1) * lengthMs).toISOString(),
  }));

export interface BenchChannel {
  id: string;
  type: ChannelType;
  /** Signs its callbacks. */
  secret: string;
  /** The dearest of its type, which takes what finds no room elsewhere. */
  reserve: boolean;
}

/** Channels of each type among so many. */
function channelCounts(total: number): Readonly<Record<ChannelType, number>> {
  const partners = Math.max(2, Math.round(total / 6));
  const networks = Math.max(2, Math.round(total / 6));
  const stores = Math.max(2, Math.round(total / 6));
  return {
    internal_kitchen: total - partners - networks - stores,
    dark_store: stores,
    external_partner: partners,
    partner_network: networks,
  };
}

export interface NetworkPlan {
  channels: number;
  /** Given to channels that are new. */
  windows: readonly BenchWindow[];
  /** Given to all. */
  contended: readonly BenchWindow[];
  shares: Mix["shares"];
}

/**
 * Makes channels until there are so many, over the API, all within reach of all places (so that routing weighs every
 * one of its type), with slots for the windows; introduces them to the simulator, which answers and stays silent after.
 */
export async function ensureNetwork(
  platform: Platform,
  there: readonly BenchChannel[],
  plan: NetworkPlan,
): Promise<readonly BenchChannel[]> {
  const counts = channelCounts(plan.channels);
  const channels = [...there];
  const random = seeded(plan.channels);
  for (const type of channelTypes) {
    const have = there.filter((channel) => channel.type === type).length;
    for (let index = have; index < counts[type]; index += 1) {
      channels.push(await makeChannel(platform, type, index, random));
    }
  }
  for (const [index, channel] of channels.entries()) {
    const slots = [
      ...(index < there.length ? [] : plan.windows.map((window) => ({ ...window, capacity: plenty }))),
      ...contendedSlots(channel, plan, counts[channel.type]),
    ];
    await putSlots(platform, channel, slots);
  }
  return channels;
}

async function makeChannel(
  platform: Platform,
  type: ChannelType,
  index: number,
  random: () => number,
): Promise<BenchChannel> {
  const reserve = index === 0;
  const { url, adminKey: key, simulatorUrl } = platform;
  const at = (around: number) => around + (random() * 2 - 1) * spread;
  // Partners must be named when the channel is made, and their address holds the id that it gets then.
  const endpoint = `${simulatorUrl}/channels/new`;
  const made = await must<Channel & { callbackSecret: string }>("POST", `${url}/v1/channels`, {
    key,
    body: {
      type,
      name: `${type} ${index}`,
      location: { lat: at(centre.lat), lng: at(centre.lng) },
      serviceRadiusMeters: 40_000,
      vehicles: ["bike", "scooter", "car"],
      costModel: { currency: "AED", baseMinor: reserve ? 3_000 : 600, perKmMinor: 60, perUnitMinor: 40 },
      quality: 0.9,
      preparationMinutes: 20,
      maxConcurrentCalls: 32,
      ...addresses(type, endpoint),
    },
  });
  const address = addresses(type, `${simulatorUrl}/channels/${made.id}`);
  if (Object.keys(address).length > 0)
    await must("PATCH", `${url}/v1/channels/${made.id}`, { key, body: address });
  await must("PUT", `${simulatorUrl}/control/channels/${made.id}`, {
    body: { secret: made.callbackSecret, behaviour: { callbacks: "off" } },
  });
  return { id: made.id, type, secret: made.callbackSecret, reserve };
}

function addresses(type: ChannelType, endpoint: string): object {
  if (type === "external_partner") return { endpoint };
  if (type !== "partner_network") return {};
  return {
    partners: ["a", "b", "c"].map((id) => ({
      id,
      name: `member ${id}`,
      endpoint: `${endpoint}/partners/${id}`,
    })),
  };
}

function contendedSlots(channel: BenchChannel, plan: NetworkPlan, ofType: number): readonly Slot[] {
  const demand = contendedOrdersPerWindow * (plan.shares[channel.type] / 100) * meanUnitsPerOrder;
  const scarce = Math.max(3, Math.round((demand * contendedRoom) / Math.max(1, ofType - 1)));
  return plan.contended.map((window) => ({ ...window, capacity: channel.reserve ? plenty : scarce }));
}

async function putSlots(platform: Platform, { id }: BenchChannel, slots: readonly Slot[]): Promise<void> {
  const { url, adminKey: key } = platform;
  for (let from = 0; from < slots.length; from += slotsInPut) {
    const body = { slots: slots.slice(from, from + slotsInPut) };
    await must("PUT", `${url}/v1/channels/${id}/capacity`, { key, body });
  }
}

/** Clients with a key each. Returns the keys and whose they are. */
export async function makeClients(
  platform: Platform,
  count: number,
): Promise<readonly { key: string; clientId: string }[]> {
  const database = openDatabase(platform.databaseUrl, { connections: 4, application: "uoop-bench" });
  try {
    const keys = createKeys({ database, clock: systemClock, ids: createIds() });
    return await Promise.all(
      Array.from({ length: count }, (_, index) =>
        keys.create(`bench-${index}`, ["orders:read", "orders:write"]),
      ),
    );
  } finally {
    await database.close();
  }
}
