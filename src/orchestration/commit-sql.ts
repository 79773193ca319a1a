import { grantUnits, grantUnitsAndStock } from "../capacity/slots-sql.ts";
import { statement } from "../platform/database.ts";

/**
 * The two statements that write orders: `insertOrders` (intake) and `advanceOrders` (everything after). Each is one
 * round trip and one transaction, whatever the batch's size. All that follows a guard is derived from the rows that
 * passed it (`cur`), never from what came in. Locks: owner (key share), orders by id, allotments by slot id.
 *
 * An order comes with two futures: `b_…` holds in any case, `g_…` (whole, not on top of the other) if the units that it
 * wants are granted. Input comes as columns (platform/columns.ts), joined to a hint of how
 * many rows they are (`taken_for_ten`), so that one plan is good for all batch sizes.
 *
 * Each has a second form, for batches in which some order wants or has of a channel's stock: with it, stock rows are locked after
 * allotments. What other batches run knows nothing of stock, and pays nothing for it.
 */

/** A column of the input: its name and its array type. store.ts encodes them in this order. */
type Column = readonly [name: string, type: string];

const future = (f: "b" | "g"): readonly Column[] => [
  [`${f}_version`, "int"],
  [`${f}_status`, "text"],
  [`${f}_owned`, "boolean"],
  [`${f}_deadline`, "timestamptz"],
  [`${f}_state`, "text"],
  [`${f}_saga`, "text"],
  [`${f}_events`, "text"],
  [`${f}_entries`, "text"],
];

const common: readonly Column[] = [
  ["id", "text"],
  ["at", "timestamptz"],
  ["actor", "text"],
  ["source", "text"],
  ["takes", "boolean"],
  ...future("b"),
  ...future("g"),
];

const insertColumns: readonly Column[] = [
  ...common,
  ["lane", "int"],
  ["key", "uuid"],
  ["body", "uuid"],
  ["client_id", "text"],
  ["doc", "text"],
  ["contact", "text"],
];

const advanceColumns: readonly Column[] = [...common, ["expected", "int"], ["intent", "boolean"]];

const attemptColumns: readonly Column[] = [
  ["i", "int"],
  ["leg", "int"],
  ["attempt", "int"],
  ["channel", "text"],
  ["slot_id", "text"],
  ["units", "int"],
  ["booking", "text"],
  ["ref", "text"],
  ["partner", "text"],
  ["decision", "text"],
  ["release", "boolean"],
];

const unnest = (columns: readonly Column[], first: number): string =>
  `unnest(${columns.map(([, type], index) => `$${first + index}::${type}[]`).join(", ")})`;

const names = (columns: readonly Column[]): string => columns.map(([name]) => name).join(", ");

/** $1 owner, $2 epoch, then the orders' columns. `i` counts from 0, as the arrays of store.ts do. */
const orderInput = (columns: readonly Column[]) => `
me as materialized (
  select 1 from owners where id = $1 and epoch = $2 for key share
), input as materialized (
  select r.*, r.place - 1 as i
  from ${unnest(columns, 3)} with ordinality as r(${names(columns)}, place), taken_for_ten()
)`;

const attemptInput = (name: string, first: number) => `
${name} as materialized (
  select a.*, c.id as order_id, c.at
  from (select r.* from ${unnest(attemptColumns, first)} as r(${names(attemptColumns)}), taken_for_ten()) a
  join cur c on c.i = a.i
)`;

// What became of each order: one of its futures.
const decidedFutures = `
changed as materialized (
  select d.*,
    case when granted then g_version else b_version end as version,
    case when granted then g_status else b_status end as status,
    case when granted then g_owned else b_owned end as owned,
    case when granted then g_deadline else b_deadline end as deadline,
    case when granted then g_state else b_state end as state,
    case when granted then g_saga else b_saga end as saga,
    case when granted then g_events else b_events end as events,
    case when granted then g_entries else b_entries end as entries
  from decided d where granted or b_version is not null
)`;

const newAttempts = (stock: boolean) => `
new_attempts as (
  insert into attempts (order_id, leg, attempt, channel_id, slot_id, units, held, booking, partner, booking_ref, decision, made_at${stock ? ", stock" : ""})
  select w.order_id, w.leg, w.attempt, w.channel, w.slot_id, w.units, true, w.booking, w.partner, w.ref, w.decision, w.at${stock ? ", s.holds" : ""}
  from wanted w join changed c on c.i = w.i${stock ? " left join stock_input s on s.i = w.i and s.leg = w.leg and s.attempt = w.attempt" : ""}
  where c.granted`;

/** What attempts take of their channel's stock, hold from then on, or have used: a row each, lines as JSON text. */
const stockInput = (param: number) => `
stock_input as materialized (
  select s.* from json_to_recordset($${param}::json) as s(
    i int, leg int, attempt int, channel text, takes text, holds text, used boolean)
  join cur c on c.i = s.i
), stock_wanted as materialized (
  select s.i, s.channel, l.sku, l.quantity from stock_input s cross join lateral stock_lines(s.takes) l
)`;

