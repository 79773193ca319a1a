/**
 * Taking and giving back units, as a fragment of the one statement that commits orders: all or nothing per order, rows
 * locked in slot order, decided under the lock. What a stale ranking promised is corrected here, never oversold (I2).
 *
 * Expects the CTEs `cur` (orders that passed their guard: i, takes), `wanted` (i, leg, slot_id, units) and `released`
 * (slot_id, units); gives `decided` (cur and granted) and `slots_now` (slot_id, reserved, sellable).
 * The update writes what was read under the lock: PostgreSQL holds a row that was changed meanwhile against its constraints in the
 * statement's own snapshot first, so `reserved + units` of the table's row failed now and then for units that were there.
 * Units may be less than none: an attempt that gives some back. Orders are served in the order of `i`. An order that is refused still counts in `running`: it errs on selling less.
 */
const granting = (stock: { locked: string; lacking: string; moved: string }) => `
locked as materialized (
  select a.slot_id, a.sellable, a.overcommitted, a.reserved, a.sellable - a.reserved as free
  from allotments a
  where a.shard = 0 and a.slot_id in (select slot_id from wanted union select slot_id from released)
  order by a.slot_id
  for update
), ${stock.locked}demand as (
  select w.i, w.units, l.free,
    sum(w.units) over (partition by w.slot_id order by w.i, w.leg rows unbounded preceding) as running
  from wanted w left join locked l on l.slot_id = w.slot_id
), lacking as (
  select distinct i from demand where free is null or (running > free and units > 0)${stock.lacking}
), decided as materialized (
  select c.*, c.takes and not exists (select from lacking l where l.i = c.i) as granted from cur c
), delta as (
  select slot_id, sum(units)::int as units from (
    select w.slot_id, w.units from wanted w join decided d on d.i = w.i where d.granted
    union all
    select slot_id, -units from released
  ) moved group by slot_id
), slots_now as (
  update allotments a set reserved = l.reserved + d.units, sellable = l.sellable, overcommitted = l.overcommitted
  from delta d join locked l on l.slot_id = d.slot_id where a.slot_id = d.slot_id and a.shard = 0
  returning a.slot_id, a.reserved, a.sellable
)${stock.moved}`;

export const grantUnits = granting({ locked: "", lacking: "", moved: "" });

/**
 * The same where some of the orders want of a channel's stock, or give it back: all of an order's units and lines, or none. Expects also
 * `stock_wanted` (i, channel, sku, quantity; less than none gives back) and `stock_released` (channel, sku, quantity, used: what has left
 * for good); gives `stock_now` (channel_id, sku, free). Stock rows are locked after slots, in the order of their key.
 */
export const grantUnitsAndStock = granting({
  locked: `locked_stock as materialized (
  select s.channel_id, s.sku, greatest(s.quantity - s.safety, 0) - s.reserved as free
  from stock s
  where (s.channel_id, s.sku) in (select channel, sku from stock_wanted union select channel, sku from stock_released)
    and (select count(*) from locked) >= 0
  order by s.channel_id, s.sku
  for update
), stock_demand as (
  select w.i, w.quantity, l.free,
    sum(w.quantity) over (partition by w.channel, w.sku order by w.i rows unbounded preceding) as running
  from stock_wanted w left join locked_stock l on l.channel_id = w.channel and l.sku = w.sku
), `,
  lacking: `
  union select i from stock_demand where free is null or (running > free and quantity > 0)`,
  moved: `, stock_delta as (
  select channel, sku, sum(reserve)::int as reserve, sum(used)::int as used from (
    select w.channel, w.sku, w.quantity as reserve, 0 as used from stock_wanted w join decided d on d.i = w.i where d.granted
    union all
    select channel, sku, -quantity, used from stock_released
  ) moved group by channel, sku
), stock_moved as (
  update stock s set reserved = s.reserved + d.reserve, quantity = greatest(0, s.quantity - d.used)
  from stock_delta d where s.channel_id = d.channel and s.sku = d.sku
  returning s.channel_id, s.sku, greatest(s.quantity - s.safety, 0) - s.reserved as free
), stock_now as (
  select l.channel_id, l.sku, coalesce(m.free, l.free) as free
  from locked_stock l left join stock_moved m on m.channel_id = l.channel_id and m.sku = l.sku
)`,
});
