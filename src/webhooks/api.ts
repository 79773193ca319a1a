import type { EventType } from "../relay/api.ts";

/** What whoever makes a webhook says about it. */
export interface WebhookSettings {
  url: string;
  description: string;
  /** Null: every type, also those that are yet to come. */
  types: readonly EventType[] | null;
  /** 1: each request carries one event. More: a list of up to so many. */
  maxEventsPerRequest: number;
  maxConcurrentRequests: number;
}

/** How deliveries to a webhook go. */
export interface DeliveryView {
  /** `failing`: the last request failed; `down`: so did ten in a row, and only one at a time asks whether it is back. */
  state: "ok" | "failing" | "down";
  /** Events on the bus that it has not passed, whether they are for it or not. */
  lagEvents: number;
  /** Events that wait to be tried again, or behind one of their order that does. */
  pendingEvents: number;
  delivered: number;
  retried: number;
  dead: number;
  /** Of all requests, 0 to 1; null before the first. */
  successRate: number | null;
  meanResponseMs: number | null;
  lastDeliveredAt: string | null;
  failingSince: string | null;
  nextTryAt: string | null;
  lastError: string | null;
}

export interface Webhook extends WebhookSettings {
  id: string;
  clientId: string;
  /** Made with an admin key: events of all clients, and those of channels. */
  everything: boolean;
  status: "active" | "paused";
  pausedReason: string | null;
  pausedAt: string | null;
  /** Until then the secret before signs as well. */
  previousSecretUntil: string | null;
  version: number;
  createdAt: string;
  updatedAt: string;
  delivery: DeliveryView;
}

/** Whose webhooks and dead letters: a client's own; null: all of them (an operator). */
export type Viewer = string | null;

export interface DeadLetter {
  id: string;
  /** The webhook's id, or `schema`: then the event itself was bad and nobody got it. */
  subscriber: string;
  clientId: string | null;
  eventId: string;
  eventType: string | null;
  subject: string;
  reason: string;
  attempts: number;
  /** As it was to be sent; of a bad one, what its writer wrote. */
  event: unknown;
  createdAt: string;
  replayedAt: string | null;
}

export interface DeadLetterFilter {
  subscriber?: string;
  subject?: string;
  type?: string;
  /** True: only those that were replayed; false: only those that were not. */
  replayed?: boolean;
  fromMs?: number;
  toMs?: number;
}

export interface Ping {
  delivered: boolean;
  /** 0: no answer. */
  status: number;
  responseMs: number;
  reason: string | null;
}

/** Webhooks as their owners see them. What is not the viewer's is not there: `webhook_not_found`, `dead_letter_not_found`. */
export interface WebhooksApi {
  /** The secret is shown this once. Throws `webhook_target_refused`, `webhook_limit_reached`. */
  create(
    settings: WebhookSettings,
    owner: { clientId: string; everything: boolean },
  ): Promise<{ webhook: Webhook; secret: string }>;
  list(viewer: Viewer, page: { afterId: string | null; limit: number }): Promise<readonly Webhook[]>;
  get(id: string, viewer: Viewer): Promise<Webhook>;
  /** Throws `version_conflict` when it is not at `expectedVersion` (null: whatever it is), `webhook_target_refused`. */
  patch(
    id: string,
    viewer: Viewer,
    patch: Partial<WebhookSettings>,
    expectedVersion: number | null,
  ): Promise<Webhook>;
  /** It is gone with what is pending for it and its dead letters. */
  remove(id: string, viewer: Viewer): Promise<void>;
  /** Paused: nothing is sent and nothing is lost. Resumed: it goes on where it was. */
  setStatus(id: string, viewer: Viewer, status: Webhook["status"]): Promise<Webhook>;
  /** A new secret; the one before signs as well for so long. */
  rotateSecret(id: string, viewer: Viewer, graceMs: number): Promise<{ webhook: Webhook; secret: string }>;
  /** Sends a `ping` now, once, also to one that is paused; answers what came of it. */
  ping(id: string, viewer: Viewer): Promise<Ping>;
  /** Newest first. */
  deadLetters(
    viewer: Viewer,
    filter: DeadLetterFilter,
    page: { beforeId: string | null; limit: number },
  ): Promise<readonly DeadLetter[]>;
  deadLetter(id: string, viewer: Viewer): Promise<DeadLetter>;
  /** Sends it again, marked as a replay. What was replayed before is left alone. */
  replay(id: string, viewer: Viewer): Promise<DeadLetter>;
  /** The same for the oldest `limit` that pass the filter; answers how many. */
  replayAll(viewer: Viewer, filter: DeadLetterFilter, limit: number): Promise<number>;
}
