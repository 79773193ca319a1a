import { randomFillSync } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import type { Channel, ChannelType } from "../../src/capacity/api.ts";
import type { BookingRequest, LedgerEntry } from "../../src/channels/api.ts";
import { type Channels, createChannels } from "../../src/channels/channels.ts";
import type { BehaviourPatch } from "../../src/channels/simulator/behaviour.ts";
import { type Simulator, startSimulator } from "../../src/channels/simulator/simulator.ts";
import { systemClock, toIso } from "../../src/platform/clock.ts";
import { createIds } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";

export const log = createLog("silent");
const members = ["ant", "bee", "cat"] as const;

const ids = createIds((bytes) => randomFillSync(bytes));

export const newSecret = (): string =>
  `whsec_${Buffer.from(randomFillSync(new Uint8Array(24))).toString("base64")}`;

export function bookingRequest(more: Partial<BookingRequest> = {}): BookingRequest {
  const nowMs = Date.now();
  const orderId = ids.order(7, nowMs);
  return {
    key: `${orderId}.1.1`,
    orderId,
    items: [{ sku: "meal-1", quantity: 2, unitPriceMinor: 4_500 }],
    units: 2,
    currency: "AED",
    location: { lat: 25.0772, lng: 55.1405 },
    promised: { start: toIso(nowMs + 3_600_000), end: toIso(nowMs + 7_200_000) },
    priority: "standard",
    personal: {
      address: { line1: "Marina Walk 12", city: "Dubai", countryCode: "AE" },
      contact: { name: "Test Person", phone: "+971500000000" },
      instructions: "leave at the desk",
    },
    notAfter: toIso(nowMs + 60_000),
    ...more,
  };
}

export function channelOf(type: ChannelType, more: Partial<Channel> = {}): Channel {
  return {
    id: ids.create("chn", Date.now()),
    type,
    name: `a ${type}`,
    location: { lat: 25, lng: 55 },
    serviceRadiusMeters: 10_000,
    vehicles: ["bike"],
    costModel: { currency: "AED", baseMinor: 500, perKmMinor: 50, perUnitMinor: 10 },
    quality: 1,
    preparationMinutes: 10,
    bookTimeoutMs: 2_000,
    maxConcurrentCalls: 20,
    status: "active",
    health: "up",
    version: 1,
    createdAt: toIso(0),
    updatedAt: toIso(0),
    ...more,
  };
}

/** Calls quick and quiet, so that a test says only what it is about. */
const quiet: BehaviourPatch = { latencyMs: { min: 0, max: 0 }, callbacks: "off" };

export interface TestWorld {
  simulator: Simulator;
  channels: Channels;
  secret: string;
  /** A channel of this type that the simulator plays (partners and networks). */
  add(
    type: ChannelType,
    behaviour?: BehaviourPatch,
    partners?: Record<string, BehaviourPatch>,
  ): Promise<Channel>;
  behave(
    channel: Channel,
    behaviour: BehaviourPatch,
    partners?: Record<string, BehaviourPatch>,
  ): Promise<void>;
  ledger(channel: Channel): Promise<readonly LedgerEntry[]>;
}

/** A simulator and the adapters that call it, stopped after the test file. */
export async function testWorld(options: { dataFile?: string } = {}): Promise<TestWorld> {
  const secret = newSecret();
  const simulator = await startSimulator({ port: 0, log, seed: 1, ...options });
  const channels = testChannels(secret);
  after(async () => {
    await channels.stop();
    await simulator.close();
  });
  const world: TestWorld = {
    simulator,
    channels,
    secret,
    async add(type, behaviour = {}, partners = {}) {
      const channel = channelOf(type);
      const endpoint = `${simulator.url}/channels/${channel.id}`;
      await put(simulator.url, `/control/channels/${channel.id}`, { secret });
      await world.behave(channel, { ...quiet, ...behaviour }, partners);
      if (type === "external_partner") return { ...channel, endpoint };
      if (type !== "partner_network") return channel;
      const all = members.map((id) => ({ id, name: id, endpoint: `${endpoint}/partners/${id}` }));
      return { ...channel, partners: all };
    },
    behave: (channel, behaviour, partners = {}) =>
      put(simulator.url, `/control/channels/${channel.id}`, { behaviour, partners }),
    async ledger(channel) {
      const all = await readLedger(simulator.url);
      return all.filter((entry) => entry.channelId === channel.id);
    },
  };
  return world;
}

export const testChannels = (secret: string): Channels =>
  createChannels({
    clock: systemClock,
    log,
    metrics: createMetrics(),
    secretOf: () => Promise.resolve(secret),
    breaker: { failuresToOpen: 5, recoveryMs: 30_000, monitorMs: 10_000 },
    onCircuit: () => Promise.resolve(),
    known: () => [],
  });

export async function put(url: string, path: string, body: unknown): Promise<void> {
  const response = await fetch(url + path, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

export async function readLedger(url: string): Promise<readonly LedgerEntry[]> {
  const all: LedgerEntry[] = [];
  for (let cursor: string | null = "0"; cursor !== null; ) {
    const response = await fetch(`${url}/control/ledger?limit=2&cursor=${cursor}`);
    const page = (await response.json()) as { items: LedgerEntry[]; nextCursor: string | null };
    all.push(...page.items);
    cursor = page.nextCursor;
  }
  return all;
}

/** An HTTP server that answers as the test says. */
export async function testServer(
  handle: (request: IncomingMessage, response: ServerResponse, body: string) => void,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => handle(request, response, body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  after(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

/** Resolves at the first true answer; asks again after each `wake`-able turn, so that no test waits for a set time. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}