const consequences = `
journaled as (
  insert into journal (order_id, version, lane, at, actor, source, entries)
  select id, version, lane, at, actor, source, entries from changed where entries is not null
), sent as (
  insert into outbox (lane, subject, version, client_id, doc, events)
  select lane, id, version, client_id, doc, events from changed where events is not null
)`;

// One row, whatever the batch's size (a row an order costs 5 µs each to read): whether the owner's guard held, the orders
// that became their granted future, those that became the other, and the slots that were touched.
const answer = (stock: boolean) => `
select exists (select from me) as owner,
  (select string_agg(i::text, ',') filter (where granted) from decided) as granted,
  (select string_agg(i::text, ',') filter (where not granted) from decided) as base,
  (select json_agg(json_build_object('slotId', slot_id, 'reserved', reserved, 'sellable', sellable)) from slots_now) as slots${stock ? ", (select json_agg(json_build_object('channelId', channel_id, 'sku', sku, 'free', free)) from stock_now) as stock" : ""}`;

const insertWants = 3 + insertColumns.length;

/** Orders, then the units that they want. Keys that exist already are left out of the answer: replays (I6). */
const insertSql = (stock: boolean) =>
  `with ${orderInput(insertColumns)},
keys as (
  insert into idempotency_keys (key_hash, order_id, body_hash)
  select key, id, body from input where exists (select from me) order by key
  on conflict do nothing returning order_id
), cur as materialized (
  select input.* from input join keys k on k.order_id = input.id
), ${attemptInput("wanted", insertWants)},
released as (select null::text as slot_id, 0 as units where false),
${
  stock
    ? `${stockInput(insertWants + attemptColumns.length)},
stock_released as (select null::text as channel, null::text as sku, 0 as quantity, 0 as used where false),
${grantUnitsAndStock}`
    : grantUnits
}, ${decidedFutures},
stored as (
  insert into orders (id, lane, version, status, client_id, owner_id, deadline_at, created_at, updated_at, doc, state, saga)
  select id, lane, version, status, client_id, case when owned then $1 end, deadline, at, at, doc, state, saga from changed
), contacts as (
  insert into order_contacts (order_id, doc) select id, contact from changed where contact is not null
), ${newAttempts(stock)}), ${consequences}${answer(stock)}`;

export const insertOrders = statement("orders_insert", insertSql(false));
export const insertOrdersWithStock = statement("orders_insert_with_stock", insertSql(true));

const advanceWants = 3 + advanceColumns.length;
const advanceChanges = advanceWants + attemptColumns.length;
const advanceReports = advanceChanges + attemptColumns.length;

// What goes back to the shelf with its attempt, and what has left it for good.
const stockReleased = `
stock_released as materialized (
  select r.channel_id as channel, l.sku, l.quantity, 0 as used from released_attempts r cross join lateral stock_lines(r.stock) l
  union all
  select u.channel_id, l.sku, l.quantity, l.quantity from changed_attempts u cross join lateral stock_lines(u.used) l
),`;

/**
 * Orders, the units that they want, changes of their attempts, reports and changed documents (JSON: few). A row passes when the order is at
 * the revision expected and, unless it is an intent (cancel, report, timer: anyone's), owned by this process (I8).
 */
const advanceSql = (stock: boolean) =>
  `with ${orderInput(advanceColumns)},
new_docs as materialized (
  select * from json_to_recordset($${advanceReports + 1}::json) as r(i int, doc text, contact text)
), cur as materialized (
  select input.*, o.lane, o.client_id, coalesce(d.doc, o.doc) as doc, d.contact
  from input join orders o on o.id = input.id left join new_docs d on d.i = input.i
  where o.revision = input.expected and (input.intent or o.owner_id = $1) and exists (select from me)
  order by o.id for update of o
), ${attemptInput("wanted", advanceWants)}, ${attemptInput("attempt_changes", advanceChanges)},${stock ? `${stockInput(advanceReports + 2)},` : ""}
released_attempts as (
  update attempts a set held = false, booking = x.booking
  from attempt_changes x
  where x.release and a.order_id = x.order_id and a.leg = x.leg and a.attempt = x.attempt and a.held
  returning a.slot_id, a.units${stock ? ", a.channel_id, a.stock" : ""}
), released as materialized (select slot_id, units from released_attempts),
changed_attempts as (
  update attempts a set booking = x.booking, booking_ref = coalesce(x.ref, a.booking_ref), partner = coalesce(x.partner, a.partner)
    ${stock ? ", stock = case when s.used then null else a.stock end" : ""}
  from attempt_changes x ${stock ? "left join stock_input s on s.i = x.i and s.leg = x.leg and s.attempt = x.attempt" : ""}
  where not x.release and a.order_id = x.order_id and a.leg = x.leg and a.attempt = x.attempt
  ${stock ? "returning a.channel_id, case when s.used then old.stock end as used" : ""}
), ${stock ? stockReleased : ""} ${stock ? grantUnitsAndStock : grantUnits}, ${decidedFutures},
stored as (
  update orders o set version = c.version, revision = o.revision + 1, status = c.status, owner_id = case when c.owned then $1 end,
    deadline_at = c.deadline, updated_at = c.at, state = c.state, saga = c.saga, doc = c.doc
  from changed c where o.id = c.id
), touched as (
  update orders o set revision = o.revision + 1
  from cur c where o.id = c.id and exists (select from attempt_changes x where x.i = c.i)
    and not exists (select from changed k where k.i = c.i)
), contacts as (
  insert into order_contacts (order_id, doc) select id, contact from changed where contact is not null
  on conflict (order_id) do update set doc = excluded.doc
), ${newAttempts(stock)} and w.booking <> 'adjust'
), adjusted as (
  update attempts a set units = a.units + w.units${stock ? ", stock = coalesce(s.holds, a.stock)" : ""}
  from wanted w join changed c on c.i = w.i${stock ? " left join stock_input s on s.i = w.i and s.leg = w.leg and s.attempt = w.attempt" : ""}
  where c.granted and w.booking = 'adjust' and a.order_id = w.order_id and a.leg = w.leg and a.attempt = w.attempt
), reported as (
  insert into channel_callbacks (channel_id, callback_id, order_id, leg, attempt, kind, doc, outcome)
  select r.channel, r.callback, r.order_id, r.leg, r.attempt, r.kind, r.doc, r.outcome
  from json_to_recordset($${advanceReports}::json) as r(
    i int, channel text, callback text, order_id text, leg smallint, attempt smallint, kind text, doc json, outcome text)
  where exists (select from cur c where c.i = r.i)
  on conflict (channel_id, callback_id) do update set outcome = excluded.outcome where channel_callbacks.outcome = 'kept'
), ${consequences}${answer(stock)}`;

