import { textColumn } from "../platform/columns.ts";
import { type Database, type Executor, statement } from "../platform/database.ts";
import type { Stored } from "./report.ts";
import { emptyTally, type Tally } from "./tally.ts";

/** Owns channel_performance. Tallies are JSON that only this writes and reads whole. */

interface Row {
  id: string;
  orders: Tally | null;
  calls: Tally | null;
  updatedAt: string;
}

const columns = `channel_id as id, orders::json, calls::json, updated_at as "updatedAt"`;

const beginAtZero = statement(
  "performance_begin",
  "insert into bus_consumers (name, position) values ($1, 0) on conflict do nothing",
);
const readPlace = statement(
  "performance_place",
  `select (select position from bus_consumers where name = $1) as position,
     (select json_object_agg(channel_id, orders::json) from channel_performance where orders is not null) as tallies`,
);

/** Where the consumer is, and what it had tallied by then: one snapshot. */
export async function readTallies(
  database: Executor,
  consumer: string,
): Promise<{ position: number; tallies: Map<string, Tally> }> {
  await database.run(beginAtZero, [consumer]);
  const [row] = await database.run<{ position: number; tallies: Record<string, Tally> | null }>(readPlace, [
    consumer,
  ]);
  return { position: row!.position, tallies: new Map(Object.entries(row!.tallies ?? {})) };
}

// One statement, so one commit; the position is the guard. As with views nothing waits for the disk: after a crash both
// are a little older, and the bus still has what came after.
const writeOrders = statement(
  "performance_write",
  `with moved as (
     update bus_consumers set position = $3, updated_at = now() where name = $1 and position = $2 returning 1
   ), relaxed as materialized (
     select set_config('synchronous_commit', 'off', true) from moved
   ), written as (
     insert into channel_performance (channel_id, orders, updated_at)
     select t.id, t.orders, now() from relaxed, unnest($4::text[], $5::text[]) as t(id, orders) order by t.id
     on conflict (channel_id) do update set orders = excluded.orders, updated_at = excluded.updated_at
   )
   select count(*) as moved from relaxed`,
);

/** Writes tallies and moves the consumer on, in one transaction. False: it is not at `from`; nothing was written. */
export async function writeTallies(
  database: Executor,
  consumer: string,
  tallies: readonly (readonly [id: string, tally: Tally])[],
  from: number,
  to: number,
): Promise<boolean> {
  const [answer] = await database.run<{ moved: number }>(writeOrders, [
    consumer,
    from,
    to,
    textColumn(tallies.map(([id]) => id)),
    textColumn(tallies.map(([, tally]) => JSON.stringify(tally))),
  ]);
  return answer?.moved === 1;
}

const forget = statement("performance_forget", "update channel_performance set orders = null");
const rewind = statement(
  "performance_rewind",
  `insert into bus_consumers (name, position) values ($1, 0)
   on conflict (name) do update set position = 0, updated_at = now()`,
);

/** Throws away what was measured of orders and has it measured anew from the bus's first event. A running consumer notices. */
export function rebuildTallies(database: Database, consumer: string): Promise<void> {
  return database.transaction(async (tx) => {
    // The position first: as a consumer at work locks them.
    await tx.run(rewind, [consumer]);
    await tx.run(forget, []);
  });
}

const addMissing = statement(
  "performance_calls_begin",
  `insert into channel_performance (channel_id) select unnest($1::text[]) order by 1 on conflict do nothing`,
);
const lockCalls = statement(
  "performance_calls_lock",
  `select ${columns} from channel_performance where channel_id = any ($1) order by channel_id for update`,
);
const writeCalls = statement(
  "performance_calls_write",
  `update channel_performance p set calls = t.calls, updated_at = now()
   from unnest($1::text[], $2::text[]) as t(id, calls) where p.channel_id = t.id`,
);

/** Has `change` add to the calls of these channels, under their locks: several processes add to the same ones. */
export function changeCalls(
  database: Database,
  ids: readonly string[],
  change: (id: string, tally: Tally) => void,
): Promise<void> {
  return database.transaction(async (tx) => {
    await tx.run(addMissing, [ids]);
    const rows = await tx.run<Row>(lockCalls, [ids]);
    const tallies = rows.map(({ id, calls }) => {
      const tally = calls ?? emptyTally();
      change(id, tally);
      return JSON.stringify(tally);
    });
    await tx.run(writeCalls, [rows.map(({ id }) => id), tallies]);
  });
}

const selectChanged = statement(
  "performance_changed",
  `select ${columns} from channel_performance where updated_at > $1::timestamptz - interval '10 seconds'`,
);
const selectOne = statement(
  "performance_one",
  `select ${columns} from channel_performance where channel_id = $1`,
);

const toStored = ({ orders, calls }: Pick<Row, "orders" | "calls">): Stored => ({
  orders: orders ?? emptyTally(),
  calls: calls ?? emptyTally(),
});

/**
 * What was written since `since` (RFC 3339) and the ten seconds before: a transaction that began earlier may have ended later.
 * `until` is what to ask for next.
 */
export async function readChanged(
  database: Executor,
  since: string,
): Promise<{ stored: Map<string, Stored>; until: string }> {
  const rows = await database.run<Row>(selectChanged, [since]);
  const until = [since, ...rows.map(({ updatedAt }) => updatedAt)].sort().at(-1)!;
  return { stored: new Map(rows.map((row) => [row.id, toStored(row)])), until };
}

export async function readOne(database: Executor, id: string): Promise<Stored> {
  const [row] = await database.run<Row>(selectOne, [id]);
  return toStored(row ?? { orders: null, calls: null });
}
