import type { Bus } from "../bus/api.ts";
import { type Clock, toIso } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { UoopError } from "../platform/errors.ts";
import { type Ids, isId } from "../platform/ids.ts";
import type { Viewer, Webhook, WebhookSettings, WebhooksApi } from "./api.ts";
import * as letters from "./dead-letters.ts";
import { defaultRetryLimits } from "./retry.ts";
import { send } from "./send.ts";
import { createSigner, newSecret } from "./signing.ts";
import * as store from "./store.ts";
import { createDispatcher, refuseUrl, type TargetRule } from "./targets.ts";

export interface WebhooksDependencies {
  database: Database;
  bus: Pick<Bus, "head">;
  clock: Clock;
  ids: Ids;
  rule: TargetRule;
  /** A webhook changed, or replays wait: who delivers may look. */
  onChanged(): void;
  /** Something was put into the outbox. */
  onAppended(): void;
}

/** Webhooks of one client at most. */
const maxWebhooksPerClient = 100;
const pingTimeoutMs = 15_000;

/** Keeps webhooks and their dead letters; deliverer.ts delivers, in whichever process has that role. */
export function createWebhooks(dependencies: WebhooksDependencies): WebhooksApi {
  const { database, bus, clock, ids, rule, onChanged, onAppended } = dependencies;

  async function find(id: string, viewer: Viewer): Promise<store.WebhookRow> {
    const row = isId("whk", id) ? await store.find(database, id, viewer) : undefined;
    if (!row) throw new UoopError("webhook_not_found", `There is no webhook ${id.slice(0, 64)}.`);
    return row;
  }

  const get = async (id: string, viewer: Viewer): Promise<Webhook> =>
    toWebhook(await find(id, viewer), await bus.head());

  async function findLetter(id: string, viewer: Viewer) {
    const letter = isId("dlt", id) ? await letters.find(database, id, viewer) : undefined;
    if (!letter) throw new UoopError("dead_letter_not_found", `There is no dead letter ${id.slice(0, 64)}.`);
    return letter;
  }

  function checkTarget(url: string): void {
    const wrong = refuseUrl(url, rule);
    if (wrong === null) return;
    const detail = `url ${wrong}. Where that is meant, as in development, start with WEBHOOK_TARGETS=any.`;
    throw new UoopError("webhook_target_refused", detail, { fields: [{ pointer: "/url", message: wrong }] });
  }

  return {
    get,
    async create(settings, owner) {
      checkTarget(settings.url);
      const id = ids.create("whk", clock.nowMs());
      const secret = newSecret();
      const begin = { secret, position: await bus.head(), most: maxWebhooksPerClient };
      if (!(await store.insert(database, id, owner, settings, begin))) {
        const detail = `A client may have ${maxWebhooksPerClient} webhooks; delete one that is not needed.`;
        throw new UoopError("webhook_limit_reached", detail);
      }
      onChanged();
      return { webhook: await get(id, null), secret };
    },
    async list(viewer, page) {
      const [rows, head] = await Promise.all([store.list(database, viewer, page), bus.head()]);
      return rows.map((row) => toWebhook(row, head));
    },
    async patch(id, viewer, patch, expectedVersion) {
      const before = await find(id, viewer);
      const settings: WebhookSettings = { ...before, ...patch };
      if (patch.url !== undefined) checkTarget(patch.url);
      const right = expectedVersion === null || expectedVersion === before.version;
      if (!right || !(await store.update(database, id, viewer, before.version, settings)))
        throw new UoopError("version_conflict", "The webhook was changed meanwhile; read it again.");
      onChanged();
      return get(id, viewer);
    },
    async remove(id, viewer) {
      await find(id, viewer);
      await store.remove(database, id, viewer);
      onChanged();
    },
    async setStatus(id, viewer, status) {
      await find(id, viewer);
      await store.setStatus(database, id, viewer, status);
      onChanged();
      return get(id, viewer);
    },
    async rotateSecret(id, viewer, graceMs) {
      await find(id, viewer);
      const secret = newSecret();
      await store.setSecret(database, id, viewer, secret, graceMs);
      onChanged();
      return { webhook: await get(id, viewer), secret };
    },
    async ping(id, viewer) {
      const row = await find(id, viewer);
      const message = pingFor(row, ids.create("evt", clock.nowMs()), clock.nowMs());
      const dispatcher = createDispatcher(rule, 1);
      try {
        const sent = await send(dispatcher, clock, message);
        return { delivered: sent.ok, status: sent.status, responseMs: sent.ms, reason: sent.reason };
      } finally {
        await dispatcher.destroy();
      }
    },
    deadLetters: (viewer, filter, page) => letters.list(database, viewer, filter, page),
    deadLetter: findLetter,
    async replay(id, viewer) {
      await findLetter(id, viewer);
      await letters.replayOne(database, id, viewer);
      onChanged();
      onAppended();
      return findLetter(id, viewer);
    },
    async replayAll(viewer, filter, limit) {
      const count = await letters.replayAll(database, viewer, filter, limit);
      onChanged();
      onAppended();
      return count;
    },
  };
}

/** A test event: a CloudEvent of the type `ping`, in a list where the webhook takes lists. */
function pingFor(row: store.WebhookRow, eventId: string, nowMs: number) {
  const event = {
    ...{
      specversion: "1.0",
      id: eventId,
      source: "/uoop",
      type: "ping",
      subject: row.id,
      time: toIso(nowMs),
    },
    ...{ datacontenttype: "application/json", data: { webhook: row.id } },
  };
  const previousSecretUntilMs = row.previousSecretUntil === null ? null : Date.parse(row.previousSecretUntil);
  return {
    id: `msg_${eventId}`,
    body: Buffer.from(JSON.stringify(row.maxEventsPerRequest === 1 ? event : [event])),
    url: row.url,
    sign: createSigner({ ...row, previousSecretUntilMs }),
    timeoutMs: pingTimeoutMs,
  };
}

function toWebhook(row: store.WebhookRow, head: number): Webhook {
  const { secret: _secret, previousSecret: _previous, position, failures, retryAt, requests, ...rest } = row;
  const { failedRequests, responseMs, pendingEvents, delivered, retried, dead, ...more } = rest;
  const { lastDeliveredAt, failingSince, lastError, ...settings } = more;
  const state = failures === 0 ? "ok" : failures < defaultRetryLimits.downAfterFailures ? "failing" : "down";
  return {
    ...settings,
    delivery: {
      state,
      lagEvents: Math.max(0, head - position),
      ...{ pendingEvents, delivered, retried, dead },
      successRate: requests === 0 ? null : (requests - failedRequests) / requests,
      meanResponseMs: requests === 0 ? null : Math.round((10 * responseMs) / requests) / 10,
      ...{ lastDeliveredAt, failingSince, nextTryAt: failures > 0 ? retryAt : null },
      lastError: failures > 0 ? lastError : null,
    },
  };
}
