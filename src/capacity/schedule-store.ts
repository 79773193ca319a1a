import { type Executor, statement } from "../platform/database.ts";
import type { OrderRules, ScheduleView } from "./api.ts";
import type { Schedule } from "./schedule.ts";

/** Owns the table schedules. */

interface ScheduleRow {
  version: number;
  doc: Schedule;
  madeUntil: string;
  updatedAt: string;
}

const selectOne = statement(
  "schedules_one",
  `select version, doc, made_until::text as "madeUntil", updated_at as "updatedAt" from schedules where channel_id = $1`,
);
const upsert = statement(
  "schedules_upsert",
  `insert into schedules (channel_id, version, doc, made_until, updated_at) values ($1, $2, $3, $4, $5)
   on conflict (channel_id) do update
     set version = excluded.version, doc = excluded.doc, made_until = excluded.made_until, updated_at = excluded.updated_at`,
);
const selectRules = statement(
  "schedules_rules",
  `select channel_id as "channelId", doc -> 'cutOffMinutes' as "cutOffMinutes", doc -> 'preparation' as preparation
   from schedules where $1::text is null or channel_id = $1`,
);
const selectShort = statement(
  "schedules_short",
  `select channel_id as id from schedules
   where made_until < ($1::timestamptz at time zone (doc ->> 'timeZone'))::date + $2::int order by channel_id`,
);

/** Null: there is none. */
export async function readSchedule(db: Executor, channelId: string): Promise<ScheduleView | null> {
  const [row] = await db.run<ScheduleRow>(selectOne, [channelId]);
  if (!row) return null;
  const { doc, ...rest } = row;
  return { ...doc, ...rest };
}

export async function writeSchedule(
  tx: Executor,
  channelId: string,
  { version, madeUntil, updatedAt, ...doc }: ScheduleView,
): Promise<void> {
  await tx.run(upsert, [channelId, version, JSON.stringify(doc), madeUntil, updatedAt]);
}

/** What routing looks at, of one channel or of all that have a schedule. */
export async function readRules(
  db: Executor,
  channelId: string | null = null,
): Promise<Map<string, OrderRules>> {
  const rows = await db.run<{
    channelId: string;
    cutOffMinutes: number | null;
    preparation: OrderRules["preparation"] | null;
  }>(selectRules, [channelId]);
  return new Map(
    rows.map(({ channelId: id, cutOffMinutes, preparation }) => [
      id,
      { ...(cutOffMinutes === null ? {} : { cutOffMinutes }), ...(preparation ? { preparation } : {}) },
    ]),
  );
}

/** Channels whose slots reach fewer than `days` local days beyond the one of this moment. */
export async function readShort(db: Executor, nowMs: number, days: number): Promise<string[]> {
  return (await db.run<{ id: string }>(selectShort, [new Date(nowMs), days])).map(({ id }) => id);
}
