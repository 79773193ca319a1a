import { type Database, type Executor, statement } from "../platform/database.ts";
import { idOfUuid, uuidOfId } from "../platform/ids.ts";
import type { EventRow } from "../relay/api.ts";
import { appendEvents } from "../relay/append.ts";
import type { DeadLetter, DeadLetterFilter, Viewer } from "./api.ts";

const columns = `d.id, d.subscriber, d.client_id as "clientId", d.event_id as "eventId", d.event_type as "eventType", d.subject,
  d.position, d.reason, d.attempts, d.event, d.created_at as "createdAt", d.replayed_at as "replayedAt"`;

type Row = DeadLetter & { position: number | null };

const toLetter = ({ position: _position, ...row }: Row): DeadLetter => {
  return { ...row, id: idOfUuid("dlt", row.id) };
};

const selectOne = statement(
  "dead_letter_get",
  `select ${columns} from dead_letters d where d.id = $1::uuid and ($2::text is null or d.client_id = $2)`,
);

/** A where clause of what is asked for, and its parameters. */
function conditions(viewer: Viewer, filter: DeadLetterFilter): { where: string; params: unknown[] } {
  const { subscriber, subject, type, replayed, fromMs, toMs } = filter;
  const params: unknown[] = [];
  const parts = ["true"];
  const add = (value: unknown, sql: (place: string) => string): void => {
    if (value === undefined || value === null) return;
    params.push(value);
    parts.push(sql(`$${params.length}`));
  };
  add(viewer, (place) => `d.client_id = ${place}`);
  add(subscriber, (place) => `d.subscriber = ${place}`);
  add(subject, (place) => `d.subject = ${place}`);
  add(type, (place) => `d.event_type = ${place}`);
  add(fromMs, (place) => `d.created_at >= to_timestamp(${place}::float8 / 1000)`);
  add(toMs, (place) => `d.created_at < to_timestamp(${place}::float8 / 1000)`);
  if (replayed !== undefined) parts.push(`d.replayed_at is ${replayed ? "not " : ""}null`);
  return { where: parts.join(" and "), params };
}

export async function find(tx: Executor, id: string, viewer: Viewer): Promise<DeadLetter | undefined> {
  const [row] = await tx.run<Row>(selectOne, [uuidOfId(id), viewer]);
  return row && toLetter(row);
}

/** Newest first. */
export async function list(
  tx: Executor,
  viewer: Viewer,
  filter: DeadLetterFilter,
  page: { beforeId: string | null; limit: number },
): Promise<readonly DeadLetter[]> {
  const { where, params } = conditions(viewer, filter);
  const before = page.beforeId === null ? [] : [uuidOfId(page.beforeId)];
  const from = before.length > 0 ? ` and d.id < $${params.length + 1}::uuid` : "";
  // Not prepared: there are as many shapes as filters, and only people ask.
  const text = `select ${columns} from dead_letters d where ${where}${from} order by d.id desc limit ${page.limit}`;
  return (await tx.run<Row>(statement("", text), [...params, ...before])).map(toLetter);
}

const markOne = statement(
  "dead_letter_replay",
  `update dead_letters d set replayed_at = now()
   where d.id = $1::uuid and ($2::text is null or d.client_id = $2) and d.replayed_at is null returning ${columns}`,
);

// The webhook's version tells its deliverer to look. A replay says so itself: `replay` is an attribute of the event.
const pendReplays = statement(
  "dead_letter_pend",
  `with pended as (
     insert into webhook_pending (webhook_id, event_id, position, subject, type, replay, attempts, next_at, event)
     select r.subscriber, r."eventId", coalesce(r.position, 0), r.subject, r."eventType", true, 0, now(), r.text
     from json_to_recordset($1::json) as r (subscriber text, "eventId" text, position bigint, subject text, "eventType" text, text text)
     join webhooks w on w.id = r.subscriber
     on conflict (webhook_id, event_id) do nothing returning webhook_id
   )
   update webhooks w set version = w.version + 1 where w.id in (select webhook_id from pended)`,
);

/** Sends one again, unless it was replayed before. */
export const replayOne = (database: Database, id: string, viewer: Viewer): Promise<void> =>
  database.transaction(async (tx) => sendAgain(tx, await tx.run<Row>(markOne, [uuidOfId(id), viewer])));

/** Sends the oldest `limit` that pass the filter and were not replayed; answers how many these are. */
export function replayAll(
  database: Database,
  viewer: Viewer,
  filter: DeadLetterFilter,
  limit: number,
): Promise<number> {
  const { where, params } = conditions(viewer, { ...filter, replayed: false });
  const text = `with found as (
      select d.id from dead_letters d where ${where} order by d.id limit ${limit} for update
    ), marked as (
      update dead_letters d set replayed_at = now() where d.id in (select id from found) returning ${columns}
    ) select * from marked order by id`;
  return database.transaction(async (tx) => {
    const rows = await tx.run<Row>(statement("", text), params);
    await sendAgain(tx, rows);
    return rows.length;
  });
}

/** To its webhook; what did not fit its schema to the outbox, where it is checked anew and, if it passes, goes to everybody. */
async function sendAgain(tx: Executor, rows: readonly Row[]): Promise<void> {
  const bad = rows.filter(({ subscriber }) => subscriber === "schema");
  await appendEvents(
    tx,
    bad.map(({ event }) => asReplay(event as EventRow)),
  );
  const good = rows
    .filter(({ subscriber }) => subscriber !== "schema")
    .map((row) => ({ ...row, text: JSON.stringify({ ...(row.event as object), replay: true }) }));
  if (good.length > 0) await tx.run(pendReplays, [JSON.stringify(good)]);
}

const asReplay = (row: EventRow): EventRow =>
  Array.isArray(row.events)
    ? { ...row, events: row.events.map((event) => ({ ...event, replay: true })) }
    : row;
