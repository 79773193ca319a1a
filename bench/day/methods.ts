import type { Channel, ChannelRoom, OrderRules, SlotRoom } from "../../src/capacity/api.ts";
import { compilePolicy } from "../../src/capacity/policy.ts";
import type { Wish } from "../../src/capacity/ranking.ts";
import { planeToGlobe } from "../../src/demo/geo.ts";
import { slotMinutes } from "../../src/demo/kitchens.ts";
import type { Day, DayOrder, Point } from "../../src/demo/mdrp.ts";
import { shadowPrices } from "../../src/optimization/assign/shadow-prices.ts";
import { type RouteOptions, route } from "../../src/optimization/route.ts";
import { createSteerer } from "../../src/optimization/steer.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { seeded } from "../mix.ts";

export const methods = ["roundRobin", "nearest", "greedy", "ours"] as const;
export type Method = (typeof methods)[number];

const minuteMs = 60_000;
/** Only how soon it can be at the door counts: kitchens cost the same and are rated the same. */
const policy = compilePolicy("day@1", { weights: { cost: 0, time: 1, quality: 0, capacity: 0 } });
/** More than any day asks for. */
const unlimited = 1_000_000;
/** Wider than any published day. */
const radiusMeters = 100_000;

/** Which kitchen each order of the day goes to (its index; null: none), each routed at its placement by the platform's own code. */
export async function routeDay(
  method: Method,
  { day, kitchens, capacity, seed }: { day: Day; kitchens: readonly Point[]; capacity: number; seed: number },
): Promise<(number | null)[]> {
  const toGlobe = planeToGlobe(kitchens[0]!);
  const channels = kitchens.map((place, index) => kitchenAt(toGlobe(place), index));
  const limit = method === "nearest" ? unlimited : capacity;
  const turn = { next: 0 };
  let quarter = Number.NaN;
  let network: readonly ChannelRoom[] = [];
  let nowMs = 0;
  const steerer = createSteerer({
    clock: { nowMs: () => nowMs } as Clock, // nothing is repeated here
    network: () => network,
    findPrices: async (problem, settings) => shadowPrices(problem, { ...settings, now: () => 0 }), // until it has converged
    random: seeded(seed),
    onError: (error) => {
      throw error;
    },
    everyMs: 1_000,
  });
  const routed: (number | null)[] = [];
  for (const order of day.orders) {
    nowMs = order.placedAt * minuteMs;
    const now = Math.floor(order.placedAt / slotMinutes);
    if (now !== quarter) network = channels.map((channel) => roomIn(channel, now, limit, day));
    quarter = now;
    const wish = wishOf(order, toGlobe(order), day);
    const options: RouteOptions = {
      method: method === "roundRobin" ? "round_robin" : "weighted",
      nowMs,
      turn,
    };
    if (method === "ours") {
      await steerer.refresh(); // orders come farther apart than the platform's prices are renewed
      const prices = steerer.prices();
      if (prices !== undefined) options.prices = prices;
      steerer.note([wish]);
    }
    const [answer] = route([wish], network, options);
    if (answer?.kind !== "route") routed.push(null);
    else {
      const { channel, slot } = answer.route.candidate;
      slot.reserved += wish.units;
      routed.push(Number(channel.id));
    }
  }
  return routed;
}

function kitchenAt(location: Channel["location"], index: number): Channel {
  return {
    id: `${index}`,
    type: "internal_kitchen",
    name: `Kitchen ${index + 1}`,
    location,
    serviceRadiusMeters: radiusMeters,
    vehicles: ["scooter"],
    costModel: { currency: "AED", baseMinor: 0, perKmMinor: 0, perUnitMinor: 0 },
    quality: 1,
    preparationMinutes: 0,
    bookTimeoutMs: 2_000,
    maxConcurrentCalls: 16,
    status: "active",
    health: "up",
    version: 1,
    createdAt: "",
    updatedAt: "",
  };
}

/** What a kitchen can still begin in this quarter hour: it takes orders until the quarter ends, and they are at the door later. */
function roomIn(channel: Channel, quarter: number, sellable: number, { parameters }: Day): ChannelRoom {
  const startMs = quarter * slotMinutes * minuteMs;
  const slot: SlotRoom = {
    id: `${channel.id}/${quarter}`,
    startMs,
    endMs: startMs + (slotMinutes + parameters.maxClickToDoorMinutes) * minuteMs,
    sellable,
    reserved: 0,
  };
  return { channel, slots: [slot], rules: { cutOffMinutes: -slotMinutes } as OrderRules };
}

function wishOf(order: DayOrder, location: Wish["location"], { parameters }: Day): Wish {
  return {
    location,
    windowStartMs: order.placedAt * minuteMs,
    windowEndMs: (order.placedAt + parameters.maxClickToDoorMinutes) * minuteMs,
    vehicle: null,
    units: 1,
    currency: "AED",
    channelTypes: null,
    maxCostMinor: null,
    excluded: [],
    policy,
    facts: { items: [], priority: "standard", metadata: {} },
  };
}
