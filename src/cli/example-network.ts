import { existsSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { CapacityApi, Channel, CostModel, NewChannel, Slot, Vehicle } from "../capacity/api.ts";
import { type Clock, toIso } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";

const slotMs = 2 * 3_600_000;
const dayMs = 86_400_000;
const daysAhead = 7;
const extendEveryMs = 3_600_000;
const by = { actor: "example-network", source: "uoop start" } as const;

interface Example {
  /** What the simulator is told of it; `endpoint` and `partners` get the simulator's address. */
  channel: Omit<NewChannel, "endpoint" | "partners">;
  partners?: readonly string[];
  unitsPerSlot: number;
}

const aed = (baseMinor: number, perKmMinor: number, perUnitMinor: number): CostModel => ({
  currency: "AED",
  baseMinor,
  perKmMinor,
  perUnitMinor,
});

const example = (
  type: Channel["type"],
  name: string,
  [lat, lng]: readonly [number, number],
  costModel: CostModel,
  rest: {
    radius: number;
    vehicles: readonly Vehicle[];
    quality: number;
    preparation: number;
    units: number;
    partners?: readonly string[];
  },
): Example => ({
  channel: {
    type,
    name,
    location: { lat, lng },
    serviceRadiusMeters: rest.radius,
    vehicles: rest.vehicles,
    costModel,
    quality: rest.quality,
    preparationMinutes: rest.preparation,
    bookTimeoutMs: 2_000,
    maxConcurrentCalls: 32,
  },
  unitsPerSlot: rest.units,
  ...(rest.partners ? { partners: rest.partners } : {}),
});

const riders: readonly Vehicle[] = ["bike", "scooter", "car"];
const drivers: readonly Vehicle[] = ["scooter", "car", "van"];

/** Twelve channels of the four types, from Jebel Ali to Deira. */
export const exampleChannels: readonly Example[] = [
  example("internal_kitchen", "Marina Kitchen", [25.0805, 55.1403], aed(600, 60, 40), {
    radius: 9_000,
    vehicles: riders,
    quality: 0.95,
    preparation: 20,
    units: 400,
  }),
  example("internal_kitchen", "Al Quoz Kitchen", [25.1412, 55.2273], aed(550, 60, 40), {
    radius: 12_000,
    vehicles: riders,
    quality: 0.93,
    preparation: 20,
    units: 600,
  }),
  example("internal_kitchen", "Business Bay Kitchen", [25.1851, 55.2727], aed(650, 60, 45), {
    radius: 9_000,
    vehicles: riders,
    quality: 0.95,
    preparation: 20,
    units: 400,
  }),
  example("internal_kitchen", "Deira Kitchen", [25.2697, 55.3095], aed(550, 60, 40), {
    radius: 9_000,
    vehicles: riders,
    quality: 0.9,
    preparation: 25,
    units: 400,
  }),
  example("dark_store", "JLT Dark Store", [25.0693, 55.1447], aed(500, 80, 50), {
    radius: 6_000,
    vehicles: ["walk", "bike", "scooter"],
    quality: 0.85,
    preparation: 10,
    units: 150,
  }),
  example("dark_store", "Al Barsha Dark Store", [25.1107, 55.2004], aed(500, 80, 50), {
    radius: 6_000,
    vehicles: riders,
    quality: 0.85,
    preparation: 10,
    units: 150,
  }),
  example("dark_store", "Downtown Dark Store", [25.1972, 55.2744], aed(550, 80, 50), {
    radius: 5_000,
    vehicles: ["walk", "bike", "scooter"],
    quality: 0.85,
    preparation: 10,
    units: 150,
  }),
  example("external_partner", "Palm Bistro", [25.1124, 55.139], aed(900, 100, 60), {
    radius: 8_000,
    vehicles: drivers,
    quality: 0.8,
    preparation: 30,
    units: 120,
  }),
  example("external_partner", "Jumeirah Fresh", [25.2048, 55.2393], aed(850, 100, 60), {
    radius: 9_000,
    vehicles: riders,
    quality: 0.8,
    preparation: 30,
    units: 120,
  }),
  example("external_partner", "Silicon Oasis Meals", [25.1212, 55.3773], aed(800, 90, 60), {
    radius: 14_000,
    vehicles: drivers,
    quality: 0.75,
    preparation: 35,
    units: 120,
  }),
  example("partner_network", "Gulf Cloud Kitchens", [25.0952, 55.1713], aed(950, 90, 70), {
    radius: 18_000,
    vehicles: riders,
    quality: 0.7,
    preparation: 35,
    units: 200,
    partners: ["Tecom", "Greens", "Motor City"],
  }),
  example("partner_network", "Creek Caterers", [25.2285, 55.3273], aed(950, 90, 70), {
    radius: 18_000,
    vehicles: drivers,
    quality: 0.7,
    preparation: 35,
    units: 200,
    partners: ["Garhoud", "Mirdif", "Karama"],
  }),
];

export interface ExampleNetworkOptions {
  capacity: CapacityApi;
  clock: Clock;
  log: Log;
  /** Its presence marks a database that was given the example network; it names the channels. */
  file: string;
  /** Where the simulator listens now: the channels' endpoints follow it. */
  simulatorUrl: string;
}

/** Whether this database is empty, or was given the example network earlier. */
export async function wantsExampleNetwork(capacity: CapacityApi, file: string): Promise<boolean> {
  return existsSync(file) || (await capacity.listChannels({ afterId: null, limit: 1 })).length === 0;
}

/**
 * Makes the example network, or completes it after an interruption, points its endpoints to the simulator, and keeps
 * seven days of two-hour slots ahead while it runs. Slots that are there (or were changed by someone) stay as they are.
 */
export function createExampleNetwork(
  options: ExampleNetworkOptions,
): Service & { channelIds(): readonly string[] } {
  const { capacity, clock, log, file, simulatorUrl } = options;
  let ids: string[] = [];
  let forget: () => void = () => undefined;
  let stopped = true;
  let working: Promise<void> = Promise.resolve();

  async function extendAll(): Promise<void> {
    for (const [index, id] of ids.entries())
      await extendSlots(capacity, id, exampleChannels[index]!.unitsPerSlot, clock.nowMs());
  }

  const schedule = () => {
    forget = clock.after(extendEveryMs, () => {
      working = extendAll().catch((error: unknown) =>
        log.error({ err: error }, "the example network's slots could not be extended"),
      );
      void working.finally(() => {
        if (!stopped) schedule();
      });
    });
  };

  return {
    name: "example-network",
    async start() {
      stopped = false;
      // The mark comes first: an interrupted start is completed by the next one instead of leaving half a network.
      if (!existsSync(file)) await writeMark(file, {});
      ids = await ensureChannels(capacity, simulatorUrl);
      await writeMark(
        file,
        Object.fromEntries(exampleChannels.map(({ channel }, index) => [channel.name, ids[index]])),
      );
      await extendAll();
      schedule();
    },
    async stop() {
      stopped = true;
      forget();
      await working;
    },
    channelIds: () => ids,
  };
}

async function writeMark(file: string, channels: Readonly<Record<string, unknown>>): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify({ channels }, null, 2)}\n`);
  await rename(`${file}.new`, file);
}

/** Ids of the example channels, in the order of the table. */
async function ensureChannels(capacity: CapacityApi, simulatorUrl: string): Promise<string[]> {
  const byName = new Map((await allChannels(capacity)).map((channel) => [channel.name, channel]));
  const ids: string[] = [];
  for (const { channel, partners } of exampleChannels) {
    const there = byName.get(channel.name) ?? (await capacity.createChannel(channel, by)).channel;
    const addresses = addressesOf(there, partners, simulatorUrl);
    if (addressesDiffer(there, addresses)) await capacity.patchChannel(there.id, addresses, null, by);
    ids.push(there.id);
  }
  return ids;
}

export async function allChannels(capacity: CapacityApi): Promise<readonly Channel[]> {
  const all: Channel[] = [];
  for (;;) {
    const page = await capacity.listChannels({ afterId: all.at(-1)?.id ?? null, limit: 100 });
    all.push(...page);
    if (page.length < 100) return all;
  }
}

function addressesOf(
  channel: Channel,
  partners: readonly string[] | undefined,
  simulatorUrl: string,
): Partial<NewChannel> {
  const endpoint = `${simulatorUrl}/channels/${channel.id}`;
  if (channel.type === "external_partner") return { endpoint };
  if (!partners) return {};
  return {
    partners: partners.map((name) => {
      const id = name.toLowerCase().replaceAll(" ", "-");
      return { id, name, endpoint: `${endpoint}/partners/${id}` };
    }),
  };
}

const addressesDiffer = (channel: Channel, wanted: Partial<NewChannel>): boolean =>
  JSON.stringify([wanted.endpoint, wanted.partners]) !== JSON.stringify([channel.endpoint, channel.partners]);

async function extendSlots(capacity: CapacityApi, id: string, units: number, nowMs: number): Promise<void> {
  const wanted = wantedSlots(nowMs, units);
  const there = await capacity.getCapacity(id, {
    fromMs: Date.parse(wanted[0]!.start),
    toMs: Date.parse(wanted.at(-1)!.end),
  });
  const missing = wanted.filter(
    (slot) =>
      !there.some(
        (other) =>
          Date.parse(other.start) < Date.parse(slot.end) && Date.parse(slot.start) < Date.parse(other.end),
      ),
  );
  if (missing.length > 0) await capacity.putCapacity(id, missing, by);
}

/** Two-hour slots (UTC) of today and the days after it. */
export function wantedSlots(nowMs: number, capacity: number): Slot[] {
  const todayMs = nowMs - (nowMs % dayMs);
  const count = (daysAhead * dayMs) / slotMs;
  return Array.from({ length: count }, (_, index) => ({
    start: toIso(todayMs + index * slotMs),
    end: toIso(todayMs + (index + 1) * slotMs),
    capacity,
  }));
}
