import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import pg from "pg";

const migrationsFolder = new URL("../../migrations/", import.meta.url);

/** Any number will do, as long as nothing else in the database takes the same. */
const migrationLock = 7_046_001;

const leastVersion = 180_000;

export interface Migration {
  /** `0001_initial.sql`: they are applied in the order of their names. */
  name: string;
  text: string;
  checksum: string;
}

/** The migrations of this release, in order. */
export async function readMigrations(folder: URL = migrationsFolder): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".sql")).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), "utf8");
      return { name, text, checksum: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

/**
 * Brings the database to this release: applies what is missing, each file in a transaction of its own, one process at a
 * time. Returns the names applied now. Throws a sentence when an applied file was edited since or the database is newer.
 */
export async function migrate(url: string, migrations?: readonly Migration[]): Promise<readonly string[]> {
  const wanted = migrations ?? (await readMigrations());
  const client = new pg.Client({ connectionString: url, application_name: "uoop-migrate" });
  client.on("error", () => undefined);
  await connect(client, url);
  try {
    await requireVersion(client);
    await client.query("select pg_advisory_lock($1)", [migrationLock]);
    await client.query(
      `create table if not exists schema_migrations (
         name text collate "C" primary key, checksum text not null, applied_at timestamptz not null default now())`,
    );
    const { rows } = await client.query<{ name: string; checksum: string }>(
      "select name, checksum from schema_migrations",
    );
    const missing = missingMigrations(wanted, rows);
    for (const migration of missing) await apply(client, migration);
    return missing.map((migration) => migration.name);
  } finally {
    await client.end();
  }
}

async function connect(client: pg.Client, url: string): Promise<void> {
  try {
    await client.connect();
  } catch (cause) {
    const where = url.replace(/\/\/([^:@/]+):[^@/]+@/, "//$1:***@");
    throw new Error(
      `The database ${where} can't be reached: ${(cause as Error).message}. Is it running, and is DATABASE_URL right?`,
      { cause },
    );
  }
}

async function requireVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ server_version_num: string; server_version: string }>(
    "select current_setting('server_version_num') as server_version_num, current_setting('server_version') as server_version",
  );
  if (Number(rows[0]?.server_version_num) >= leastVersion) return;
  throw new Error(`UOOP needs PostgreSQL 18 or newer; this database is ${rows[0]?.server_version}.`);
}

/** What is still to be applied; throws when the database and this release do not go together. */
export function missingMigrations(
  wanted: readonly Migration[],
  applied: readonly { name: string; checksum: string }[],
): readonly Migration[] {
  for (const { name, checksum } of applied) {
    const ours = wanted.find((migration) => migration.name === name);
    if (!ours) {
      throw new Error(
        `The database was migrated by a newer release (${name} is unknown here). Start that release, or a newer one.`,
      );
    }
    if (ours.checksum !== checksum) {
      throw new Error(
        `migrations/${name} was changed after it was applied to this database. Undo the change and add a new file instead.`,
      );
    }
  }
  const done = new Set(applied.map(({ name }) => name));
  return wanted.filter((migration) => !done.has(migration.name));
}

async function apply(client: pg.Client, { name, text, checksum }: Migration): Promise<void> {
  try {
    await client.query("begin");
    await client.query(text);
    await client.query("insert into schema_migrations (name, checksum) values ($1, $2)", [name, checksum]);
    await client.query("commit");
  } catch (cause) {
    await client.query("rollback").catch(() => undefined);
    throw new Error(`Migration ${name} failed and changed nothing: ${(cause as Error).message}`, { cause });
  }
}

/** Makes the database that the URL names when it is not there yet. `adminUrl`: another database of the same server. */
export async function ensureDatabase(adminUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl, application_name: "uoop-migrate" });
  client.on("error", () => undefined);
  await client.connect();
  try {
    const { rowCount } = await client.query("select from pg_database where datname = $1", [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}
