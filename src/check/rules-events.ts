import { mayGo, orderStatuses } from "../orchestration/order-state.ts";
import { type RuleSet, sqlList } from "./rule.ts";

/** Each version of an order has exactly one of these. */
const snapshotTypes = sqlList(["order.created", "order.status_changed", "order.updated"]);

const allowedMoves = sqlList(
  orderStatuses.flatMap((from) =>
    orderStatuses.filter((to) => mayGo(from, to)).map((to) => `${from} → ${to}`),
  ),
);

// json_to_recordset reads the text once; picking each field out of each event would read it again and again (twice as slow).
const unpacked = (column: string): string =>
  `rows from (json_to_recordset(${column}::json) as (type text, version int, data json, replay boolean)) with ordinality as e(type, version, data, replay, nth)`;

// Each event of the orders in range, on the bus or still on its way to it, with its place: the bus's rows by position, then the
// outbox's by id. One statement sees both sides of the relay's move, so that no event is missed or seen twice.
const events = `
  events as materialized (
    select l.subject, 1 as stage, l.position + e.nth - 1 as place, e.version, e.type, e.data->>'from' as from_status, e.data->>'to' as to_status, e.replay
    from event_log l cross join lateral ${unpacked("l.events")}
    where l.subject > $1 and l.subject <= $2
    union all
    select b.subject, 2, b.id * 1000 + e.nth, e.version, e.type, e.data->>'from', e.data->>'to', e.replay
    from outbox b cross join lateral ${unpacked("b.events")}
    where b.subject > $1 and b.subject <= $2
  )`;

const journalEntries = `
  entries as materialized (
    select j.order_id, j.id, e.nth, e.version, e."to" as to_status
    from journal j
    cross join lateral rows from (json_to_recordset(j.entries::json) as (version int, "to" text)) with ordinality as e(version, "to", nth)
    where j.order_id > $1 and j.order_id <= $2
  )`;

/** I5, I7: each transition has exactly one event, in order, and was allowed; the read model is as far as its projector. */
export const eventRules: RuleSet = {
  shared: events,
  rules: [
    {
      invariant: "I5",
      // What its schema refused is a dead letter, which the notes list: an operator sees it.
      name: "each version of an order has exactly one snapshot event, on the bus or in the outbox",
      of: "orders",
      sql: `
      select coalesce(o.id, e.subject) as subject, format('version %s; snapshot events %s', coalesce(o.version::text, 'of no order'),
        coalesce(e.versions, 'none')) as what
      from (select id, version from orders where id > $1 and id <= $2) o
      full join (
        select subject, count(*) as total, count(distinct version) as different, min(version) as first, max(version) as last,
          string_agg(version::text, ' ' order by version) as versions
        from events where type in (${snapshotTypes}) group by subject
      ) e on e.subject = o.id
      where (o.id is null or e.subject is null
          or e.total <> o.version or e.different <> o.version or e.first <> 1 or e.last <> o.version)
        and not exists (select from dead_letters d
          where d.subject = coalesce(o.id, e.subject) and d.subscriber = 'schema' and d.replayed_at is null)`,
    },
    {
      invariant: "I5",
      name: "an order's events are on the bus in version order, replays of dead letters aside",
      of: "orders",
      sql: `
      select distinct subject, format('version %s after version %s', version, before) as what
      from (select subject, version, replay, lag(version) over (partition by subject order by stage, place) as before from events) e
      where version < before and replay is null`,
    },
    {
      invariant: "I5",
      name: "every transition that an event tells of is in the table of transitions",
      of: "orders",
      sql: `
      select subject, format('version %s: %s → %s', version, from_status, to_status) as what
      from events where type = 'order.status_changed'
        and coalesce(from_status || ' → ' || to_status, '') not in (${allowedMoves})`,
    },
    {
      invariant: "I7",
      name: "the read model shows every version that its projector has passed, and none that the truth has not",
      of: "orders",
      sql: `
      with passed as (
        select e.subject, max(e.version) as version from events e
        join bus_consumers c on c.name = 'read-model' and e.stage = 1 and e.place <= c.position
        group by e.subject
      )
      select coalesce(p.subject, v.id) as subject, format('the projector passed version %s, the view has %s, the truth %s',
        coalesce(p.version::text, 'none'), coalesce(v.version::text, 'nothing'), coalesce(o.version::text, 'nothing')) as what
      from passed p
      full join (select id, version from order_views where id > $1 and id <= $2) v on v.id = p.subject
      left join orders o on o.id = coalesce(p.subject, v.id)
      where coalesce(v.version, 0) < coalesce(p.version, 0) or coalesce(v.version, 0) > coalesce(o.version, 0)`,
    },
  ],
};

/** I5: the journal tells the same as the events. */
export const journalRules: RuleSet = {
  shared: journalEntries,
  rules: [
    {
      invariant: "I5",
      name: "the journal covers each version of an order, in order, and every transition in it is in the table",
      of: "orders",
      sql: `
      with steps as (
        select order_id, version, to_status,
          lag(version) over w as version_before, lag(to_status) over w as status_before
        from entries where to_status is not null window w as (partition by order_id order by id, nth)
      )
      select coalesce(o.id, j.order_id) as subject, format('version %s; the journal has %s', coalesce(o.version::text, 'of no order'),
        coalesce(j.versions, 'nothing')) as what
      from (select id, version from orders where id > $1 and id <= $2) o
      full join (
        select order_id, count(distinct version) as different, min(version) as first, max(version) as last,
          string_agg(distinct version::text, ' ') as versions
        from entries group by order_id
      ) j on j.order_id = o.id
      where o.id is null or j.order_id is null or j.different <> o.version or j.first <> 1 or j.last <> o.version
      union all
      select order_id, format('version %s: %s → %s', version, coalesce(status_before, 'nothing'), to_status)
      from steps
      where (status_before is null and to_status <> 'received') or version < version_before
        or (to_status <> status_before and status_before || ' → ' || to_status not in (${allowedMoves}))`,
    },
  ],
};

// Nearly always the very same text; only where it is not, the values are compared (which costs ten times more).
const differ = (one: string, other: string): string =>
  `case when ${one}::text = ${other}::text then false else ${one}::jsonb <> ${other}::jsonb end`;

/** I7: the read model is the truth. */
export const viewRules: RuleSet = {
  rules: [
    {
      invariant: "I7",
      name: "a view at the truth's version equals the truth",
      of: "orders",
      sql: `
      select o.id as subject, format('differ at version %s', o.version) as what
      from orders o join order_views v on v.id = o.id
      where o.id > $1 and o.id <= $2 and v.id > $1 and v.id <= $2 and v.version = o.version
        and (v.status <> o.status or v.client_id <> o.client_id or v.created_at <> o.created_at
          or v.customer_id is distinct from o.doc::json->>'customerId'
          or v.channel_id is distinct from o.state::json->'legs'->0->'channel'->>'id'
          or ${differ("v.doc", "o.doc")} or ${differ("v.state", "o.state")})`,
    },
  ],
};
