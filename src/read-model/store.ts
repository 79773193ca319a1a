import type { OrderDoc, OrderState, OrderView } from "../orchestration/order.ts";
import { intColumn, jsonColumn, textColumn, timeColumn } from "../platform/columns.ts";
import { type Database, type Executor, type Statement, statement } from "../platform/database.ts";
import { firstOrderIdAt } from "../platform/ids.ts";
import { shortForms } from "../relay/snapshot.ts";
import type { OrderFilter, ReadModel } from "./api.ts";
import type { ViewRow } from "./project.ts";

// One statement, so one commit. The position is the guard: who finds it moved on writes nothing. Nothing waits for the
// disk: after a crash views and position are both a little older, and the bus still has what came after.
const upsertViews = statement(
  "order_views_upsert",
  `with moved as (
     update bus_consumers set position = $3, updated_at = now() where name = $1 and position = $2 returning 1
   ), relaxed as materialized (
     select set_config('synchronous_commit', 'off', true) from moved
   ), written as (
     insert into order_views (id, client_id, customer_id, channel_id, status, version, created_at, doc, state)
     select v.id, v.client, v.customer, v.channel, v.status, v.version, v.created, v.doc, v.state
     from relaxed, unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[], $10::timestamptz[],
       $11::text[], $12::text[]) as v(id, client, customer, channel, status, version, created, doc, state)
     on conflict (id) do update set channel_id = excluded.channel_id, status = excluded.status,
       version = excluded.version, doc = excluded.doc, state = excluded.state
     where order_views.version < excluded.version
   )
   select count(*) as moved from relaxed`,
);

const beginAtZero = statement(
  "order_views_begin",
  "insert into bus_consumers (name, position) values ($1, 0) on conflict do nothing",
);

/**
 * Writes views (sorted by id) and moves the consumer from one position to the next, in one transaction. An older
 * version never replaces a newer one. False: the consumer is not at `from`; nothing was written.
 */
export async function writeViews(
  database: Executor,
  consumer: string,
  views: readonly ViewRow[],
  from: number,
  to: number,
): Promise<boolean> {
  if (from === 0) await database.run(beginAtZero, [consumer]);
  const [answer] = await database.run<{ moved: number }>(upsertViews, [
    consumer,
    from,
    to,
    textColumn(views.map((view) => view.id)),
    textColumn(views.map((view) => view.client)),
    textColumn(views.map((view) => view.customer)),
    textColumn(views.map((view) => view.channel)),
    textColumn(views.map((view) => view.status)),
    intColumn(views.map((view) => view.version)),
    timeColumn(views.map((view) => Date.parse(view.created))),
    jsonColumn(views.map((view) => view.doc)),
    jsonColumn(views.map((view) => view.state)),
  ]);
  return answer?.moved === 1;
}

const emptyViews = statement("order_views_empty", "truncate order_views");
const rewind = statement(
  "order_views_rewind",
  `insert into bus_consumers (name, position) values ($1, 0)
   on conflict (name) do update set position = 0, updated_at = now()`,
);

/** Throws all views away and has them projected anew from the bus's first event. A running projector notices. */
export function rebuildViews(database: Database, consumer: string): Promise<void> {
  return database.transaction(async (tx) => {
    // The views first: a projector at work has them locked before it locks its position.
    await tx.run(emptyViews);
    await tx.run(rewind, [consumer]);
  });
}

const selectByIds = statement(
  "order_views_get",
  `select id, client_id as "clientId", doc::json, state::json from order_views where id = any ($1)`,
);

/** The read model in PostgreSQL: what the projector wrote, which may be behind the truth. */
export function createReadModel(options: { database: Executor }): ReadModel {
  const { database } = options;
  return {
    async get(ids) {
      const rows = await database.run<StoredView>(selectByIds, [ids]);
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => {
        const row = byId.get(id);
        return row ? { clientId: row.clientId, order: merge(row) } : null;
      });
    },

    async list(filter) {
      const { query, params } = listStatement(filter);
      return (await database.run<StoredView>(query, params)).map(merge);
    },
  };
}

interface StoredView {
  id: string;
  clientId: string;
  doc: OrderDoc;
  state: OrderState;
}

const merge = ({ doc, state }: StoredView): OrderView => ({ ...doc, ...state, ...shortForms(state.legs) });

/**
 * One statement per combination of filters, so that each has its own plan: ids descending within the index of the
 * narrowest filter given. Times become bounds of the id. A status is part of the text, not a parameter: only then may
 * the partial index of open orders be used.
 */
export function listStatement(filter: OrderFilter): { query: Statement; params: readonly unknown[] } {
  const conditions: string[] = [];
  const params: unknown[] = [];
  const letters: string[] = [];
  const add = (letter: string, condition: (param: string) => string, value: unknown) => {
    params.push(value);
    letters.push(letter);
    conditions.push(condition(`$${params.length}`));
  };
  if (filter.clientId !== null) add("c", (param) => `client_id = ${param}`, filter.clientId);
  if (filter.customerId !== undefined) add("u", (param) => `customer_id = ${param}`, filter.customerId);
  if (filter.channelId !== undefined) add("h", (param) => `channel_id = ${param}`, filter.channelId);
  if (filter.fromMs !== undefined) add("f", (param) => `id >= ${param}`, firstOrderIdAt(filter.fromMs));
  const below = upperBound(filter);
  if (below !== null) add("b", (param) => `id < ${param}`, below);
  if (filter.status !== undefined) {
    if (!/^[a-z_]+$/.test(filter.status)) throw new Error(`${filter.status} is not a status`);
    conditions.push(`status = '${filter.status}'`);
  }
  params.push(filter.limit);
  const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
  const text = `select id, client_id as "clientId", doc::json, state::json from order_views ${where} order by id desc limit $${params.length}`;
  return { query: statement(`order_views_list_${letters.join("")}_${filter.status ?? "any"}`, text), params };
}

/** The cursor or the end of the time range, whichever is lower: both exclude. */
function upperBound(filter: OrderFilter): string | null {
  const bounds = [
    ...(filter.beforeId === undefined ? [] : [filter.beforeId]),
    ...(filter.toMs === undefined ? [] : [firstOrderIdAt(filter.toMs)]),
  ];
  return bounds.sort()[0] ?? null;
}
