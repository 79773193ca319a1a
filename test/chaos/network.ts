import { setTimeout as pause } from "node:timers/promises";
import type { Channel, ChannelType, Slot } from "../../src/capacity/api.ts";
import type { BehaviourPatch } from "../../src/channels/simulator/behaviour.ts";
import type { Client } from "./client.ts";

/** Where everybody is: distances are short, so that every channel can serve every order. */
export const centre = { lat: 25.1, lng: 55.17 };

interface Example {
  type: ChannelType;
  name: string;
  /** Degrees north and east of the centre. */
  at: readonly [number, number];
  unitsPerSlot: number;
  members?: readonly string[];
  baseMinor?: number;
}

const plenty = 100_000;

/**
 * Four types, of each enough that three may refuse or give back and an operator may take the order from a fourth. The corner kitchen is the cheapest and small: orders
 * that may go anywhere compete for its last units. (An order that all others gave back waits for it until its window ends.)
 */
const examples: readonly Example[] = [
  { type: "internal_kitchen", name: "Corner Kitchen", at: [0, 0], unitsPerSlot: 25, baseMinor: 50 },
  { type: "internal_kitchen", name: "Great Kitchen", at: [0.01, 0.01], unitsPerSlot: plenty },
  { type: "internal_kitchen", name: "Harbour Kitchen", at: [-0.01, 0.01], unitsPerSlot: plenty },
  { type: "internal_kitchen", name: "Garden Kitchen", at: [-0.01, -0.01], unitsPerSlot: plenty },
  { type: "dark_store", name: "North Store", at: [0.02, 0], unitsPerSlot: plenty },
  { type: "dark_store", name: "South Store", at: [-0.02, 0], unitsPerSlot: plenty },
  { type: "dark_store", name: "East Store", at: [0, 0.03], unitsPerSlot: plenty },
  { type: "dark_store", name: "West Store", at: [0, -0.03], unitsPerSlot: plenty },
  { type: "external_partner", name: "East Bistro", at: [0, 0.02], unitsPerSlot: plenty },
  { type: "external_partner", name: "West Bistro", at: [0, -0.02], unitsPerSlot: plenty },
  { type: "external_partner", name: "Hill Bistro", at: [0.02, 0.02], unitsPerSlot: plenty },
  { type: "external_partner", name: "Sea Bistro", at: [-0.02, -0.02], unitsPerSlot: plenty },
  { type: "external_partner", name: "Park Bistro", at: [-0.02, 0.02], unitsPerSlot: plenty },
  {
    type: "partner_network",
    name: "Gulf Caterers",
    at: [0.01, -0.02],
    unitsPerSlot: plenty,
    members: ["a", "b", "c"],
  },
  {
    type: "partner_network",
    name: "Creek Caterers",
    at: [-0.01, 0.02],
    unitsPerSlot: plenty,
    members: ["d", "e"],
  },
  {
    type: "partner_network",
    name: "Palm Caterers",
    at: [0.02, -0.01],
    unitsPerSlot: plenty,
    members: ["f", "g", "h"],
  },
  {
    type: "partner_network",
    name: "Dune Caterers",
    at: [-0.02, 0.01],
    unitsPerSlot: plenty,
    members: ["i", "j"],
  },
];

/** Calls are given up soon, so that an unanswered one costs a round little. */
const bookTimeoutMs = 1_000;

/**
 * How partners misbehave: of the calls, `trouble` (0 to 1) are refused (half of that), never answered (a third) or
 * failed (the rest), each of the latter two half the time with the work done. Beside that some reports come early or
 * twice, and some bookings are given back. The stages are short, but longer than it takes to ask three times.
 */
function behaviour(trouble: number, batch: boolean): BehaviourPatch {
  return {
    latencyMs: { min: 5, max: 60 },
    refuseRate: trouble / 2,
    timeoutRate: trouble / 3,
    failRate: trouble / 6,
    duplicateCallbackRate: 0.05,
    earlyCallbackRate: 0.05,
    giveBackRate: 0.02,
    doorShutRate: 0.02,
    batch,
    prepMs: { min: 500, max: 1_500 },
    readyMs: { min: 500, max: 1_500 },
    dispatchMs: { min: 500, max: 1_500 },
    deliverMs: { min: 300, max: 900 },
  };
}

