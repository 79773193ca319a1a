import { type Database, statement } from "../platform/database.ts";
import { firstOrderIdAt } from "../platform/ids.ts";
import type { OrderDoc, OrderState } from "./order.ts";

/** Reads of many stored orders, by time: bounded, and no part of an order's way. */

/** An order as it was recorded, with the units that it holds or used. */
export interface RecordedOrder {
  id: string;
  clientId: string;
  doc: OrderDoc;
  state: OrderState;
  held: readonly { slotId: string; units: number }[];
}

// Cancelled orders gave their room to others, so they are no part of what a policy can be judged by.
const selectRecorded = statement(
  "orders_recorded",
  `select o.id, o.client_id as "clientId", o.doc::json, o.state::json, coalesce((
     select json_agg(json_build_object('slotId', a.slot_id, 'units', a.units))
     from attempts a where a.order_id = o.id and a.held), '[]') as held
   from orders o
   where o.id >= $1 and o.id < $2 and o.status not in ('cancelling', 'cancelled') and ($4::text is null or o.client_id = $4)
   order by o.id limit $3`,
);

const pageOrders = 500;

export interface RecordedRange {
  fromMs: number;
  toMs: number;
  /** null: all clients'. */
  clientId: string | null;
}

/** Orders that were placed in the range and not cancelled, oldest first, a page at a time. */
export async function readRecorded(
  database: Database,
  { fromMs, toMs, clientId }: RecordedRange,
  limit: number,
): Promise<RecordedOrder[]> {
  const found: RecordedOrder[] = [];
  const until = firstOrderIdAt(toMs);
  for (let from = firstOrderIdAt(fromMs); found.length < limit; ) {
    const wanted = Math.min(pageOrders, limit - found.length);
    const page = await database.run<RecordedOrder>(selectRecorded, [from, until, wanted, clientId]);
    found.push(...page);
    if (page.length < wanted) break;
    from = `${page.at(-1)!.id}0`; // the next id there can be: ids are of one length
  }
  return found;
}

/** What became of the orders of one version of a policy, in one currency. */
export interface ResultRow {
  /** `<id>@<version>` */
  policy: string;
  currency: string;
  orders: number;
  confirmed: number;
  failed: number;
  cancelled: number;
  delivered: number;
  onTime: number;
  undelivered: number;
  costMinor: number;
  priced: number;
  promiseMinutes: number;
}

// An order goes by the policy of its last attempt, or of the last routing when it has none. Row by row, nothing is materialized: wide
// rows would spill to disk. (20,000 orders: 73 µs of CPU each)
const selectResults = statement(
  "policy_results",
  `select policy, currency, count(*)::int as orders, (count(*) filter (where booked))::int as confirmed,
     (count(*) filter (where status in ('failing', 'failed')))::int as failed,
     (count(*) filter (where status in ('cancelling', 'cancelled')))::int as cancelled,
     (count(*) filter (where status = 'delivered'))::int as delivered,
     (count(*) filter (where status = 'delivered' and updated_at <= promised_end))::int as "onTime",
     (count(*) filter (where status = 'undelivered'))::int as undelivered,
     coalesce(sum(cost), 0)::float8 as "costMinor", count(cost)::int as priced,
     coalesce(sum(extract(epoch from promised_start
       - greatest(created_at, (delivery -> 'window' ->> 'start')::timestamptz)) / 60), 0)::float8 as "promiseMinutes"
   from (
     select o.status, o.created_at, o.updated_at, doc.currency, doc.delivery, legs.*, coalesce(a.booked, false) as booked,
       coalesce(a.policy, o.saga::json -> 'decision' ->> 'policy') as policy
     from (select * from orders where id >= $1 and id < $2 order by id desc limit $3) o
     left join lateral (
       select (array_agg(decision::json ->> 'policy' order by made_at desc, attempt desc))[1] as policy,
         bool_or(booking_ref is not null) as booked
       from attempts where order_id = o.id
     ) a on true
     cross join lateral json_to_record(o.doc::json) as doc(currency text, delivery json)
     cross join lateral (
       select sum((leg ->> 'costMinor')::bigint) as cost, min((leg -> 'promised' ->> 'start')::timestamptz) as promised_start,
         max((leg -> 'promised' ->> 'end')::timestamptz) as promised_end
       from json_array_elements(o.state::json -> 'legs') leg
     ) legs
   ) d
   where split_part(policy, '@', 1) = any ($4)
   group by policy, currency order by policy, currency`,
);

const countOrders = statement(
  "orders_count_between",
  "select count(*)::int as count from (select from orders where id >= $1 and id < $2 limit $3) o",
);

/** Results of these policies over the newest `maxOrders` orders of the range; `limited`: there were more. */
export async function readResults(
  database: Database,
  { fromMs, toMs }: Pick<RecordedRange, "fromMs" | "toMs">,
  policyIds: readonly string[],
  maxOrders: number,
): Promise<{ rows: readonly ResultRow[]; limited: boolean }> {
  const range = [firstOrderIdAt(fromMs), firstOrderIdAt(toMs)];
  const [rows, [counted]] = await Promise.all([
    database.run<ResultRow>(selectResults, [...range, maxOrders, policyIds]),
    database.run<{ count: number }>(countOrders, [...range, maxOrders + 1]),
  ]);
  return { rows, limited: counted!.count > maxOrders };
}
