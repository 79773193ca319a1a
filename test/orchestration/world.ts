import assert from "node:assert";
import type { Channel, ChannelRoom, Slot } from "../../src/capacity/api.ts";
import { type Capacity, createCapacity } from "../../src/capacity/capacity.ts";
import type { ChannelAdapter } from "../../src/channels/api.ts";
import { kitchenAdapter } from "../../src/channels/kitchen.ts";
import type { Submission } from "../../src/orchestration/api.ts";
import { createOrchestration, type Orchestration } from "../../src/orchestration/orchestration.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import type { Database } from "../../src/platform/database.ts";
import { createIds } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics, type Metrics } from "../../src/platform/metrics.ts";
import { testDatabase } from "../support/postgres.ts";

/** Orchestration and capacity on a real database, with channels as a test wants them. */
export interface TestWorld {
  database: Database;
  capacity: Capacity;
  metrics: Metrics;
  orchestration: Orchestration;
  /** Another process on the same database. */
  another(options?: {
    exclusive?: boolean;
  }): Promise<{ orchestration: Orchestration; stop(): Promise<void> }>;
  channel(fields: Partial<Channel>, slots?: readonly Slot[]): Promise<Channel>;
  stop(): Promise<void>;
}

export const by = { actor: "test", source: null };

const hourMs = 3_600_000;
/** A window that is open whenever the test runs. */
export const window = (() => {
  const startMs = Math.ceil(Date.now() / hourMs) * hourMs + hourMs;
  return { start: new Date(startMs).toISOString(), end: new Date(startMs + 2 * hourMs).toISOString() };
})();

export const place = { lat: 25.0772, lng: 55.1405 };

const channelFields = (fields: Partial<Channel> = {}) => ({
  type: "internal_kitchen" as const,
  name: "Kitchen",
  location: { lat: 25.08, lng: 55.14 },
  serviceRadiusMeters: 20_000,
  vehicles: ["bike" as const],
  costModel: { currency: "AED", baseMinor: 500, perKmMinor: 100, perUnitMinor: 0 },
  quality: 0.9,
  preparationMinutes: 20,
  bookTimeoutMs: 500,
  maxConcurrentCalls: 50,
  ...fields,
});

export function submission(key: string, changes: Partial<Submission["order"]> = {}): Submission {
  return {
    clientId: "cli_test",
    by,
    keyNamespace: "header",
    idempotencyKey: key,
    personal: { instructions: "leave at the desk" },
    order: {
      customerId: "cus_42",
      currency: "AED",
      items: [{ sku: "meal-123", quantity: 1, unitPriceMinor: 4_500 }],
      delivery: { location: place, window },
      priority: "standard",
      metadata: {},
      ...changes,
    },
  };
}

const config = {
  ROUTING_METHOD: "weighted" as const,
  MAX_BATCH_ORDERS: 2_000,
  MAX_QUEUED_ORDERS: 20_000,
  OWNER_LEASE_MS: 2_000,
  LATE_AFTER_MINUTES: 0,
  REPORTS_WITHIN_MINUTES: 120,
  UNDO_WITHIN_MINUTES: 15,
  STUCK_AGAIN_MINUTES: 1_440,
};

