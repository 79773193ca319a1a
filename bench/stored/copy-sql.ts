/**
 * Copies of delivered orders, table by table: `copies` holds each copy's id, lane, time, key and customer, the number of its
 * template and the first of its positions on the bus; `templates` the templates with their numbers.
 */
export const prepareTemplates = `
  create unlogged table bench_templates as
  select row_number() over (order by o.id)::int - 1 as t, o.id, o.doc::json->>'customerId' as customer from orders o where o.id = any ($1)`;

export const dropTemplates = "drop table bench_templates";

/** What a template takes on the bus. */
export const templateEvents = `
  select t.t, sum(l.count)::int as events, min(a.channel_id) as "channelId", min(a.units)::int as units
  from bench_templates t join event_log l on l.subject = t.id join lateral (
    select channel_id, sum(units) as units from attempts where order_id = t.id and held group by 1
  ) a on true group by t.t order by t.t`;

const copies = `
  copies as materialized (
    select c.*, t.id as old, t.customer as old_customer
    from unnest($1::text[], $2::int[], $3::timestamptz[], $4::uuid[], $5::text[], $6::int[], $7::bigint[])
      as c(id, lane, at, key, customer, t, position)
    join bench_templates t on t.t = c.t
  )`;

/** A document of the template as the copy's. */
const renamed = (column: string): string =>
  `replace(replace(${column}, c.old, c.id), '"' || c.old_customer || '"', '"' || c.customer || '"')`;

/** $1 ids, $2 lanes, $3 times, $4 keys, $5 customers, $6 templates, $7 positions, $8 slot by template. */
export const copyOrders = `
  with ${copies}, k as (
    insert into idempotency_keys (key_hash, order_id, body_hash) select key, id, key from copies
  ), o as (
    insert into orders (id, lane, version, status, client_id, owner_id, deadline_at, created_at, updated_at, doc, state, saga)
    select c.id, c.lane, o.version, o.status, o.client_id, null, null, c.at, c.at, ${renamed("o.doc")}, ${renamed("o.state")}, o.saga
    from copies c join orders o on o.id = c.old
  ), p as (
    insert into order_contacts (order_id, doc) select c.id, p.doc from copies c join order_contacts p on p.order_id = c.old
  ), a as (
    insert into attempts (order_id, leg, attempt, channel_id, slot_id, units, held, booking, partner, booking_ref, decision, made_at)
    select c.id, a.leg, a.attempt, a.channel_id, ($8::text[])[c.t + 1], a.units, a.held, a.booking, a.partner, a.booking_ref, a.decision, c.at
    from copies c join attempts a on a.order_id = c.old
  ), j as (
    insert into journal (order_id, version, lane, at, actor, source, entries)
    select c.id, j.version, c.lane, c.at, j.actor, j.source, j.entries
    from copies c join journal j on j.order_id = c.old order by c.id, j.id
  ), v as (
    insert into order_views (id, client_id, customer_id, channel_id, status, version, created_at, doc, state)
    select c.id, v.client_id, c.customer, v.channel_id, v.status, v.version, c.at, ${renamed("v.doc")}, ${renamed("v.state")}
    from copies c join order_views v on v.id = c.old
  )
  insert into event_log (position, count, lane, subject, client_id, logged_at, doc, events)
  select c.position + e.before, e.count, c.lane, c.id, e.client_id, c.at, ${renamed("e.doc")}, ${renamed("e.events")}
  from copies c join (
    select l.*, coalesce(sum(l.count) over (partition by l.subject order by l.position rows between unbounded preceding and 1 preceding), 0) as before
    from event_log l where l.subject in (select id from bench_templates)
  ) e on e.subject = c.old`;

export const readHead = `select next_position::float8 as next from event_log_head`;
/** $1: the position after the last one used. What is there has been seen by everyone: the views were copied too. */
export const moveHead = `
  with head as (update event_log_head set next_position = $1)
  update bus_consumers set position = $1 - 1`;

/** $1 slot ids, $2 channels, $3 units sold. */
export const addSoldSlots = `
  with s as (select * from unnest($1::text[], $2::text[], $3::int[]) as s(id, channel, units)), made as (
    insert into slots (id, channel_id, starts_at, ends_at, capacity)
    select id, channel, '2020-01-01T00:00:00Z', '2020-01-01T02:00:00Z', units from s
  )
  insert into allotments (slot_id, shard, sellable, reserved) select id, 0, units, units from s`;
