import { type Static, Type } from "typebox";
import { type EventType, eventTypes } from "../relay/api.ts";
import type { DeadLetter, Ping, Webhook } from "../webhooks/api.ts";
import {
  component,
  cursorQuery,
  instant,
  listOf,
  nullableText,
  oneOf,
  printable,
  strict,
} from "./schemas.ts";

const maxGraceHours = 168;
export const defaultGraceHours = 24;
export const maxReplays = 1_000;

const types = Type.Array(oneOf<EventType>(eventTypes), {
  minItems: 1,
  uniqueItems: true,
  description: "which events; left out: all, also types that are yet to come",
});
const fields = {
  url: Type.String({
    maxLength: 1_000,
    format: "http-url",
    description: "where events are sent: https, on the internet",
  }),
  description: Type.String({ maxLength: 500, pattern: printable }),
  maxEventsPerRequest: Type.Integer({
    minimum: 1,
    maximum: 500,
    description: "1: a request carries one event; more: a list of up to so many",
  }),
  maxConcurrentRequests: Type.Integer({ minimum: 1, maximum: 64, description: "requests to it at once" }),
};

export const webhookDefaults = { description: "", maxEventsPerRequest: 1, maxConcurrentRequests: 16 };

const newShape = strict({
  url: fields.url,
  types: Type.Optional(types),
  description: Type.Optional({ ...fields.description, default: webhookDefaults.description }),
  maxEventsPerRequest: Type.Optional({
    ...fields.maxEventsPerRequest,
    default: webhookDefaults.maxEventsPerRequest,
  }),
  maxConcurrentRequests: Type.Optional({
    ...fields.maxConcurrentRequests,
    default: webhookDefaults.maxConcurrentRequests,
  }),
});
export const newWebhook = component<Static<typeof newShape>>("NewWebhook", newShape);

const patchShape = strict(
  {
    ...Type.Partial(Type.Object(fields)).properties,
    types: Type.Optional(
      Type.Unsafe<EventType[] | null>({ ...types, type: ["array", "null"], description: "null: all" }),
    ),
  },
  { minProperties: 1, description: "The fields to change" },
);
export const webhookPatch = component<Static<typeof patchShape>>("WebhookPatch", patchShape);

const rotationShape = strict({
  graceHours: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: maxGraceHours,
      default: defaultGraceHours,
      description: "so long the secret before signs as well",
    }),
  ),
});
export const secretRotation = component<Static<typeof rotationShape>>("SecretRotation", rotationShape);

const nullable = (type: string, description: string) =>
  Type.Unsafe<number | null>({ type: [type, "null"], description });
const time = (description: string) => nullableText(`${description}, RFC 3339 UTC`);

export const webhookShape = Type.Object({
  id: Type.String(),
  clientId: Type.String({ description: "whose it is" }),
  everything: Type.Boolean({ description: "made with an admin key: every client's orders, and channels" }),
  ...fields,
  types: Type.Unsafe<readonly EventType[] | null>({
    type: ["array", "null"],
    items: oneOf<EventType>(eventTypes),
    description: "null: all",
  }),
  status: oneOf(["active", "paused"] as const),
  pausedReason: nullableText("who or what paused it"),
  pausedAt: time("since when"),
  previousSecretUntil: time("until then the secret before signs as well"),
  version: Type.Integer({ description: "grows with every change; the ETag" }),
  createdAt: instant("RFC 3339 UTC"),
  updatedAt: instant("RFC 3339 UTC"),
  delivery: Type.Object({
    state: oneOf(["ok", "failing", "down"] as const, {
      description: "failing: the last request failed; down: ten in a row did, one at a time asks on",
    }),
    lagEvents: Type.Integer({ description: "events that it has not passed, whether they are for it or not" }),
    pendingEvents: Type.Integer({
      description: "events that wait to be sent again, or behind one that does",
    }),
    delivered: Type.Integer({ description: "events" }),
    retried: Type.Integer({ description: "events sent again" }),
    dead: Type.Integer({ description: "events given up: dead letters" }),
    successRate: nullable("number", "of all requests, 0 to 1"),
    meanResponseMs: nullable("number", "of all requests"),
    lastDeliveredAt: time("when it last took an event"),
    failingSince: time("since when nothing gets through"),
    nextTryAt: time("nothing is sent before"),
    lastError: nullableText("of the last request, when it failed"),
  }),
});
export const webhook = component<Webhook>("Webhook", webhookShape);
export const webhookList = listOf(webhook.ref);

const secret = Type.String({
  description: "whsec_…, verifies signatures (Standard Webhooks); shown this once",
});
export const webhookWithSecret = component<Webhook & { secret: string }>(
  "WebhookWithSecret",
  Type.Object({ ...webhookShape.properties, secret }),
);

export const ping = component<Ping>(
  "Ping",
  Type.Object({
    delivered: Type.Boolean(),
    status: Type.Integer({ description: "what it answered; 0: nothing" }),
    responseMs: Type.Integer(),
    reason: nullableText("why it failed"),
  }),
);

export const pageQuery = strict(cursorQuery);

const letterFilter = {
  subscriber: Type.Optional(
    Type.String({
      maxLength: 64,
      pattern: printable,
      description: "a webhook's id, or schema: what did not fit its schema",
    }),
  ),
  subject: Type.Optional(
    Type.String({ maxLength: 64, pattern: printable, description: "an order's or a channel's id" }),
  ),
  type: Type.Optional(oneOf<EventType>(eventTypes)),
  from: Type.Optional(instant("made at or after")),
  to: Type.Optional(instant("made before")),
};
export const deadLetterQuery = strict({
  ...letterFilter,
  replayed: Type.Optional(Type.Boolean({ description: "only those that were, or were not, sent again" })),
  ...cursorQuery,
});

export const deadLetterShape = Type.Object({
  id: Type.String(),
  subscriber: Type.String({
    description: "the webhook's id; schema: the event itself was bad, nobody got it",
  }),
  clientId: nullableText("whose; null: operators'"),
  eventId: Type.String(),
  eventType: nullableText("null: of a whole row of events"),
  subject: Type.String(),
  reason: Type.String({ description: "why it was given up" }),
  attempts: Type.Integer(),
  event: Type.Unsafe<unknown>({ description: "as it was to be sent; of a bad one, what its writer wrote" }),
  createdAt: instant("RFC 3339 UTC"),
  replayedAt: time("when it was sent again"),
});
export const deadLetter = component<DeadLetter>("DeadLetter", deadLetterShape);
export const deadLetterList = listOf(deadLetter.ref);

const replayShape = strict({
  ...letterFilter,
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: maxReplays, default: maxReplays, description: "the oldest so many" }),
  ),
});
export const replayBody = component<Static<typeof replayShape>>("Replay", replayShape);
export const replayed = component<{ replayed: number }>(
  "Replayed",
  Type.Object({ replayed: Type.Integer({ description: "how many are sent again" }) }),
);
