import { type Database, statement } from "../platform/database.ts";
import type { DifferenceFilter, DifferenceView, Reconciliation } from "./api.ts";
import type { Difference, OurAttempt } from "./compare.ts";

/** Owns the tables reconciliation and booking_differences; reads attempts and orders. */

/** One address whose bookings are compared: a channel, or a member of a network (else empty). */
export interface Address {
  channelId: string;
  partner: string;
}

/** Where its comparison goes on. */
export interface Place extends Address {
  /** In the channel's list; null: at its beginning. */
  listCursor: string | null;
  /** In our bookings, by order id. */
  orderCursor: string;
}

// A claim is a row whose time is put forward: whoever does it has the address for this round, and a crash costs one.
const claimDue = statement(
  "reconciliation_claim",
  `with added as (
     insert into reconciliation (channel_id, partner)
     select r."channelId", r.partner from json_to_recordset($1::json) as r("channelId" text, partner text)
     on conflict do nothing
   )
   update reconciliation r set due_at = now() + $2 * interval '1 s'
   from (
     select channel_id, partner from reconciliation where due_at <= now()
       and (channel_id, partner) in (
         select k."channelId", k.partner from json_to_recordset($1::json) as k("channelId" text, partner text))
     order by due_at limit $3 for update skip locked
   ) due
   where r.channel_id = due.channel_id and r.partner = due.partner
   returning r.channel_id as "channelId", r.partner, r.list_cursor as "listCursor", r.order_cursor as "orderCursor"`,
);
const savePlace = statement(
  "reconciliation_save",
  "update reconciliation set list_cursor = $3, order_cursor = $4 where channel_id = $1 and partner = $2",
);
const attemptColumns = `format('%s.%s.%s', a.order_id, a.leg, a.attempt) as key, a.order_id as "orderId",
  o.status, a.booking, a.partner`;
const selectByKeys = statement(
  "reconciliation_ours",
  `select ${attemptColumns}
   from (
     select split_part(k, '.', 1) as order_id, split_part(k, '.', 2)::smallint as leg, split_part(k, '.', 3)::smallint as attempt
     from unnest($1::text[]) as k
   ) w
   join attempts a on a.order_id = w.order_id and a.leg = w.leg and a.attempt = w.attempt and a.channel_id = $2
   join orders o on o.id = a.order_id`,
);
// By the slots of today and tomorrow: what is held of a slot is in an index, what a channel has is not.
const selectBooked = statement(
  "reconciliation_booked",
  `select ${attemptColumns}
   from slots s
   join attempts a on a.slot_id = s.id and a.held
   join orders o on o.id = a.order_id
   where s.channel_id = $1 and s.ends_at > now() - interval '6 hours' and s.starts_at < now() + interval '1 day'
     and a.booking = 'booked' and coalesce(a.partner, '') = $2 and a.made_at < now() - interval '1 minute'
     and o.status in ('confirmed', 'preparing', 'ready', 'dispatched', 'stuck') and a.order_id > $3
   order by a.order_id limit $4`,
);
const upsertDifferences = statement(
  "reconciliation_differences",
  `insert into booking_differences (id, channel_id, partner, key, order_id, kind, detail, repair, settled_at)
   select r.id, $1, $2, r.key, r."orderId", r.kind, r.detail, r.repair, case when r.settled then now() end
   from json_to_recordset($3::json) as r(id text, key text, "orderId" text, kind text, detail text, repair text, settled boolean)
   on conflict (channel_id, partner, key, kind) do update
     set detail = excluded.detail, repair = excluded.repair, last_seen_at = now(), settled_at = excluded.settled_at`,
);
const settleGone = statement(
  "reconciliation_settle",
  `update booking_differences set settled_at = now()
   where channel_id = $1 and partner = $2 and key = any ($3) and settled_at is null`,
);
const countOpen = statement(
  "reconciliation_open",
  "select count(*) as open from booking_differences where settled_at is null",
);

export interface ReconciliationStore extends Reconciliation {
  /** Addresses that are due, for this process alone until `everySeconds` later. */
  claim(known: readonly Address[], everySeconds: number, limit: number): Promise<readonly Place[]>;
  save(place: Place): Promise<void>;
  /** Our attempts with these keys at this channel. */
  ours(channelId: string, keys: readonly string[]): Promise<ReadonlyMap<string, OurAttempt>>;
  /** Our firm bookings at an address for food that is still to come, after an order id. */
  booked(place: Place, limit: number): Promise<readonly OurAttempt[]>;
  /** Notes differences; those of `gone` keys are there no more. */
  note(
    at: Address,
    found: readonly (Difference & { id: string; settled: boolean })[],
    gone: readonly string[],
  ): Promise<void>;
  open(): Promise<number>;
}

export function createReconciliationStore(database: Database): ReconciliationStore {
  return {
    claim: (known, everySeconds, limit) =>
      database.run<Place>(claimDue, [JSON.stringify(known), everySeconds, limit]),
    async save({ channelId, partner, listCursor, orderCursor }) {
      await database.run(savePlace, [channelId, partner, listCursor, orderCursor]);
    },
    async ours(channelId, keys) {
      const rows = await database.run<OurAttempt>(selectByKeys, [keys, channelId]);
      return new Map(rows.map((row) => [row.key, row]));
    },
    booked: ({ channelId, partner, orderCursor }, limit) =>
      database.run<OurAttempt>(selectBooked, [channelId, partner, orderCursor, limit]),
    async note({ channelId, partner }, found, gone) {
      if (found.length > 0)
        await database.run(upsertDifferences, [channelId, partner, JSON.stringify(found)]);
      if (gone.length > 0) await database.run(settleGone, [channelId, partner, gone]);
    },
    async open() {
      const [row] = await database.run<{ open: number }>(countOpen);
      return row!.open;
    },
    differences: (filter) => listDifferences(database, filter),
  };
}

const selectDifferences = statement(
  "reconciliation_list",
  `select id, channel_id as "channelId", nullif(partner, '') as partner, key, order_id as "orderId", kind, detail, repair,
     first_seen_at as "firstSeenAt", last_seen_at as "lastSeenAt", settled_at as "settledAt"
   from booking_differences
   where ($1::text is null or channel_id = $1) and ($2 or settled_at is null) and ($3::text is null or id < $3)
   order by id desc limit $4`,
);

async function listDifferences(
  database: Database,
  filter: DifferenceFilter,
): Promise<readonly DifferenceView[]> {
  const { channelId = null, settled, beforeId = null, limit } = filter;
  const rows = await database.run<Omit<DifferenceView, "partner"> & { partner: string | null }>(
    selectDifferences,
    [channelId, settled, beforeId, limit],
  );
  return rows.map(({ partner, ...row }) => (partner === null ? row : { ...row, partner }));
}
