import { type Database, openDatabase, type Statement, statement } from "../../src/platform/database.ts";
import { migrate } from "../../src/platform/migrate.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { emptyDatabase } from "../support/postgres.ts";

/**
 * A real PostgreSQL on virtual time: `now()` finds ours before PostgreSQL's own. One connection runs one statement after the
 * other; what runs concurrently in truth comes here in some order, which the schedule decides.
 */
export interface VirtualDatabase {
  /** For what the simulation itself asks, at the time of the last statement. */
  readonly database: Database;
  /** Runs it at this time. */
  runAt<Row>(nowMs: number, query: Statement, params?: readonly unknown[]): Promise<Row[]>;
  /** As it was at first. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

const setNow = statement("simulation_now", "select set_config('sim.now', $1, false)");

const virtualNow = (startMs: number): string => `
  create schema sim;
  create function sim.now() returns timestamptz language sql stable as $$ select current_setting('sim.now')::timestamptz $$;
  do $$ begin
    execute format('alter database %I set search_path = sim, pg_catalog', current_database());
    execute format('alter database %I set "sim.now" = ${quote(new Date(startMs).toISOString())}', current_database());
  end $$`;
const quote = (text: string) => `''${text}''`;

/** Rows come in the order that the statement asks for; where it asks for none, in one that no page of the disk decides. */
const inOneOrder = /order by[^)]*$/;
const byText = ([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number =>
  one < other ? -1 : 1;

/** Says now(), or may by a column's default. */
const usesNow = /now\(\)|insert into/;

/** Tables with rows of their own from the start. */
const furniture = `
  insert into lanes (lane) select generate_series(0, 63);
  insert into event_log_head default values`;

export async function openVirtualDatabase(startMs: number): Promise<VirtualDatabase> {
  const { url, close } = await emptyDatabase(virtualNow(startMs));
  await migrate(url);
  const database: Database = openDatabase(url, { connections: 1, application: "uoop-simulation" });
  await ensurePartitions(database, startMs);
  const plain = (text: string) => database.run<{ name: string }>(statement("", text));
  const tables = (
    await plain(
      "select relname as name from pg_class where relnamespace = 'sim'::regnamespace and relkind in ('r', 'p') and not relispartition and relname <> 'schema_migrations' order by 1",
    )
  ).map(({ name }) => name);
  let now = "";
  return {
    database,
    async runAt(nowMs, query, params) {
      const wanted = new Date(nowMs).toISOString();
      if (wanted !== now && usesNow.test(query.text)) {
        await database.run(setNow, [wanted]);
        now = wanted;
      }
      const rows = await database.run<never>(query, params);
      return inOneOrder.test(query.text)
        ? rows
        : rows
            .map((row) => [JSON.stringify(row), row] as const)
            .sort(byText)
            .map(([, row]) => row);
    },
    async empty() {
      await plain(`truncate ${tables.join(", ")} restart identity cascade`);
      for (const part of furniture.split(";")) await plain(part);
    },
    async close() {
      await database.close();
      await close();
    },
  };
}
