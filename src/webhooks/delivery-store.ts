import { type Executor, statement } from "../platform/database.ts";
import type { EventType } from "../relay/api.ts";
import type { Item } from "./chains.ts";
import type { Tally } from "./tally.ts";

/** What a deliverer needs to know of a webhook's settings. */
export interface EndpointConfig {
  version: number;
  clientId: string;
  everything: boolean;
  url: string;
  types: readonly EventType[] | null;
  maxEventsPerRequest: number;
  maxConcurrentRequests: number;
  secret: string;
  previousSecret: string | null;
  previousSecretUntilMs: number | null;
}

/** An event that an earlier try left, and when it is due. */
export type PendingRow = Omit<Item, "saved" | "bytes"> & { text: string; dueMs: number };

/** A webhook that was claimed, as the process before left it. */
export interface Loaded {
  id: string;
  epoch: number;
  config: EndpointConfig;
  position: number;
  failures: number;
  failingSinceMs: number | null;
  /** Nothing is sent before. */
  retryAtMs: number;
  pending: readonly PendingRow[];
}

/** What is to be saved of a webhook. */
export interface Changes {
  id: string;
  epoch: number;
  position: number;
  failures: number;
  failingSinceMs: number | null;
  retryAtMs: number;
  pending: readonly PendingRow[];
  tally: Tally;
  /** It is to be paused for this. */
  pauseReason: string | null;
}

export interface Held {
  id: string;
  epoch: number;
  version: number;
  status: "active" | "paused";
}

const lease = "now() + make_interval(secs => $2::float8 / 1000)";
const inMs = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;
const ofMs = (column: string): string => `to_timestamp(${column} / 1000)`;

const renewLease = statement(
  "webhooks_renew",
  `with alive as (
     insert into webhook_deliverers (id, lease_until) values ($1, ${lease})
     on conflict (id) do update set lease_until = excluded.lease_until
   ), gone as (
     delete from webhook_deliverers where id <> $1 and lease_until < now() - interval '1 minute'
   ), mine as (
     update webhook_progress p set lease_until = ${lease}
     from webhooks w where w.id = p.webhook_id and p.holder = $1
     returning w.id, p.epoch, w.version, w.status
   )
   select coalesce((select json_agg(m order by m.id) from mine m), '[]') as held,
     (select count(*)::int from webhooks where status = 'active') as active,
     1 + (select count(*)::int from webhook_deliverers where id <> $1 and lease_until > now()) as deliverers`,
);

const configColumns = `json_build_object('version', w.version, 'clientId', w.client_id, 'everything', w.sees_all, 'url', w.url,
  'types', w.types, 'maxEventsPerRequest', w.max_events_per_request, 'maxConcurrentRequests', w.max_concurrent_requests,
  'secret', w.secret, 'previousSecret', w.previous_secret, 'previousSecretUntilMs', ${inMs("w.previous_secret_until")}) as config`;

// Locked and skipped: two processes that look at the same time take different ones.
const claimFree = statement(
  "webhooks_claim",
  `with free as materialized (
     select p.webhook_id from webhook_progress p join webhooks w on w.id = p.webhook_id
     where w.status = 'active' and ($4 or p.holder is null or p.lease_until is null or p.lease_until < now())
     order by p.webhook_id limit $3 for update of p skip locked
   )
   update webhook_progress p set holder = $1, epoch = p.epoch + 1, lease_until = ${lease}
   from webhooks w where w.id = p.webhook_id and p.webhook_id in (select webhook_id from free)
   returning w.id, p.epoch, p.position, p.failures, ${inMs("p.failing_since")} as "failingSinceMs",
     coalesce(${inMs("p.retry_at")}, 0) as "retryAtMs", ${configColumns}`,
);

const readConfigs = statement(
  "webhooks_configs",
  `select w.id, ${configColumns} from webhooks w where w.id = any ($1::text[])`,
);

const readPending = statement(
  "webhooks_pending",
  `select webhook_id as "webhookId", position, event_id as "eventId", subject, type, event as text, replay, attempts, reason,
     ${inMs("next_at")} as "dueMs"
   from webhook_pending where webhook_id = any ($1::text[]) and (replay or not $2) order by position`,
);

const releaseHeld = statement(
  "webhooks_release",
  `update webhook_progress p set holder = null, lease_until = null
   from unnest($2::text[], $3::int[]) as g (id, epoch)
   where p.webhook_id = g.id and p.epoch = g.epoch and p.holder = $1`,
);
const forgetDeliverer = statement("webhooks_leave", "delete from webhook_deliverers where id = $1");

