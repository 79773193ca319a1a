import { type Database, type Executor, statement } from "../platform/database.ts";
import type { Channel, SlotView } from "./api.ts";

/** Owns the tables channels and slots, and allotments but for reserved units, which move with orders (slots-sql.ts). */

interface ChannelRow {
  id: string;
  version: number;
  type: Channel["type"];
  status: Channel["status"];
  health: Channel["health"];
  doc: Omit<Channel, "id" | "version" | "type" | "status" | "health" | "createdAt" | "updatedAt">;
  created_at: string;
  updated_at: string;
}

const columns = "id, version, type, status, health, doc, created_at, updated_at";

const toChannel = (row: ChannelRow): Channel => ({
  id: row.id,
  type: row.type,
  ...row.doc,
  status: row.status,
  health: row.health,
  version: row.version,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const docOf = (channel: Channel): string => {
  const {
    id: _i,
    type: _t,
    status: _s,
    health: _h,
    version: _v,
    createdAt: _c,
    updatedAt: _u,
    ...doc
  } = channel;
  return JSON.stringify(doc);
};

const selectPage = statement(
  "channels_page",
  `select ${columns} from channels where id > $1 order by id limit $2`,
);
const selectOne = statement("channels_one", `select ${columns} from channels where id = $1`);
const selectMany = statement("channels_many", `select ${columns} from channels where id = any ($1)`);
const selectForUpdate = statement(
  "channels_lock",
  `select ${columns} from channels where id = $1 for update`,
);
const selectSecret = statement("channels_secret", "select secret from channels where id = $1");
const insert = statement(
  "channels_insert",
  `insert into channels (id, version, type, status, health, doc, secret, created_at, updated_at)
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
);
const update = statement(
  "channels_update",
  "update channels set version = $2, status = $3, health = $4, doc = $5, updated_at = $6 where id = $1",
);

export async function listChannels(db: Executor, afterId: string, limit: number): Promise<Channel[]> {
  return (await db.run<ChannelRow>(selectPage, [afterId, limit])).map(toChannel);
}

export async function readChannel(
  db: Executor,
  id: string,
  options: { lock: boolean } = { lock: false },
): Promise<Channel | null> {
  const [row] = await db.run<ChannelRow>(options.lock ? selectForUpdate : selectOne, [id]);
  return row ? toChannel(row) : null;
}

export async function readChannels(db: Executor, ids: readonly string[]): Promise<Channel[]> {
  return (await db.run<ChannelRow>(selectMany, [ids])).map(toChannel);
}

export async function readSecret(db: Executor, id: string): Promise<string | null> {
  const [row] = await db.run<{ secret: string }>(selectSecret, [id]);
  return row?.secret ?? null;
}

export async function insertChannel(tx: Executor, channel: Channel, secret: string): Promise<void> {
  const { id, version, type, status, health, createdAt, updatedAt } = channel;
  await tx.run(insert, [id, version, type, status, health, docOf(channel), secret, createdAt, updatedAt]);
}

export async function updateChannel(tx: Executor, channel: Channel): Promise<void> {
  const { id, version, status, health, updatedAt } = channel;
  await tx.run(update, [id, version, status, health, docOf(channel), updatedAt]);
}

// Units reserved are summed over the shards that this database holds: one.
const slotColumns = `s.id, s.channel_id as "channelId", s.starts_at as start, s.ends_at as "end", s.capacity, s.scheduled,
  coalesce(sum(a.sellable), 0)::int as sellable, coalesce(sum(a.reserved), 0)::int as reserved`;

const selectSlots = statement(
  "slots_of_channel",
  `select ${slotColumns} from slots s left join allotments a on a.slot_id = s.id
   where s.channel_id = $1 and s.ends_at > $2 and s.starts_at < $3 and not s.retired group by s.id order by s.starts_at`,
);
const selectOpenSlots = statement(
  "slots_open",
  `select ${slotColumns} from slots s left join allotments a on a.slot_id = s.id
   where s.ends_at > $1 and not s.retired group by s.id order by s.starts_at`,
);

export interface SlotRow extends SlotView {
  channelId: string;
  scheduled: boolean;
}

export const toView = ({ id, start, end, capacity, sellable, reserved }: SlotRow): SlotView => ({
  id,
  start,
  end,
  capacity,
  sellable,
  reserved,
});

/** Names a slot of a channel, however its times are written. */
export const timesOf = (slot: { start: string; end: string }): string =>
  `${Date.parse(slot.start)}/${Date.parse(slot.end)}`;

export const readSlots = (
  db: Executor,
  channelId: string,
  fromMs: number,
  toMs: number,
): Promise<SlotRow[]> => db.run<SlotRow>(selectSlots, [channelId, new Date(fromMs), new Date(toMs)]);

/** Every slot that has not ended: what the in-memory network holds. */
export const readOpenSlots = (db: Database, nowMs: number): Promise<SlotRow[]> =>
  db.run<SlotRow>(selectOpenSlots, [new Date(nowMs)]);

const lockAllotments = statement(
  "allotments_lock",
  `select a.slot_id as id, a.reserved from allotments a join slots s on s.id = a.slot_id
   where s.channel_id = $1 and s.ends_at > $2 and s.starts_at < $3 order by a.slot_id for update of a`,
);
const upsertSlots = statement(
  "slots_upsert",
  `insert into slots (id, channel_id, starts_at, ends_at, capacity, margin, scheduled)
   select r.id, $1, r.start, r.end, r.capacity, r.sellable - r.capacity, r.scheduled
   from json_to_recordset($2::json) as r(id text, start timestamptz, "end" timestamptz, capacity int, sellable int, scheduled boolean)
   on conflict (channel_id, starts_at, ends_at) do update
     set capacity = excluded.capacity, margin = excluded.margin, scheduled = excluded.scheduled, retired = false
   returning id, capacity + margin as sellable`,
);
// All of what may be sold is this shard's: with one shard there is one allotment a slot.
const upsertAllotments = statement(
  "allotments_upsert",
  `insert into allotments (slot_id, sellable)
   select r.id, r.sellable from json_to_recordset($1::json) as r(id text, sellable int)
   on conflict (slot_id, shard) do update
     set sellable = excluded.sellable, overcommitted = greatest(0, allotments.reserved - excluded.sellable)`,
);
const retireSlots = statement(
  "slots_retire",
  `with gone as (
     update slots set capacity = 0, margin = 0, retired = true where id = any ($1) returning id
   )
   update allotments a set sellable = 0, overcommitted = 0 from gone where a.slot_id = gone.id`,
);

/** Locks the allotments of a channel's slots in a time range, in slot order (as every commit does). */
export const lockReserved = (
  tx: Executor,
  channelId: string,
  fromMs: number,
  toMs: number,
): Promise<{ id: string; reserved: number }[]> =>
  tx.run(lockAllotments, [channelId, new Date(fromMs), new Date(toMs)]);

/** A slot as it is to be. An `id` is used where none with its times is there. */
export interface SlotToWrite {
  id: string;
  start: string;
  end: string;
  capacity: number;
  sellable: number;
  scheduled: boolean;
}

/** Their allotments must be locked. Where more is reserved than may be sold, the slot is overcommitted: callers refuse that or say it. */
export async function writeSlots(
  tx: Executor,
  channelId: string,
  slots: readonly SlotToWrite[],
): Promise<void> {
  const written = await tx.run(upsertSlots, [channelId, JSON.stringify(slots)]);
  await tx.run(upsertAllotments, [JSON.stringify(written)]);
}

/** Slots of which nothing is reserved. Their allotments must be locked. */
export async function retire(tx: Executor, ids: readonly string[]): Promise<void> {
  await tx.run(retireSlots, [ids]);
}
