import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../platform/config.ts";
import { createLog } from "../platform/log.ts";
import { ensureDatabase, migrate } from "../platform/migrate.ts";
import { createPostgres, type EmbeddedPostgres, urlOfFolder } from "../platform/postgres.ts";
import { isFolderHeld, lockDataFolder } from "./data-lock.ts";

const databaseName = "uoop";

/** The embedded server of a data folder, started, with the platform's database made when new. */
export async function startEmbedded(postgres: EmbeddedPostgres): Promise<string> {
  await postgres.start();
  await ensureDatabase(postgres.urlOf("postgres"), databaseName);
  return postgres.urlOf(databaseName);
}

/**
 * Gives `work` the URL of the platform's database, migrated unless said otherwise: DATABASE_URL; or the embedded one of a platform that runs on the
 * data folder just now; or, when none runs, the embedded one, started for this.
 */
export async function withDatabase<T>(
  config: Config,
  command: string,
  options: { migrated?: boolean; mustExist?: boolean },
  work: (url: string) => Promise<T>,
): Promise<T> {
  const migrateFirst = options.migrated ?? true;
  if (config.DATABASE_URL) {
    if (migrateFirst) await migrate(config.DATABASE_URL);
    return work(config.DATABASE_URL);
  }
  if (await isFolderHeld(config.dataDir)) return work(urlOfFolder(config.dataDir, databaseName));
  if (options.mustExist && !existsSync(join(config.dataDir, "postgres"))) {
    throw new Error(
      `There is no database in ${config.dataDir} yet. Start the platform first, or set DATA_DIR or DATABASE_URL.`,
    );
  }
  const lock = await lockDataFolder(config.dataDir, command);
  const postgres = createPostgres({ folder: config.dataDir, log: createLog(config.LOG_LEVEL) });
  const stop = async () => {
    await postgres.stop();
    await lock.release();
  };
  const interrupted = () => void stop().finally(() => process.exit(1));
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    const url = await startEmbedded(postgres);
    if (migrateFirst) await migrate(url);
    return await work(url);
  } finally {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
    await stop();
  }
}

/** Where the first API key is written. */
export const apiKeyFile = (config: Config): string => join(config.dataDir, "api-key");
