import { type Database, statement } from "../../src/platform/database.ts";
import { firstOrderIdAt } from "../../src/platform/ids.ts";

export const channelId = "chn_01kav0000000000000000000aa";
export const slotId = "slt_01kav0000000000000000000aa";

/** Ways that an order may have gone, in turn; with the booking that is left of it. */
const ways = `(values
  (0, '{received,reserved,booked,confirmed,preparing,ready,dispatched,delivered}'::text[], 'booked', true),
  (1, '{received,reserved,booked,confirmed}', 'booked', true),
  (2, '{received,failing,failed}', null, null),
  (3, '{received,reserved,booked,confirmed,cancelling,cancelled}', 'cancelled', false),
  (4, '{received}', null, null)
) as w(way, path, booking, held)`;

/** The id of the n-th order loaded (from 1), its last two characters are of lane 0. */
export const orderId = (prefix: string, n: number): string => `${prefix}${String(n).padStart(14, "0")}00`;

/**
 * Loads `count` orders with everything that belongs to them, consistent throughout, by SQL: every fifth went the same way (delivered, confirmed,
 * failed, cancelled, received). Answers how their ids begin.
 */
export async function loadOrders(database: Database, count: number): Promise<string> {
  const prefix = firstOrderIdAt(Date.now()).slice(0, 14);
  for (const [name, text] of Object.entries(loading(prefix, count))) {
    await database.transaction(async (tx) => {
      await tx.run(statement("", "set local enable_seqscan = on"));
      await tx.run(statement("", text)).catch((error: Error) => {
        throw new Error(`${name}: ${error.message}`, { cause: error });
      });
    });
  }
  await database.run(statement("", "analyze"));
  return prefix;
}

const stateOf = (
  version: string,
) => `json_build_object('status', path[${version}], 'version', ${version}, 'updatedAt', now(),
  'legs', case when ${version} >= 2 and path[2] = 'reserved' then json_build_array(json_build_object('leg', 1, 'attempt', 1, 'channel',
    json_build_object('id', '${channelId}', 'type', 'internal_kitchen'), 'costMinor', 900, 'bookingRef', 'KIT-1')) else '[]' end)`;

function loading(prefix: string, count: number): Record<string, string> {
  const orders = `(select n, '${prefix}' || lpad(n::text, 14, '0') || '00' as id, path, cardinality(path) as version, booking, held
    from generate_series(1, ${count}) as n join ${ways} on w.way = n % 5) o`;
  const doc = `json_build_object('id', id, 'customerId', 'cus_' || n % 1000, 'currency', 'AED', 'items',
    json_build_array(json_build_object('sku', 'meal', 'quantity', 2, 'unitPriceMinor', 4500)), 'metadata', '{}'::json, 'createdAt', now())`;
  // The first commit makes up to four versions, each later one a version of its own.
  const commits = `(select o.*, c, case when c = 1 then 1 else c + 3 end as first, case when c = 1 then least(version, 4) else c + 3 end as last
    from ${orders}, lateral generate_series(1, greatest(1, version - 3)) as c) k`;
  return {
    channel: `insert into channels (id, type, status, health, doc, secret) values ('${channelId}', 'internal_kitchen', 'active', 'up', '{}', 'x')`,
    slot: `insert into slots (id, channel_id, starts_at, ends_at, capacity) values ('${slotId}', '${channelId}', now(), now() + interval '1 hour', ${2 * count})`,
    owner: `insert into owners (id, lease_until, process) values ('own_1', now() + interval '1 hour', 'here')`,
    orders: `insert into orders (id, lane, version, status, client_id, owner_id, deadline_at, created_at, updated_at, doc, state, saga)
      select id, 0, version, path[version], 'cli_1', case when version = 1 then 'own_1' end,
        case when path[version] in ('received', 'confirmed') then now() + interval '1 hour' end, now(), now(), ${doc}, ${stateOf("version")}, '{}'
      from ${orders}`,
    keys: `insert into idempotency_keys (key_hash, order_id, body_hash) select md5(id)::uuid, id, md5(id)::uuid from ${orders}`,
    attempts: `insert into attempts (order_id, leg, attempt, channel_id, slot_id, units, held, booking, booking_ref, made_at)
      select id, 1, 1, '${channelId}', '${slotId}', 2, held, booking, 'KIT-1', now() from ${orders} where booking is not null`,
    stock: `insert into stock (channel_id, sku, quantity) values ('${channelId}', 'unsold', 5)`,
    allotment: `insert into allotments (slot_id, sellable, reserved)
      select '${slotId}', ${2 * count}, coalesce(sum(units), 0) from attempts where held`,
    journal: `insert into journal (order_id, version, lane, at, actor, source, entries)
      select id, last, n % 64, now(), 'client:cli_1', '127.0.0.1',
        (select json_agg(json_build_object('version', v, 'to', path[v])) from generate_series(first, last) v)
      from ${commits} order by n, c`,
    events: `insert into event_log (position, count, lane, subject, client_id, doc, events)
      select sum(last - first + 1) over (order by n, c) - (last - first), last - first + 1, 0, id, 'cli_1', ${doc},
        (select json_agg(json_build_object('type', case v when 1 then 'order.created' else 'order.status_changed' end, 'version', v,
          'at', now(), 'data', json_build_object('from', path[v - 1], 'to', path[v]), 'patch', ${stateOf("v")})) from generate_series(first, last) v)
      from ${commits}`,
    head: "update event_log_head set next_position = (select max(position + count) from event_log)",
    views: `insert into order_views (id, client_id, customer_id, channel_id, status, version, created_at, doc, state)
      select id, client_id, doc::json->>'customerId', state::json->'legs'->0->'channel'->>'id', status, version, created_at, doc, state from orders`,
    client: "insert into clients (id, name) values ('cli_1', 'check') on conflict do nothing",
    webhook: `insert into webhooks (id, client_id, sees_all, url, description, max_events_per_request, max_concurrent_requests, status, secret)
      values ('whk_1', 'cli_1', true, 'https://subscriber.example', '', 1, 1, 'active', 'x')`,
    progress:
      "insert into webhook_progress (webhook_id, position) select 'whk_1', next_position - 1 from event_log_head",
    pending: `insert into webhook_pending (webhook_id, event_id, position, subject, type, replay, attempts, next_at, event)
      values ('whk_1', 'e', 1, '${prefix}', 'order.created', false, 1, now(), '{}')`,
    projector:
      "insert into bus_consumers (name, position) select 'read-model', next_position - 1 from event_log_head",
  };
}
