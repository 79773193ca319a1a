import { createKeys, type Keys, type KeyView, type Scope, scopes } from "../gateway/keys.ts";
import { systemClock } from "../platform/clock.ts";
import { readConfig } from "../platform/config.ts";
import { openDatabase } from "../platform/database.ts";
import { createIds } from "../platform/ids.ts";
import { withDatabase } from "./database-access.ts";
import { UsageError } from "./program.ts";

function withKeys(command: string, work: (keys: Keys) => Promise<number>): Promise<number> {
  return withDatabase(readConfig(), `keys ${command}`, {}, async (url) => {
    const database = openDatabase(url, { connections: 2, application: "uoop-keys" });
    try {
      return await work(createKeys({ database, clock: systemClock, ids: createIds() }));
    } finally {
      await database.close();
    }
  });
}

function readScopes(text: string): readonly Scope[] {
  const named = text.split(",").map((scope) => scope.trim());
  const unknown = named.filter((scope) => !(scopes as readonly string[]).includes(scope));
  if (unknown.length > 0)
    throw new UsageError(`Unknown scope "${unknown.join('", "')}"; the scopes are ${scopes.join(", ")}.`);
  return named as Scope[];
}

/** Makes a key and prints it: this is the only time that it is seen. */
export function createKey(
  client: string,
  options: { scopes: string; rateLimit?: number; json?: boolean },
): Promise<number> {
  const wanted = readScopes(options.scopes);
  if (client.trim() === "") throw new UsageError("The client's name is empty.");
  return withKeys("create", async (keys) => {
    const made = await keys.create(client.trim(), wanted, options.rateLimit);
    if (options.json) console.log(JSON.stringify({ ...made, scopes: wanted }));
    else
      console.log(
        `${made.key}\n\nKey ${made.id} of client ${made.clientId} (${wanted.join(", ")}). It is not shown again.`,
      );
    return 0;
  });
}

const limitOf = ({ rateLimitPerMinute }: KeyView): string =>
  rateLimitPerMinute === 0 ? "not limited" : `${rateLimitPerMinute}/min`;

/** Lists all keys, also the revoked ones. */
export function listKeys(options: { json?: boolean }): Promise<number> {
  return withKeys("list", async (keys) => {
    const all = await keys.list();
    if (options.json) console.log(JSON.stringify(all));
    else if (all.length === 0) console.log("There are no keys yet.");
    else {
      for (const key of all) {
        const state = key.revokedAt === null ? "" : `  revoked ${key.revokedAt}`;
        console.log(
          `${key.id}  ${key.clientId}  ${key.name}  ${key.scopes.join(",")}  ${limitOf(key)}  made ${key.createdAt}${state}`,
        );
      }
    }
    return 0;
  });
}

/** Revokes a key; exit code 1 when there is none to revoke. */
export function revokeKey(id: string): Promise<number> {
  return withKeys("revoke", async (keys) => {
    if (await keys.revoke(id)) {
      console.log(`${id} is revoked.`);
      return 0;
    }
    console.error(`There is no key ${id} that could be revoked.`);
    return 1;
  });
}
