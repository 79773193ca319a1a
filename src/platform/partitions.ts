import type { Clock } from "./clock.ts";
import { type Database, type Executor, sqlState, statement } from "./database.ts";
import { firstOrderIdAt } from "./ids.ts";
import type { Log } from "./log.ts";
import type { Service } from "./service.ts";

const weekMs = 7 * 86_400_000;
const weeksAhead = 2;

/** Monday 1970-01-05, 00:00 UTC: ISO weeks begin on Mondays. */
const firstMondayMs = 4 * 86_400_000;

/** 2,000 s of 5,000 orders a second with five events each; four of them ahead outlast many rounds of `repeatMs`. */
const positionsPerPartition = 50_000_000;
const positionPartitionsAhead = 3;

const repeatMs = 600_000;

// Rows are added by the million and plans don't depend on statistics (database.ts): by default PostgreSQL would look at each
// table again every few seconds while it is young, which took 30 to 100 µs an order.
// And a row of events that is a little over 2 KB is not compressed, which took 8 µs an order.
const upkeep = [
  "toast_tuple_target = 4080",
  "autovacuum_analyze_threshold = 1000000",
  "autovacuum_vacuum_insert_threshold = 1000000",
  "autovacuum_vacuum_threshold = 100000",
].join(", ");

/** A lock that DDL waits for holds up everyone behind it: give up soon and try again. */
const lockTimeoutMs = 2_000;
const lockTries = 5;

/** Tables partitioned by the order's id, with the column that holds it. */
const byOrderId = [
  { table: "orders", column: "id" },
  { table: "order_contacts", column: "order_id" },
  { table: "attempts", column: "order_id" },
  { table: "journal", column: "order_id" },
  { table: "order_views", column: "id" },
] as const;

interface Range {
  table: string;
  column: string;
  partition: string;
  from: string;
  to: string;
}

/** The partitions that must be there: this ISO week and the next two of everything kept by order, and the log's next positions. */
export function wantedPartitions(nowMs: number, nextPosition: number): readonly Range[] {
  const ranges: Range[] = [];
  const thisWeek = Math.floor((nowMs - firstMondayMs) / weekMs);
  for (let week = thisWeek; week <= thisWeek + weeksAhead; week += 1) {
    const startMs = firstMondayMs + week * weekMs;
    const from = quote(firstOrderIdAt(startMs));
    const to = quote(firstOrderIdAt(startMs + weekMs));
    for (const { table, column } of byOrderId) {
      ranges.push({ table, column, partition: `${table}_${isoWeekName(startMs)}`, from, to });
    }
  }
  const first = Math.floor(nextPosition / positionsPerPartition);
  for (let part = first; part <= first + positionPartitionsAhead; part += 1) {
    const from = String(part * positionsPerPartition);
    const to = String((part + 1) * positionsPerPartition);
    const partition = `event_log_${String(part).padStart(6, "0")}`;
    ranges.push({ table: "event_log", column: "position", partition, from, to });
  }
  return ranges;
}

const quote = (id: string): string => `'${id}'`;

/** `2026w48` for a Monday: the ISO week's year is that of its Thursday. */
export function isoWeekName(mondayMs: number): string {
  const thursday = new Date(mondayMs + 3 * 86_400_000);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / weekMs) + 1;
  return `${year}w${String(week).padStart(2, "0")}`;
}

const findPartitions = statement(
  "partitions.find",
  `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = any (array['orders', 'order_contacts', 'attempts', 'journal', 'order_views', 'event_log']::regclass[])`,
);
const readHead = statement("partitions.head", "select next_position as position from event_log_head");

/**
 * Makes the partitions that are missing, default ones included. Idempotent, and safe beside others that do the same and
 * beside traffic. Returns the names of those made now.
 */
export async function ensurePartitions(database: Database, nowMs: number): Promise<readonly string[]> {
  const [head] = await database.run<{ position: number }>(readHead);
  const there = new Set((await database.run<{ name: string }>(findPartitions)).map(({ name }) => name));
  const made: string[] = [];
  for (const table of [...byOrderId.map((each) => each.table), "event_log"]) {
    const partition = `${table}_default`;
    if (there.has(partition)) continue;
    await patiently(database, (tx) =>
      run(tx, `create table if not exists ${partition} partition of ${table} default`),
    );
    made.push(partition);
  }
  for (const range of wantedPartitions(nowMs, head?.position ?? 1)) {
    if (there.has(range.partition)) continue;
    await patiently(database, (tx) => addPartition(tx, range));
    made.push(range.partition);
  }
  return made;
}

/** Rows that came before their partition went to the default one: they move over in the same transaction. */
async function addPartition(tx: Executor, { table, column, partition, from, to }: Range): Promise<void> {
  const [found] = await tx.run<{ there: boolean }>(
    statement("partitions.there", "select to_regclass($1) is not null as there"),
    [partition],
  );
  if (found?.there) return;
  const early = `${column} >= ${from} and ${column} < ${to}`;
  await run(tx, `lock table ${table}_default in access exclusive mode`);
  await run(
    tx,
    `create temporary table early_rows on commit drop as select * from ${table}_default where ${early}`,
  );
  await run(tx, `delete from ${table}_default where ${early}`);
  await run(
    tx,
    `create table ${partition} partition of ${table} for values from (${from}) to (${to}) with (${upkeep})`,
  );
  await run(tx, `insert into ${table} overriding system value select * from early_rows`);
}

// DDL is not worth a prepared statement: an empty name leaves none behind.
const run = (tx: Executor, text: string) => tx.run(statement("", text));

async function patiently(database: Database, work: (tx: Executor) => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await database.transaction(async (tx) => {
        await run(tx, `set local lock_timeout = ${lockTimeoutMs}`);
        await run(tx, "select pg_advisory_xact_lock(7046002)");
        await work(tx);
      });
      return;
    } catch (error) {
      if (sqlState(error) !== "55P03" || tries === lockTries) throw error;
    }
  }
}

/** Keeps partitions ahead of time while the program runs. */
export function createPartitionKeeper(options: { database: Database; clock: Clock; log: Log }): Service {
  const { database, clock, log } = options;
  let stopped = true;
  let forget: () => void = () => undefined;
  let working: Promise<void> = Promise.resolve();

  const schedule = () => {
    forget = clock.after(repeatMs, () => {
      working = ensurePartitions(database, clock.nowMs()).then(
        (made) => {
          if (made.length > 0) log.info({ made }, "partitions made");
        },
        (error: unknown) => log.error({ err: error }, "partitions could not be made; trying again later"),
      );
      void working.finally(() => {
        if (!stopped) schedule();
      });
    });
  };

  return {
    name: "partitions",
    async start() {
      stopped = false;
      await ensurePartitions(database, clock.nowMs());
      schedule();
    },
    async stop() {
      stopped = true;
      forget();
      await working;
    },
  };
}
