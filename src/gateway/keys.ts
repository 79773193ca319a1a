import { hash, randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { LRUCache } from "lru-cache";
import { createBatcher } from "../platform/batcher.ts";
import type { Clock } from "../platform/clock.ts";
import { type Database, type Executor, statement } from "../platform/database.ts";
import type { Ids } from "../platform/ids.ts";

/** `orders:operate`: sees every client's orders and takes operators' actions on them; `admin`: everything. */
export const scopes = [
  "orders:read",
  "orders:write",
  "orders:operate",
  "channels:write",
  "webhooks:write",
  "admin",
] as const;
export type Scope = (typeof scopes)[number];

/** Who a request is from: its key, the key's client and what it may do. */
export interface Principal {
  keyId: string;
  clientId: string;
  scopes: ReadonlySet<Scope>;
  /** Requests a minute; 0: not limited. */
  rateLimitPerMinute: number;
  /** As the journal names it: `client:cli_…`, or `operator:key_…` for a key of operators. */
  actor: string;
}

export interface NewKey {
  id: string;
  clientId: string;
  /** Shown this once: only its hash is kept. */
  key: string;
}

export interface KeyView {
  id: string;
  clientId: string;
  name: string;
  scopes: readonly Scope[];
  rateLimitPerMinute: number;
  createdAt: string;
  revokedAt: string | null;
}

export interface Keys {
  /** Makes a key for the client of this name (made when new). Without a limit given it gets `usualRateLimit`. */
  create(clientName: string, scopes: readonly Scope[], rateLimitPerMinute?: number): Promise<NewKey>;
  list(): Promise<readonly KeyView[]>;
  /** False when there is no such key, or it was revoked before. Other processes notice within `cacheMs`. */
  revoke(id: string): Promise<boolean>;
  /** Whose key this is; null when unknown or revoked. Answers without a promise when it is in memory. */
  authenticate(key: string): Principal | null | Promise<Principal | null>;
  /**
   * On a database without keys: makes an admin key, writes it to `file` (mode 600) and returns it. Later: the key that
   * the file holds, null when it holds none.
   */
  ensureFirstKey(file: string): Promise<{ key: string; made: boolean } | null>;
  /** Whether the database answers. */
  reachable(): Promise<boolean>;
}

/** How long an answer (also "unknown") is believed: a revoked key lives on this long in other processes. */
const cacheMs = 5_000;
/** Answers in memory at most; the least used is forgotten and asked for again. */
const maxCachedKeys = 10_000;
/** Unknown keys waiting for the database at most; beyond it 503, so that guessing keys can't fill the memory. */
const maxQueuedLookups = 2_000;

/** Requests a minute (the high-level design's figure); operators' tools must work when it matters, so their keys have no limit. */
const usualRateLimit = (wanted: readonly Scope[]): number => (isOperators(wanted) ? 0 : 1_000);

const isOperators = (held: readonly Scope[]): boolean =>
  held.includes("admin") || held.includes("orders:operate");

const keyShape = /^uoop_[A-Za-z0-9_-]{43}$/;

const insertClient = statement(
  "keys_insert_client",
  `insert into clients (id, name) values ($1, $2)
   on conflict (name) do update set name = excluded.name returning id`,
);
const insertKey = statement(
  "keys_insert",
  `insert into api_keys (id, client_id, name, key_hash, scopes, rate_limit_per_minute, created_at)
   values ($1, $2, $3, $4, $5, $6, $7)`,
);
const selectKeys = statement(
  "keys_list",
  `select id, client_id as "clientId", name, scopes, rate_limit_per_minute as "rateLimitPerMinute", created_at as "createdAt", revoked_at as "revokedAt"
   from api_keys order by id`,
);
const revokeKey = statement(
  "keys_revoke",
  "update api_keys set revoked_at = $2 where id = $1 and revoked_at is null returning id",
);
const selectByHash = statement(
  "keys_by_hash",
  `select id, client_id as "clientId", key_hash as "keyHash", scopes, rate_limit_per_minute as "rateLimitPerMinute"
   from api_keys where key_hash = any($1::text[]) and revoked_at is null`,
);
// Two processes starting on one empty database must not both make the first key.
const lockFirstKey = statement("keys_lock_first", "select pg_advisory_xact_lock(7564023)");
const anyKey = statement("keys_any", "select 1 from api_keys limit 1");
const ping = statement("keys_ping", "select 1");

interface KeyRow {
  id: string;
  clientId: string;
  keyHash: string;
  scopes: Scope[];
  rateLimitPerMinute: number;
}

/** API keys: `uoop_` and 32 random bytes; the database keeps SHA-256 of them (they are random: no salt, no slow hash needed). */
export function createKeys({ database, clock, ids }: { database: Database; clock: Clock; ids: Ids }): Keys {
  const known = new LRUCache<string, { principal: Principal | null; untilMs: number }>({
    max: maxCachedKeys,
  });
  const lookups = createBatcher<string, Principal | null>({
    run: (hashes) => lookUp(database, hashes),
    maxBatchItems: 500,
    maxRuns: 1,
    maxQueuedItems: maxQueuedLookups,
  });

  async function ask(keyHash: string): Promise<Principal | null> {
    const principal = await lookups.submit(keyHash);
    known.set(keyHash, { principal, untilMs: clock.nowMs() + cacheMs });
    return principal;
  }

  async function insert(
    tx: Executor,
    clientName: string,
    wanted: readonly Scope[],
    key: string,
    rateLimit = usualRateLimit(wanted),
  ): Promise<NewKey> {
    const nowMs = clock.nowMs();
    const [client] = await tx.run<{ id: string }>(insertClient, [ids.create("cli", nowMs), clientName]);
    const id = ids.create("key", nowMs);
    const createdAt = new Date(nowMs).toISOString();
    const row = [id, client!.id, clientName, hashOf(key), wanted, rateLimit, createdAt];
    await tx.run(insertKey, row);
    return { id, clientId: client!.id, key };
  }

  return {
    create: (clientName, wanted, rateLimit) =>
      database.transaction((tx) => insert(tx, clientName, wanted, newKey(), rateLimit)),
    list: () => database.run<KeyView>(selectKeys),
    async revoke(id) {
      const revoked = await database.run(revokeKey, [id, new Date(clock.nowMs()).toISOString()]);
      known.clear();
      return revoked.length > 0;
    },
    authenticate(key) {
      if (!keyShape.test(key)) return null;
      const keyHash = hashOf(key);
      const cached = known.get(keyHash);
      if (cached && cached.untilMs > clock.nowMs()) return cached.principal;
      return ask(keyHash);
    },
    ensureFirstKey: (file) =>
      database.transaction(async (tx) => {
        await tx.run(lockFirstKey);
        const kept = await readKey(file);
        if ((await tx.run(anyKey)).length > 0) return kept === null ? null : { key: kept, made: false };
        // The file first: a crash between the two must not leave a database whose only key nobody has.
        const key = kept ?? newKey();
        if (kept === null) await writeKey(file, key);
        await insert(tx, "admin", ["admin"], key);
        return { key, made: true };
      }),
    async reachable() {
      return database.run(ping).then(
        () => true,
        () => false,
      );
    },
  };
}

const newKey = (): string => `uoop_${randomBytes(32).toString("base64url")}`;

const hashOf = (key: string): string => hash("sha256", key, "hex");

async function lookUp(database: Database, hashes: readonly string[]): Promise<readonly (Principal | null)[]> {
  const rows = await database.run<KeyRow>(selectByHash, [hashes]);
  const byHash = new Map(rows.map((row) => [row.keyHash, toPrincipal(row)]));
  return hashes.map((keyHash) => byHash.get(keyHash) ?? null);
}

function toPrincipal(row: KeyRow): Principal {
  return {
    keyId: row.id,
    clientId: row.clientId,
    scopes: new Set(row.scopes),
    rateLimitPerMinute: row.rateLimitPerMinute,
    actor: isOperators(row.scopes) ? `operator:${row.id}` : `client:${row.clientId}`,
  };
}

async function readKey(file: string): Promise<string | null> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const key = text.trim();
  return keyShape.test(key) ? key : null;
}

async function writeKey(file: string, key: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${key}\n`, { mode: 0o600, flush: true });
  await chmod(file, 0o600); // the mode above is only for a file that was not there
}
