import type { Slot } from "../capacity/api.ts";
import { toIso } from "../platform/clock.ts";
import type { DemoClient, OwnChannel } from "./client.ts";
import { centerOf, planeToGlobe } from "./geo.ts";
import { clusterPlaces, kitchenCapacity, slotMinutes } from "./kitchens.ts";
import type { Day, DayOrder, Point } from "./mdrp.ts";

const kitchenCount = 8;
/** Any seed does; this one is the published figures'. */
const kitchenSeed = 1;
const minuteMs = 60_000;
const dayMs = 86_400_000;
/** A day begins at least this far ahead, so that no window passes while it is played. */
const leastAheadMs = 3_600_000;

/** Wide enough for the widest published day: every kitchen may serve every customer, only the choice differs. */
const serviceRadiusMeters = 100_000;

export interface Kitchen extends OwnChannel {
  name: string;
  place: Point;
}

/** How the day is put on the calendar and on the globe. */
export interface Staging {
  /** RFC 3339 of a minute of the day. */
  at(minute: number): string;
  kitchens: readonly Point[];
  /** Meals per quarter hour and kitchen. */
  capacity: number;
  /** The order as it is placed over the API. */
  request(order: DayOrder): object;
}

/**
 * The day is put on the next UTC date that begins at least an hour from now, so that all its windows lie ahead whatever
 * time it is; kitchens are the restaurants' clusters (docs/demo.md).
 */
export function stage(day: Day, nowMs: number): Staging {
  const startMs = Math.ceil((nowMs + leastAheadMs) / dayMs) * dayMs;
  const at = (minute: number) => toIso(startMs + minute * minuteMs);
  const toGlobe = planeToGlobe(centerOf(day.restaurants));
  const kitchens = clusterPlaces(day.restaurants, kitchenCount, kitchenSeed);
  const { maxClickToDoorMinutes } = day.parameters;
  return {
    at,
    kitchens,
    capacity: kitchenCapacity(day.orders, kitchens.length),
    request: (order) => ({
      externalId: `${day.name}-${order.name}`,
      customerId: `cus_${order.name}`,
      currency: "AED",
      items: [{ sku: "meal", quantity: 1, unitPriceMinor: 4_000 }],
      delivery: {
        location: toGlobe(order),
        window: { start: at(order.placedAt), end: at(order.placedAt + maxClickToDoorMinutes) },
      },
    }),
  };
}

/** Makes the kitchens over the API, each with its capacity for every quarter hour of the day. */
export async function openKitchens(client: DemoClient, day: Day, staging: Staging): Promise<Kitchen[]> {
  const toGlobe = planeToGlobe(centerOf(day.restaurants));
  const slots = daySlots(day, staging);
  const kitchens: Kitchen[] = [];
  for (const [index, place] of staging.kitchens.entries()) {
    const name = `Kitchen ${index + 1}`;
    const channel = await client.createChannel({
      type: "internal_kitchen",
      name,
      location: toGlobe(place),
      serviceRadiusMeters,
      vehicles: ["scooter"],
      costModel: { currency: "AED", baseMinor: 500, perKmMinor: 100, perUnitMinor: 0 },
      quality: 0.9,
      preparationMinutes: meanPreparation(day),
      bookTimeoutMs: 2_000,
      maxConcurrentCalls: 16,
    });
    await client.putCapacity(channel.id, slots);
    kitchens.push({ ...channel, name, place });
  }
  return kitchens;
}

function daySlots(day: Day, staging: Staging): Slot[] {
  const lastEnd =
    Math.max(...day.orders.map((order) => order.placedAt)) + day.parameters.maxClickToDoorMinutes;
  const count = Math.ceil(lastEnd / slotMinutes);
  return Array.from({ length: count }, (_, index) => ({
    start: staging.at(index * slotMinutes),
    end: staging.at((index + 1) * slotMinutes),
    capacity: staging.capacity,
  }));
}

const meanPreparation = ({ orders }: Day): number =>
  Math.round(orders.reduce((sum, order) => sum + order.readyAt - order.placedAt, 0) / orders.length);
