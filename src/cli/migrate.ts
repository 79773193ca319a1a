import { readConfig } from "../platform/config.ts";
import { openDatabase } from "../platform/database.ts";
import { migrate } from "../platform/migrate.ts";
import { ensurePartitions } from "../platform/partitions.ts";
import { withDatabase } from "./database-access.ts";

/** Brings the database to this release and says what was done. */
export function migrateCommand(): Promise<number> {
  return withDatabase(readConfig(), "migrate", { migrated: false }, async (url) => {
    const applied = await migrate(url);
    const database = openDatabase(url, { connections: 2, application: "uoop-migrate" });
    try {
      const made = await ensurePartitions(database, Date.now());
      console.log(applied.length === 0 ? "The database is up to date." : `Applied: ${applied.join(", ")}.`);
      if (made.length > 0) console.log(`Partitions made: ${made.length}.`);
    } finally {
      await database.close();
    }
    return 0;
  });
}