export const advanceOrders = statement("orders_advance", advanceSql(false));
export const advanceOrdersWithStock = statement("orders_advance_with_stock", advanceSql(true));

const storedColumns = `o.id, o.lane, o.revision, o.client_id as "clientId", o.owner_id as "ownerId",
  o.deadline_at as "deadlineAt", o.doc::json, o.state::json, o.saga::json`;

const attemptsOfOrder = `(
  select json_agg(json_build_object('leg', a.leg, 'attempt', a.attempt, 'channelId', a.channel_id, 'slotId', a.slot_id,
    'units', a.units, 'held', a.held, 'booking', a.booking, 'partner', a.partner, 'stock', a.stock::json) order by a.leg, a.attempt)
  from attempts a where a.order_id = o.id)`;

/** Whole orders, as the saga needs them. */
export const selectOrders = statement(
  "orders_select",
  `select ${storedColumns}, coalesce(${attemptsOfOrder}, '[]') as attempts, p.doc::json as personal
   from orders o left join order_contacts p on p.order_id = o.id where o.id = any ($1)`,
);

export const selectViews = statement(
  "orders_views",
  `select o.id, o.client_id as "clientId", o.doc::json, o.state::json from orders o where o.id = any ($1)`,
);

export const selectContacts = statement(
  "order_contacts_select",
  "select order_id as id, doc::json from order_contacts where order_id = any ($1)",
);

export const selectDecisions = statement(
  "decisions_select",
  `select o.id, o.saga::json -> 'decision' as last, coalesce((
     select json_agg(json_build_object('leg', a.leg, 'attempt', a.attempt, 'at', a.made_at, 'channelId', a.channel_id,
       'booking', a.booking, 'decision', a.decision::json) order by a.made_at desc, a.attempt desc)
     from attempts a where a.order_id = o.id), '[]') as attempts
   from orders o where o.id = any ($1)`,
);

export const selectKeys = statement(
  "idempotency_keys_select",
  `select key_hash as key, order_id as "orderId", body_hash as body from idempotency_keys where key_hash = any ($1::uuid[])`,
);

export const selectOwned = statement(
  "orders_owned_select",
  "select id from orders where owner_id = $1 and id > $2 order by id limit $3",
);

export const selectDue = statement(
  "orders_due_select",
  "select id from orders where deadline_at <= $1 order by deadline_at, id limit $2",
);

export const selectKeptCallbacks = statement(
  "callbacks_kept_select",
  `select channel_id as "channelId", callback_id as "callbackId", order_id as "orderId", leg, attempt, kind, doc
   from channel_callbacks where order_id = any ($1) and outcome = 'kept' order by received_at, callback_id`,
);

/** Kept reports whose booking must have been answered by now: the commit that should have applied them lost its process. */
export const selectStaleKept = statement(
  "callbacks_stale_select",
  `select distinct order_id as id from channel_callbacks
   where outcome = 'kept' and received_at < now() - $1 * interval '1 ms' limit $2`,
);

export const selectKnownCallbacks = statement(
  "callbacks_known_select",
  `select k.channel as "channelId", k.callback as "callbackId", c.outcome
   from json_to_recordset($1::json) as k(channel text, callback text)
   join channel_callbacks c on c.channel_id = k.channel and c.callback_id = k.callback`,
);
