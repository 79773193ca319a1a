import { randomBytes } from "node:crypto";
import pg from "pg";
import { type Database, openDatabase } from "../../src/platform/database.ts";
import { migrate, readMigrations } from "../../src/platform/migrate.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { startTestPostgres } from "./postgres-server.ts";

export interface TestDatabase {
  url: string;
  database: Database;
  close(): Promise<void>;
}

/**
 * A database of its own on a real PostgreSQL 18, migrated and with its partitions: a copy of a template that the first
 * caller makes. The server is the test run's (TEST_POSTGRES_URL, set by test/run.ts) or, for a file run by itself, one
 * that is started on demand and ends with the process.
 */
export async function testDatabase(options: { connections?: number } = {}): Promise<TestDatabase> {
  openDatabases += 1;
  const server = await serverUrl();
  const template = await ensureTemplate(server);
  const name = `test_${process.pid}_${randomBytes(6).toString("hex")}`;
  await onServer(server, (client) =>
    client.query(`create database ${name} template ${template} strategy file_copy`),
  );
  const url = withDatabase(server, name);
  const database = openDatabase(url, { connections: options.connections ?? 8, application: "uoop-test" });
  return {
    url,
    database,
    async close() {
      await database.close();
      await onServer(server, (client) => client.query(`drop database if exists ${name} with (force)`));
      await closeServer();
    },
  };
}

/** A database of its own with nothing in it but what `prepare` (SQL) makes. */
export async function emptyDatabase(prepare: string): Promise<{ url: string; close(): Promise<void> }> {
  openDatabases += 1;
  const server = await serverUrl();
  const name = `test_${process.pid}_${randomBytes(6).toString("hex")}`;
  await onServer(server, (client) => client.query(`create database ${name}`));
  const url = withDatabase(server, name);
  await onServer(url, (client) => client.query(prepare));
  return {
    url,
    async close() {
      await onServer(server, (client) => client.query(`drop database if exists ${name} with (force)`));
      await closeServer();
    },
  };
}

let ownServer: Promise<{ url: string; stop(): Promise<void> }> | undefined;

async function serverUrl(): Promise<string> {
  const shared = process.env.TEST_POSTGRES_URL;
  if (shared) return shared;
  ownServer ??= startTestPostgres();
  return (await ownServer).url;
}

let openDatabases = 0;

/** The server of a file run by itself ends with the last database that is closed. */
async function closeServer(): Promise<void> {
  openDatabases -= 1;
  if (openDatabases > 0 || !ownServer) return;
  const { stop } = await ownServer;
  ownServer = undefined;
  template = undefined;
  await stop();
}

let template: Promise<string> | undefined;

/** One template per state of the migrations; test files of one run share it. */
function ensureTemplate(server: string): Promise<string> {
  template ??= (async () => {
    const migrations = await readMigrations();
    const name = `template_${migrations.map(({ checksum }) => checksum.slice(0, 8)).join("_")}`;
    await onServer(server, async (client) => {
      await client.query("select pg_advisory_lock(1)");
      const { rowCount } = await client.query("select from pg_database where datname = $1", [name]);
      if (rowCount !== 0) return;
      await client.query(`create database ${name}_new`);
      await migrate(withDatabase(server, `${name}_new`), migrations);
      const database = openDatabase(withDatabase(server, `${name}_new`), {
        connections: 2,
        application: "uoop-test",
      });
      await ensurePartitions(database, Date.now());
      await database.close();
      await client.query(`alter database ${name}_new rename to ${name}`);
    });
    return name;
  })();
  return template;
}

async function onServer<T>(server: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const withDatabase = (server: string, name: string): string => server.replace(/\/postgres\?/, `/${name}?`);
