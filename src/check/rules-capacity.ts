import { type RuleSet, type WholeRule, wholeRule } from "./rule.ts";

/** I2: what is reserved is what is held, within what may be sold. */
export const capacityRules: readonly WholeRule[] = [
  wholeRule(
    { invariant: "I2", name: "0 ≤ reserved ≤ sellable + overcommitted, in each allotment", of: "allotments" },
    "select count(*) as count from allotments",
    `select slot_id as subject, format('shard %s: %s reserved of %s + %s', shard, reserved, sellable, overcommitted) as what
     from allotments where reserved < 0 or reserved > sellable + overcommitted
     limit 1000`,
  ),
  wholeRule(
    {
      invariant: "I2",
      name: "what a slot has reserved is the sum of the units that attempts hold",
      of: "slots",
    },
    "select count(*) as count from slots",
    `select slot_id as subject, format('%s reserved, %s held', coalesce(a.units, 0), coalesce(h.units, 0)) as what
     from (select slot_id, sum(reserved) as units from allotments group by slot_id) a
     full join (select slot_id, sum(units) as units from attempts where held group by slot_id) h using (slot_id)
     where coalesce(a.units, 0) <> coalesce(h.units, 0)
     limit 1000`,
  ),
  wholeRule(
    { invariant: "I2", name: "a slot's allotments add up to its capacity with its margin", of: "slots" },
    "select count(*) as count from slots",
    `select s.id as subject, format('capacity %s with margin %s, allotments %s', s.capacity, s.margin, coalesce(a.sellable, 0)) as what
     from slots s left join (select slot_id, sum(sellable) as sellable from allotments group by slot_id) a on a.slot_id = s.id
     where s.capacity + s.margin <> coalesce(a.sellable, 0)
     limit 1000`,
  ),
  wholeRule(
    { invariant: "I2", name: "0 ≤ reserved ≤ sellable + overcommitted, for each stocked SKU", of: "SKUs" },
    "select count(*) as count from stock",
    `select channel_id as subject, format('%s: %s reserved of %s less %s kept back + %s', sku, reserved, quantity, safety, overcommitted) as what
     from stock where reserved < 0 or reserved > greatest(quantity - safety, 0) + overcommitted
     limit 1000`,
  ),
  wholeRule(
    {
      invariant: "I2",
      name: "what a SKU has reserved is the sum of what attempts hold of it",
      of: "SKUs",
    },
    "select count(*) as count from stock",
    `select channel_id as subject, format('%s: %s reserved, %s held', sku, coalesce(s.reserved, 0), coalesce(h.quantity, 0)) as what
     from (select channel_id, sku, reserved from stock) s
     full join (
       select a.channel_id, l.sku, sum(l.quantity) as quantity from attempts a cross join lateral stock_lines(a.stock) l
       where a.held and a.stock is not null group by a.channel_id, l.sku
     ) h using (channel_id, sku)
     where coalesce(s.reserved, 0) <> coalesce(h.quantity, 0)
     limit 1000`,
  ),
];

