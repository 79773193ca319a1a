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
export const grantUnits = `
locked as materialized (
  select a.slot_id, a.sellable, a.overcommitted, a.reserved, a.sellable - a.reserved as free
  from allotments a
  where a.shard = 0 and a.slot_id in (select slot_id from wanted union select slot_id from released)
  order by a.slot_id
  for update
), demand as (
  select w.i, w.units, l.free,
    sum(w.units) over (partition by w.slot_id order by w.i, w.leg rows unbounded preceding) as running
  from wanted w left join locked l on l.slot_id = w.slot_id
), lacking as (
  select distinct i from demand where free is null or (running > free and units > 0)
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
)`;
