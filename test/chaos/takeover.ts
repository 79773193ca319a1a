import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";

/** Sees how long the orders of a dead process stand still. */
export interface TakeoverMeasure {
  /**
   * To be called right after SIGKILL of these processes: resolves with the milliseconds from `killedMs` until their orders move again:
   * all that they owned have another owner, and one of them has a new version. null: they owned none that was in motion.
   */
  measure(pids: readonly number[], killedMs: number): Promise<number | null>;
}

/** Statements that were under way when their process died have ended by then. */
const settleMs = 30;
const lookEveryMs = 20;
const patienceMs = 60_000;

interface Owned {
  id: string;
  version: number;
}

export function createTakeoverMeasure(databaseUrl: string): TakeoverMeasure {
  return {
    async measure(pids, killedMs) {
      const client = new pg.Client({ connectionString: databaseUrl, application_name: "chaos" });
      client.on("error", () => undefined);
      try {
        await client.connect();
        await pause(settleMs);
        const names = pids.map((pid) => `%:${pid}`);
        const owners = (
          await client.query<{ id: string }>("select id from owners where process like any ($1)", [names])
        ).rows.map(({ id }) => id);
        const { rows: owned } = await client.query<Owned>(
          "select id, version from orders where owner_id = any ($1)",
          [owners],
        );
        if (owned.length === 0) return null;
        return (await untilMoved(client, owners, owned)) - killedMs;
      } finally {
        await client.end().catch(() => undefined);
      }
    },
  };
}

/** When that was. Throws when it is not within a minute. */
async function untilMoved(
  client: pg.Client,
  owners: readonly string[],
  owned: readonly Owned[],
): Promise<number> {
  const ids = owned.map(({ id }) => id);
  const versions = owned.map(({ version }) => version);
  for (const endMs = Date.now() + patienceMs; Date.now() < endMs; await pause(lookEveryMs)) {
    const { rows } = await client.query<{ left: number; moved: number }>(
      `select count(*) filter (where o.owner_id = any ($1))::int as left, count(*) filter (where o.version > k.version)::int as moved
       from unnest($2::text[], $3::int[]) as k(id, version) join orders o on o.id = k.id`,
      [owners, ids, versions],
    );
    if (rows[0]!.left === 0 && rows[0]!.moved > 0) return Date.now();
  }
  throw new Error(
    `orders of a dead process (${ids.slice(0, 5).join(", ")}…) did not move for ${patienceMs} ms`,
  );
}