/** I3, I4 and the part of I2 that is about one order: attempts, legs and slots fit together. */
export const bookingRules: RuleSet = {
  rules: [
    {
      invariant: "I2",
      name: "food that has left is reserved no more",
      of: "orders",
      sql: `
      select o.id as subject, format('%s, yet leg %s attempt %s has %s', o.status, a.leg, a.attempt, a.stock) as what
      from orders o join attempts a on a.order_id = o.id
      where o.id > $1 and o.id <= $2 and a.order_id > $1 and a.order_id <= $2 and a.held and a.stock is not null
        and o.status in ('dispatched', 'delivered', 'undelivered')`,
    },
    {
      invariant: "I2",
      name: "an attempt takes units of an existing slot of its own channel",
      of: "orders",
      sql: `
      select a.order_id as subject, format('leg %s attempt %s: slot %s is of %s, not of %s', a.leg, a.attempt, a.slot_id,
        coalesce(s.channel_id, 'nobody'), a.channel_id) as what
      from attempts a left join slots s on s.id = a.slot_id
      where a.order_id > $1 and a.order_id <= $2 and s.channel_id is distinct from a.channel_id`,
    },
    {
      invariant: "I3",
      name: "a failed or cancelled order holds no units and no booking",
      of: "orders",
      sql: `
      select o.id as subject, format('%s, yet leg %s attempt %s is %s%s', o.status, a.leg, a.attempt, a.booking,
        case when a.held then ' and holds units' else '' end) as what
      from orders o join attempts a on a.order_id = o.id
      where o.id > $1 and o.id <= $2 and a.order_id > $1 and a.order_id <= $2
        and o.status in ('failed', 'cancelled') and (a.held or a.booking in ('booked', 'pending'))`,
    },
    {
      invariant: "I4",
      name: "a leg has at most one booking that is firm or may become so",
      of: "orders",
      // A pending attempt may have been taken by its channel: with a booked one beside it that would be two.
      sql: `
      select order_id as subject, format('leg %s: %s', leg, string_agg(format('attempt %s %s', attempt, booking), ', ' order by attempt)) as what
      from attempts
      where order_id > $1 and order_id <= $2 and (booking = 'booked' or (booking = 'pending' and held))
      group by order_id, leg having count(*) > 1`,
    },
    {
      invariant: "I4",
      name: "an order that seeks a channel stands on none, unless it is leaving one",
      of: "orders",
      sql: `
      select o.id as subject, format('%s, yet leg %s attempt %s holds units', o.status, a.leg, a.attempt) as what
      from orders o join attempts a on a.order_id = o.id
      where o.id > $1 and o.id <= $2 and a.order_id > $1 and a.order_id <= $2 and a.held
        and (o.status = 'received' or (o.status = 'rerouting' and o.saga::json->'before' is null))`,
    },
    {
      invariant: "I4",
      name: "room is kept for an order only while it moves, or while that is undone",
      of: "orders",
      sql: `
      select o.id as subject, format('%s, yet leg %s attempt %s is %s', o.status, a.leg, a.attempt, a.booking) as what
      from orders o join attempts a on a.order_id = o.id
      where o.id > $1 and o.id <= $2 and a.order_id > $1 and a.order_id <= $2 and a.booking in ('holding', 'held')
        and o.status not in ('cancelling', 'failing', 'stuck')
        and not (o.status = 'rerouting' and o.saga::json->'move' is not null)`,
    },
    {
      invariant: "I4",
      name: "an order that is confirmed or further has one booked attempt per leg, and it holds its units",
      of: "orders",
      sql: `
      select o.id as subject, format('%s, leg %s attempt %s is %s', o.status, l.leg, l.attempt,
        coalesce(a.booking || case when a.held then '' else ' and holds nothing' end, 'missing')) as what
      from orders o
      cross join lateral json_to_recordset(case when json_array_length(o.state::json->'legs') > 0 then o.state::json->'legs' else '[{}]' end)
        as l(leg int, attempt int)
      left join attempts a on a.order_id = o.id and a.leg = l.leg and a.attempt = l.attempt
      where o.id > $1 and o.id <= $2 and o.status in ('confirmed', 'preparing', 'ready', 'dispatched', 'delivered')
        and (a.booking is distinct from 'booked' or not a.held)`,
    },
    {
      invariant: "I4",
      name: "the legs that an order shows are its attempts",
      of: "orders",
      sql: `
      select o.id as subject, format('leg %s attempt %s at %s %s, in attempts %s %s', l.leg, l.attempt, l.channel->>'id',
        l."bookingRef", coalesce(a.channel_id, 'missing'), a.booking_ref) as what
      from orders o
      cross join lateral json_to_recordset(o.state::json->'legs') as l(leg int, attempt int, channel json, "bookingRef" text)
      left join attempts a on a.order_id = o.id and a.leg = l.leg and a.attempt = l.attempt
      where o.id > $1 and o.id <= $2 and (a.channel_id is distinct from l.channel->>'id'
        or (l."bookingRef" is not null and a.booking_ref is distinct from l."bookingRef"))`,
    },
    {
      invariant: "I4",
      name: "every attempt belongs to an order",
      of: "orders",
      sql: `
      select distinct a.order_id as subject, 'attempts without their order' as what
      from attempts a left join orders o on o.id = a.order_id
      where a.order_id > $1 and a.order_id <= $2 and o.id is null`,
    },
  ],
};