// One statement for all webhooks of a process. What lost its fence (another process took it) is not in `moved`, and nothing of it is written.
const saveChanges = statement(
  "webhooks_save",
  `with given as materialized (
     select * from json_to_recordset($2::json) as g (id text, epoch int, position bigint, failures int, "failingSinceMs" float8,
       "retryAtMs" float8, "lastError" text, "lastDeliveredMs" float8, delivered bigint, retried bigint, dead bigint, requests bigint,
       "failedRequests" bigint, "responseMs" float8)
   ), held as materialized (
     select p.webhook_id from webhook_progress p join given g on g.id = p.webhook_id
     where p.holder = $1 and p.epoch = g.epoch order by p.webhook_id for update of p
   ), moved as (
     update webhook_progress p set position = greatest(p.position, g.position), failures = g.failures,
       failing_since = ${ofMs('g."failingSinceMs"')}, retry_at = ${ofMs('nullif(g."retryAtMs", 0)')},
       last_error = coalesce(g."lastError", p.last_error),
       last_delivered_at = coalesce(${ofMs('g."lastDeliveredMs"')}, p.last_delivered_at),
       delivered = p.delivered + g.delivered, retried = p.retried + g.retried, dead = p.dead + g.dead,
       requests = p.requests + g.requests, failed_requests = p.failed_requests + g."failedRequests",
       response_ms = p.response_ms + g."responseMs"::bigint
     from given g where p.webhook_id = g.id and p.webhook_id in (select webhook_id from held)
     returning p.webhook_id as id
   ), gone as (
     delete from webhook_pending p using json_to_recordset($3::json) as d (id text, "eventId" text)
     where p.webhook_id = d.id and p.event_id = d."eventId" and d.id in (select id from moved)
   ), pended as (
     insert into webhook_pending (webhook_id, event_id, position, subject, type, replay, attempts, next_at, reason, event)
     select d.id, d."eventId", d.position, d.subject, d.type, d.replay, d.attempts, ${ofMs('d."dueMs"')}, d.reason, d.text
     from json_to_recordset($4::json) as d (id text, "eventId" text, position bigint, subject text, type text, replay boolean,
       attempts int, "dueMs" float8, reason text, text text)
     where d.id in (select id from moved)
     on conflict (webhook_id, event_id) do update
     set attempts = excluded.attempts, next_at = excluded.next_at, reason = excluded.reason
   ), buried as (
     insert into dead_letters (subscriber, client_id, event_id, event_type, subject, position, reason, event, attempts)
     select d.id, case when w.sees_all then null else w.client_id end, d."eventId", d.type, d.subject, d.position, d.reason,
       d.text::json, d.attempts
     from json_to_recordset($5::json) as d (id text, "eventId" text, position bigint, subject text, type text, attempts int,
       reason text, text text)
     join webhooks w on w.id = d.id where d.id in (select id from moved)
   ), paused as (
     update webhooks w set status = 'paused', paused_reason = d.reason, paused_at = now(), version = w.version + 1, updated_at = now()
     from json_to_recordset($6::json) as d (id text, reason text)
     where w.id = d.id and w.status = 'active' and d.id in (select id from moved)
   )
   select id from moved`,
);

/** Renews what `holder` has. Answers that, how many webhooks are active and how many processes deliver. */
export async function renew(
  tx: Executor,
  holder: string,
  leaseMs: number,
): Promise<{ held: Held[]; active: number; deliverers: number }> {
  const [row] = await tx.run<{ held: Held[]; active: number; deliverers: number }>(renewLease, [
    holder,
    leaseMs,
  ]);
  return row!;
}

/** Takes up to `limit` webhooks that nobody holds; with `all` also what a process held that is surely gone. */
export async function claim(
  tx: Executor,
  holder: string,
  leaseMs: number,
  limit: number,
  all: boolean,
): Promise<readonly Loaded[]> {
  const claimed = await tx.run<Omit<Loaded, "pending">>(claimFree, [holder, leaseMs, limit, all]);
  if (claimed.length === 0) return [];
  const pending = await pendingOf(
    tx,
    claimed.map(({ id }) => id),
    false,
  );
  return claimed.map((row) => ({ ...row, pending: pending.get(row.id) ?? [] }));
}

/** Settings as they are now, and the replays that wait. */
export async function reload(
  tx: Executor,
  ids: readonly string[],
): Promise<readonly { id: string; config: EndpointConfig; replays: readonly PendingRow[] }[]> {
  const configs = await tx.run<{ id: string; config: EndpointConfig }>(readConfigs, [ids]);
  const replays = await pendingOf(tx, ids, true);
  return configs.map((row) => ({ ...row, replays: replays.get(row.id) ?? [] }));
}

async function pendingOf(
  tx: Executor,
  ids: readonly string[],
  onlyReplays: boolean,
): Promise<Map<string, PendingRow[]>> {
  const rows = await tx.run<PendingRow & { webhookId: string }>(readPending, [ids, onlyReplays]);
  return Map.groupBy(rows, ({ webhookId }) => webhookId);
}

export async function release(
  tx: Executor,
  holder: string,
  held: readonly { id: string; epoch: number }[],
): Promise<void> {
  await tx.run(releaseHeld, [holder, held.map(({ id }) => id), held.map(({ epoch }) => epoch)]);
}

export async function leave(tx: Executor, holder: string): Promise<void> {
  await tx.run(forgetDeliverer, [holder]);
}

/** Saves the changes of those that `holder` still has; answers which these are. */
export async function save(
  tx: Executor,
  holder: string,
  changes: readonly Changes[],
): Promise<ReadonlySet<string>> {
  const progress = changes.map(({ tally, pending: _pending, pauseReason: _reason, ...row }) => {
    return { ...row, ...tally, dead: tally.dead.length, removed: undefined };
  });
  const removed = changes.flatMap(({ id, tally }) => tally.removed.map((eventId) => ({ id, eventId })));
  const pending = changes.flatMap((row) => row.pending.map((item) => ({ ...item, id: row.id })));
  const dead = changes.flatMap(({ id, tally }) =>
    tally.dead.map(({ bytes, ...item }) => ({ ...item, text: bytes.toString(), id })),
  );
  const paused = changes.flatMap(({ id, pauseReason: reason }) => (reason === null ? [] : [{ id, reason }]));
  const params = [progress, removed, pending, dead, paused].map((rows) => JSON.stringify(rows));
  const moved = await tx.run<{ id: string }>(saveChanges, [holder, ...params]);
  return new Set(moved.map(({ id }) => id));
}
