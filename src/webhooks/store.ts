import { type Database, type Executor, statement } from "../platform/database.ts";
import type { Viewer, Webhook, WebhookSettings } from "./api.ts";

/** A webhook as it is stored; the view leaves the secrets out and works figures out of the counts. */
export interface WebhookRow extends Omit<Webhook, "delivery"> {
  secret: string;
  previousSecret: string | null;
  position: number;
  pendingEvents: number;
  failures: number;
  failingSince: string | null;
  retryAt: string | null;
  lastError: string | null;
  lastDeliveredAt: string | null;
  delivered: number;
  retried: number;
  dead: number;
  requests: number;
  failedRequests: number;
  responseMs: number;
}

const columns = `w.id, w.client_id as "clientId", w.sees_all as everything, w.version, w.url, w.description, w.types,
  w.max_events_per_request as "maxEventsPerRequest", w.max_concurrent_requests as "maxConcurrentRequests", w.status,
  w.paused_reason as "pausedReason", w.paused_at as "pausedAt", w.secret, w.previous_secret as "previousSecret",
  w.previous_secret_until as "previousSecretUntil", w.created_at as "createdAt", w.updated_at as "updatedAt",
  p.position, p.failures, p.failing_since as "failingSince", p.retry_at as "retryAt", p.last_error as "lastError",
  p.last_delivered_at as "lastDeliveredAt", p.delivered, p.retried, p.dead, p.requests, p.failed_requests as "failedRequests",
  p.response_ms as "responseMs",
  (select count(*)::int from webhook_pending e where e.webhook_id = w.id) as "pendingEvents"`;
const joined = "webhooks w join webhook_progress p on p.webhook_id = w.id";

// A client's keys never see what an admin key made, though it may belong to the same client.
const visible = "($2::text is null or (w.client_id = $2 and not w.sees_all))";

// A statement of its own: the next one's snapshot, which counts, must see what the last holder of the lock committed.
const lockClient = statement("webhook_lock_client", "select from clients where id = $1 for update");
// It begins at the bus's head: what happened before is not sent.
const insertWebhook = statement(
  "webhook_insert",
  `with made as (
     insert into webhooks (id, client_id, sees_all, url, description, types, max_events_per_request, max_concurrent_requests, status, secret)
     select $1, $2, $3, $4, $5, $6, $7, $8, 'active', $10 where (select count(*) from webhooks w where w.client_id = $2) < $9
     returning id
   )
   insert into webhook_progress (webhook_id, position) select id, $11 from made returning webhook_id as id`,
);
const selectWebhook = statement(
  "webhook_get",
  `select ${columns} from ${joined} where w.id = $1 and ${visible}`,
);
const selectWebhooks = statement(
  "webhook_list",
  `select ${columns} from ${joined} where w.id > $1 and ${visible} order by w.id limit $3`,
);
const updateWebhook = statement(
  "webhook_update",
  `update webhooks w set url = $4, description = $5, types = $6, max_events_per_request = $7, max_concurrent_requests = $8,
     version = w.version + 1, updated_at = now()
   where w.id = $1 and ${visible} and w.version = $3 returning w.id`,
);
// What failed before it was paused begins anew, and what waits is due.
const updateStatus = statement(
  "webhook_status",
  `with changed as (
     update webhooks w set status = $3, paused_reason = case when $3 = 'paused' then 'Paused by its owner' end,
       paused_at = case when $3 = 'paused' then now() end, version = w.version + 1, updated_at = now()
     where w.id = $1 and ${visible} and w.status <> $3 returning w.id
   ), begun as (
     update webhook_progress p set failures = 0, failing_since = null, retry_at = null
     from changed c where c.id = p.webhook_id and $3 = 'active'
   )
   update webhook_pending e set next_at = now() from changed c where c.id = e.webhook_id and $3 = 'active'`,
);
const updateSecret = statement(
  "webhook_secret",
  `update webhooks w set previous_secret = w.secret, previous_secret_until = now() + make_interval(secs => $4::float8 / 1000),
     secret = $3, version = w.version + 1, updated_at = now()
   where w.id = $1 and ${visible} returning w.id`,
);
const deleteWebhook = statement(
  "webhook_delete",
  `with gone as (delete from webhooks w where w.id = $1 and ${visible} returning w.id), letters as (
     delete from dead_letters d using gone g where d.subscriber = g.id
   ) select id from gone`,
);

/** False when its client has `most` webhooks already. */
export async function insert(
  database: Database,
  id: string,
  owner: { clientId: string; everything: boolean },
  settings: WebhookSettings,
  begin: { secret: string; position: number; most: number },
): Promise<boolean> {
  const { url, description, types, maxEventsPerRequest, maxConcurrentRequests } = settings;
  return database.transaction(async (tx) => {
    await tx.run(lockClient, [owner.clientId]);
    const made = await tx.run(insertWebhook, [
      ...[id, owner.clientId, owner.everything, url, description, types, maxEventsPerRequest],
      ...[maxConcurrentRequests, begin.most, begin.secret, begin.position],
    ]);
    return made.length > 0;
  });
}

export async function find(tx: Executor, id: string, viewer: Viewer): Promise<WebhookRow | undefined> {
  const [row] = await tx.run<WebhookRow>(selectWebhook, [id, viewer]);
  return row;
}

export const list = (
  tx: Executor,
  viewer: Viewer,
  page: { afterId: string | null; limit: number },
): Promise<WebhookRow[]> => tx.run<WebhookRow>(selectWebhooks, [page.afterId ?? "", viewer, page.limit]);

/** False when it is not at this version. */
export async function update(
  tx: Executor,
  id: string,
  viewer: Viewer,
  version: number,
  settings: WebhookSettings,
): Promise<boolean> {
  const { url, description, types, maxEventsPerRequest, maxConcurrentRequests } = settings;
  const params = [id, viewer, version, url, description, types, maxEventsPerRequest, maxConcurrentRequests];
  return (await tx.run(updateWebhook, params)).length > 0;
}

/** Does nothing when it has that status already. */
export async function setStatus(tx: Executor, id: string, viewer: Viewer, status: string): Promise<void> {
  await tx.run(updateStatus, [id, viewer, status]);
}

export async function setSecret(
  tx: Executor,
  id: string,
  viewer: Viewer,
  secret: string,
  graceMs: number,
): Promise<void> {
  await tx.run(updateSecret, [id, viewer, secret, graceMs]);
}

/** False when there is none. */
export async function remove(tx: Executor, id: string, viewer: Viewer): Promise<boolean> {
  return (await tx.run(deleteWebhook, [id, viewer])).length > 0;
}
