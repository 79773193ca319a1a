import { randomBytes } from "node:crypto";
import pg from "pg";
import { systemClock } from "../../src/platform/clock.ts";
import { createIds, laneOf } from "../../src/platform/ids.ts";
import { firstValue, type RecordedOrder, type Recording } from "./rebatch.ts";

export interface NaiveResult {
  /** Connections, each carrying one order at a time. */
  connections: number;
  ordersPerSecond: number;
}

/** An order's rows as plain columns, from its recorded insert. */
interface PlainOrder {
  id: string;
  lane: number;
  clientId: string;
  doc: string;
  contact: string | null;
  state: string;
  saga: string;
  events: string;
  entries: string;
  take: { channel: string; slot: string; units: number; decision: string | null } | null;
}

/**
 * What one would write first: four transactions an order (accept, reserve, book, confirm), each changing the order's row
 * and adding a journal and an outbox row, one order at a time per connection, on the same tables, indexes and payloads.
 * Nobody relays or projects beside it, which is in its favour.
 */
export async function runNaiveLoop(
  databaseUrl: string,
  recording: Recording,
  connections: number,
  forMs: number,
): Promise<NaiveResult> {
  const orders = recording.orders.slice(0, 2_000).map((order) => plainOrder(recording, order));
  const clients = await Promise.all(
    Array.from({ length: connections }, async () => {
      const client = new pg.Client({ connectionString: databaseUrl, application_name: "uoop-naive" });
      await client.connect();
      return client;
    }),
  );
  try {
    const startedAt = performance.now();
    let done = 0;
    let next = 0;
    await Promise.all(
      clients.map(async (client) => {
        while (performance.now() - startedAt < forMs) {
          await fulfil(client, freshlyNamed(orders[next++ % orders.length]!));
          done += 1;
        }
      }),
    );
    return { connections, ordersPerSecond: (done * 1_000) / (performance.now() - startedAt) };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

function plainOrder({ insert }: Recording, order: RecordedOrder): PlainOrder {
  const stored = (name: string) => firstValue(insert, order.insert, 0, name);
  const taken = (name: string) => firstValue(insert, order.insert, 1, name);
  /** As it is when its units are granted, or as it is without. */
  const became = (name: string) => stored(`g_${name}`) ?? stored(`b_${name}`) ?? "[]";
  const slot = taken("slot_id");
  return {
    id: order.id,
    lane: Number(stored("lane")),
    clientId: stored("client_id")!,
    doc: stored("doc")!,
    contact: stored("contact"),
    state: became("state"),
    saga: became("saga"),
    events: became("events"),
    entries: became("entries"),
    take:
      slot === null
        ? null
        : { channel: taken("channel")!, slot, units: Number(taken("units")), decision: taken("decision") },
  };
}

const freshIds = createIds();

function freshlyNamed(order: PlainOrder): PlainOrder {
  const id = freshIds.order(laneOf(order.id), systemClock.nowMs());
  const rename = (text: string) => text.replaceAll(order.id, id);
  return { ...order, id, doc: rename(order.doc), state: rename(order.state), events: rename(order.events) };
}

const prepared = (name: string, text: string) => ({ name, text });
const insertKey = prepared(
  "n_key",
  "insert into idempotency_keys (key_hash, order_id, body_hash) values ($1, $2, $3)",
);
const insertOrder = prepared(
  "n_order",
  `insert into orders (id, lane, version, status, client_id, deadline_at, created_at, updated_at, doc, state, saga)
   values ($1, $2, 1, 'received', $3, now() + interval '1 day', now(), now(), $4, $5, $6)`,
);
const insertContact = prepared("n_contact", "insert into order_contacts (order_id, doc) values ($1, $2)");
const insertJournal = prepared(
  "n_journal",
  "insert into journal (order_id, version, lane, at, actor, entries) values ($1, $2, $3, now(), 'naive', $4)",
);
const insertOutbox = prepared(
  "n_outbox",
  "insert into outbox (lane, subject, version, client_id, doc, events) values ($1, $2, 1, $3, $4, $5)",
);
const takeUnits = prepared(
  "n_take",
  "update allotments set reserved = reserved + $2 where slot_id = $1 and shard = 0 and reserved + $2 <= sellable",
);
const insertAttempt = prepared(
  "n_attempt",
  `insert into attempts (order_id, leg, attempt, channel_id, slot_id, units, held, booking, decision, made_at)
   values ($1, 1, 1, $2, $3, $4, true, 'pending', $5, now())`,
);
const bookAttempt = prepared(
  "n_book",
  "update attempts set booking = 'booked', booking_ref = $2 where order_id = $1 and leg = 1 and attempt = 1",
);
const moveOrder = prepared(
  "n_move",
  "update orders set version = $2, status = $3, state = $4, updated_at = now() where id = $1 and version = $2 - 1",
);

async function fulfil(client: pg.Client, order: PlainOrder): Promise<void> {
  const { id, lane, clientId, doc, take } = order;
  const tell = async (version: number) => {
    await client.query({ ...insertJournal, values: [id, version, lane, order.entries] });
    await client.query({ ...insertOutbox, values: [lane, id, clientId, doc, order.events] });
  };
  const move = async (version: number, status: string) => {
    await client.query({ ...moveOrder, values: [id, version, status, order.state] });
    await tell(version);
  };
  await inTransaction(client, async () => {
    const key = randomBytes(16).toString("hex");
    await client.query({ ...insertKey, values: [key, id, key] });
    await client.query({ ...insertOrder, values: [id, lane, clientId, doc, order.state, order.saga] });
    if (order.contact !== null) await client.query({ ...insertContact, values: [id, order.contact] });
    await tell(1);
  });
  await inTransaction(client, async () => {
    if (take) {
      await client.query({ ...takeUnits, values: [take.slot, take.units] });
      await client.query({
        ...insertAttempt,
        values: [id, take.channel, take.slot, take.units, take.decision],
      });
    }
    await move(2, "reserved");
  });
  await inTransaction(client, async () => {
    await client.query({ ...bookAttempt, values: [id, `N-${id.slice(-8)}`] });
    await move(3, "booked");
  });
  await inTransaction(client, () => move(4, "confirmed"));
}

async function inTransaction(client: pg.Client, work: () => Promise<void>): Promise<void> {
  await client.query("begin");
  await work();
  await client.query("commit");
}