const hourMs = 3_600_000;

/** Slots of an hour from this hour on, for a run of any length that makes sense. */
function slots(nowMs: number, capacity: number): Slot[] {
  const first = nowMs - (nowMs % hourMs);
  return Array.from({ length: 12 }, (_, index) => ({
    start: new Date(first + index * hourMs).toISOString(),
    end: new Date(first + (index + 1) * hourMs).toISOString(),
    capacity,
  }));
}

export interface Network {
  /** Whether the channel is a kitchen or store of our own, which is not called. */
  isOurs(channelId: string): boolean;
}

/**
 * Makes the channels over the API, and tells the simulator of each how it behaves and what it signs with. `channelsUrl` is the simulator
 * as the platform reaches it, `platformUrl` the platform as the simulator does.
 */
export async function makeNetwork(
  client: Client,
  worldUrl: string,
  options: { platformUrl: string; channelsUrl: string; trouble: number; nowMs: number },
): Promise<Network> {
  const ours = new Set<string>();
  for (const [index, example] of examples.entries()) {
    const { id, callbackSecret } = await client.must<Channel & { callbackSecret: string }>(
      "POST",
      "/v1/channels",
      newChannel(example, options.channelsUrl),
    );
    if (example.type === "internal_kitchen" || example.type === "dark_store") ours.add(id);
    const addresses = addressesOf(example, `${options.channelsUrl}/channels/${id}`);
    if (addresses) await client.must("PATCH", `/v1/channels/${id}`, addresses);
    await client.must("PUT", `/v1/channels/${id}/capacity`, {
      slots: slots(options.nowMs, example.unitsPerSlot),
    });
    await tell(`${worldUrl}/control/channels/${id}`, {
      secret: callbackSecret,
      behaviour: behaviour(options.trouble, index % 2 === 0),
    });
  }
  await heardOfEverywhere(client, options.nowMs);
  const apiKey = client.authorization.replace("Bearer ", "");
  await tell(`${worldUrl}/control/platform`, { url: options.platformUrl, apiKey });
  return { isOurs: (channelId) => ours.has(channelId) };
}

const networkPatienceMs = 120_000;

/** Other processes than the one that made a channel hear of it within seconds; the last thing told of each is its capacity. */
async function heardOfEverywhere(client: Client, nowMs: number): Promise<void> {
  const query = `lat=${centre.lat}&lng=${centre.lng}&slot=${new Date(nowMs + hourMs).toISOString()}`;
  for (const endMs = nowMs + networkPatienceMs; ; await pause(100)) {
    const answers = await client.each<{ items: object[] }>(`/v1/channels/rankings?${query}`);
    if (answers.every((answer) => answer?.body.items.length === examples.length)) return;
    if (Date.now() > endMs)
      throw new Error(
        `not every process knows all channels: ${answers.map((answer) => answer?.body.items?.length)}`,
      );
  }
}

function newChannel({ type, name, at, baseMinor, members }: Example, channelsUrl: string) {
  return {
    type,
    name,
    location: { lat: centre.lat + at[0], lng: centre.lng + at[1] },
    serviceRadiusMeters: 20_000,
    vehicles: ["bike", "car"],
    costModel: { currency: "AED", baseMinor: baseMinor ?? 500, perKmMinor: 50, perUnitMinor: 10 },
    preparationMinutes: 5,
    bookTimeoutMs,
    ...addressesOf({ type, members }, channelsUrl),
  };
}

/** An endpoint names its channel's id, which is not known before the channel is made: it is put right after. */
function addressesOf(
  { type, members }: { type: ChannelType; members?: readonly string[] | undefined },
  base: string,
) {
  if (type === "external_partner") return { endpoint: base };
  if (type !== "partner_network") return undefined;
  return {
    partners: members!.map((id) => ({ id, name: `Member ${id}`, endpoint: `${base}/partners/${id}` })),
  };
}

/** Over the simulator's control API. */
async function tell(url: string, what: object): Promise<void> {
  const answer = await fetch(url, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(what),
  });
  if (!answer.ok)
    throw new Error(`the simulator answered ${answer.status} to ${url}: ${await answer.text()}`);
}
