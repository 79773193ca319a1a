import type { Bus } from "../../src/bus/api.ts";
import type { OrderStatus } from "../../src/orchestration/order-state.ts";
import { type Database, type Executor, statement } from "../../src/platform/database.ts";
import { createIds, laneOf } from "../../src/platform/ids.ts";
import type { EventRow, PackedEvent } from "../../src/relay/api.ts";
import { appendEvents } from "../../src/relay/append.ts";
import { snapshotOf } from "../../src/relay/snapshot.ts";

const ids = createIds();
const at = "2026-11-24T07:00:00.000Z";
const window = { start: "2026-11-24T08:00:00.000Z", end: "2026-11-24T10:00:00.000Z" };
const channel = { id: ids.create("chn", Date.parse(at)), type: "internal_kitchen" };
const leg = { leg: 1, attempt: 1, channel, slot: window, promised: window, costMinor: 900 };

/** The statuses that an order of the samples goes through: version 1, 2, 3… */
const way: readonly OrderStatus[] = [
  "received",
  "reserved",
  "booked",
  "confirmed",
  "preparing",
  "ready",
  "dispatched",
  "delivered",
];

export const newOrderId = (lane = 7): string => ids.order(lane, Date.parse(at));

export function stateAt(version: number) {
  const status = way[(version - 1) % way.length]!;
  return { status, legs: version > 1 ? [leg] : [] };
}

function docOf(id: string) {
  return {
    id,
    externalId: "cal-1001",
    customerId: "cus_42",
    currency: "AED",
    items: [{ sku: "meal-123", quantity: 2, unitPriceMinor: 4500 }],
    delivery: { location: { lat: 25.0772, lng: 55.1405 }, window, vehicle: "bike" },
    priority: "standard",
    metadata: {},
    createdAt: at,
  };
}

/** The order as it is shown at that version. */
export const viewAt = (id: string, version: number) =>
  snapshotOf(docOf(id), stateAt(version), { type: "order.status_changed", version, at });

/** The events of versions `from` to `to`, as a writer packs them. */
function packed(from: number, to: number): PackedEvent[] {
  const events: PackedEvent[] = [];
  for (let version = from; version <= to; version += 1) {
    const patch = stateAt(version);
    if (version === 1) events.push({ type: "order.created", version, at, patch });
    else {
      const data = { from: way[(version - 2) % way.length], to: patch.status };
      events.push({ type: "order.status_changed", version, at, data, patch });
    }
    if (version === 2) {
      events.push({ type: "channel.assigned", version, at, data: { leg: 1 }, patch });
    }
  }
  return events;
}

/** One commit of an order: its versions `from` to `to`. */
export function orderRow(id: string, from: number, to: number, clientId = "cli_a"): EventRow {
  return { lane: laneOf(id), subject: id, clientId, doc: docOf(id), events: packed(from, to) };
}

/** One commit of a channel. */
export function channelRow(version: number): EventRow {
  const doc = {
    ...channel,
    name: "Marina kitchen",
    location: { lat: 25.08, lng: 55.14 },
    serviceRadiusMeters: 8_000,
    vehicles: ["bike"],
    costModel: { currency: "AED", baseMinor: 500, perKmMinor: 100, perUnitMinor: 50 },
    quality: 0.9,
    preparationMinutes: 20,
    bookTimeoutMs: 2_000,
    maxConcurrentCalls: 16,
    status: "active",
    health: "up",
    version,
    createdAt: at,
    updatedAt: at,
  };
  const slots = [{ id: "slt_1", ...window, capacity: 100, reserved: 0 }];
  const event: PackedEvent = { type: "capacity.updated", version, at, data: { sequence: version, slots } };
  return { lane: 3, subject: channel.id, clientId: null, doc, events: [event] };
}

export const append = (to: Executor, rows: readonly EventRow[]): Promise<void> => appendEvents(to, rows);

const lockSubject = statement("test_lock_subject", "select pg_advisory_xact_lock(hashtext($1))");

/** Appends as a writer does: holding the subject's lock until the commit. `pause` keeps it open for a while. */
export function appendLocked(database: Database, row: EventRow, pause: () => Promise<void>): Promise<void> {
  return database.transaction(async (tx) => {
    await tx.run(lockSubject, [row.subject]);
    await append(tx, [row]);
    await pause();
  });
}

export async function count(database: Executor, sql: string): Promise<number> {
  const [row] = await database.run<{ n: number }>(statement("", `select count(*)::int as n from ${sql}`));
  return row!.n;
}

/** Resolves once the bus has given out this position: woken by the relay, not by time. */
export async function headReached(bus: Bus, position: number): Promise<void> {
  let wake: () => void = () => undefined;
  const unsubscribe = bus.onPublished(() => wake());
  try {
    for (;;) {
      const published = new Promise<void>((resolve) => {
        wake = resolve;
      });
      if ((await bus.head()) >= position) return;
      await published;
    }
  } finally {
    unsubscribe();
  }
}

/** What the bus holds, in its order. */
export const readLog = (database: Executor) =>
  database.run<{ position: number; count: number; subject: string; events: PackedEvent[] }>(
    statement("test_log", "select position, count, subject, events::json from event_log order by position"),
  );