/** `adapterFor` stands for the world's side; kitchens are ours and always real. */
export async function testWorld(
  adapterFor: (channel: Channel) => ChannelAdapter = () => kitchenAdapter,
  clock: Clock = systemClock,
): Promise<TestWorld> {
  const { database, close } = await testDatabase();
  const parts = { clock, ids: createIds(), log: createLog("silent"), metrics: createMetrics() };
  const capacity = createCapacity({
    database,
    ...parts,
    // Slots that a clock put forward has passed must be there again when it is put back.
    ...(clock === systemClock ? {} : { refreshMs: 0 }),
  });
  await capacity.start();
  const orchestrationOn = (exclusive: boolean) =>
    createOrchestration({
      database,
      ...parts,
      config,
      capacity,
      channels: { adapterFor: (channel) => (isOurs(channel) ? kitchenAdapter : adapterFor(channel)) },
      onAppended: () => undefined,
      random: () => 0.5,
      exclusive,
    });
  const orchestration = orchestrationOn(false);
  await orchestration.start();
  return {
    database,
    capacity,
    metrics: parts.metrics,
    orchestration,
    async another({ exclusive = false } = {}) {
      const other = orchestrationOn(exclusive);
      await other.start();
      return { orchestration: other, stop: () => other.stop() };
    },
    async channel(fields, slots = [{ ...window, capacity: 1_000_000 }]) {
      const { channel } = await capacity.createChannel(channelFields(fields), by);
      await capacity.putCapacity(channel.id, slots, by);
      return capacity.channelInMemory(channel.id)!;
    },
    async stop() {
      await orchestration.stop();
      await capacity.stop();
      await close();
    },
  };
}

const isOurs = (channel: Channel): boolean =>
  channel.type === "internal_kitchen" || channel.type === "dark_store";

/** A channel with one slot, as routing sees it. */
export function room(
  id: string,
  fields: Partial<Channel>,
  slot: { sellable: number; reserved: number },
): ChannelRoom {
  const channel = {
    ...channelFields(fields),
    id,
    status: "active" as const,
    health: "up" as const,
    version: 1,
    createdAt: window.start,
    updatedAt: window.start,
    ...fields,
  };
  const slots = [
    { id: `slt_${id}`, startMs: Date.parse(window.start), endMs: Date.parse(window.end), ...slot },
  ];
  return { channel, slots };
}

/** What must hold of any database at rest: I1, I2, I3, I4, I5 as the tables show them. */
export async function assertInvariants(database: Database): Promise<void> {
  const violations = await database.run<{ what: string; id: string }>({
    name: "invariants",
    text: invariants,
  });
  assert.deepStrictEqual(violations, []);
}

const invariants = `
select 'I1 open order without owner or deadline' as what, id from orders
  where status not in ('delivered', 'undelivered', 'cancelled', 'failed') and owner_id is null and deadline_at is null
union all select 'I2 reserved is not the sum of what is held', a.slot_id from allotments a
  where reserved <> (select coalesce(sum(units), 0) from attempts t where t.slot_id = a.slot_id and held)
union all select 'I2 oversold', slot_id from allotments where reserved > sellable + overcommitted
union all select 'I2 reserved stock is not the sum of what is held', channel_id || ' ' || sku from stock s
  where reserved <> (select coalesce(sum(l.quantity), 0) from attempts t cross join lateral stock_lines(t.stock) l
    where t.channel_id = s.channel_id and t.held and l.sku = s.sku)
union all select 'I2 oversold stock', channel_id || ' ' || sku from stock where reserved > greatest(quantity - safety, 0) + overcommitted
union all select 'I3 ended order holds or is booked', o.id from orders o join attempts t on t.order_id = o.id
  where o.status in ('failed', 'cancelled') and (t.held or t.booking in ('booked', 'pending'))
union all select 'I4 two firm bookings', order_id from attempts where booking = 'booked' group by order_id, leg having count(*) > 1
union all select 'I4 confirmed without one held booking', o.id from orders o
  where o.status in ('confirmed', 'preparing', 'ready', 'dispatched', 'delivered')
  and 1 <> (select count(*) from attempts t where t.order_id = o.id and t.held and t.booking = 'booked')
union all select 'I5 versions without exactly one snapshot event', o.id from orders o left join (
    select x.subject, count(*) as events, count(distinct e ->> 'version') as versions
    from outbox x, json_array_elements(x.events::json) e
    where e ->> 'type' in ('order.created', 'order.status_changed', 'order.updated') group by x.subject
  ) told on told.subject = o.id
  where o.version is distinct from told.events or o.version is distinct from told.versions
union all select 'I6 key without its order', order_id from idempotency_keys k
  where not exists (select from orders o where o.id = k.order_id)`;
