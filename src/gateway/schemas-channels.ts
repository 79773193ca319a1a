import { type Static, Type } from "typebox";
import {
  type CancellationRules,
  type Channel,
  type ChannelType,
  channelTypes,
  type HealthSign,
  type RankedChannel,
  type SlotView,
  type Vehicle,
  vehicles,
} from "../capacity/api.ts";
import type { CallbackKind, CallbackResult } from "../orchestration/api.ts";
import type { DifferenceView } from "../reconciliation/api.ts";
import {
  component,
  currency,
  cursorQuery,
  instant,
  line,
  listOf,
  location,
  minor,
  nullableText,
  oneOf,
  printable,
  strict,
} from "./schemas.ts";

/** Slots in one PUT of capacity at most. */
export const maxSlotsPerPut = 2_000;

const endpoint = Type.String({
  maxLength: 500,
  format: "http-url",
  description: "where the channel protocol is spoken (docs/channel-protocol.md)",
});

const costModel = strict({
  currency,
  baseMinor: minor("each delivery"),
  perKmMinor: minor("each kilometre"),
  perUnitMinor: minor("each meal"),
});

const cancellationFields = {
  until: oneOf<CancellationRules["until"]>(["confirmed", "preparing", "ready"], {
    description: "the last status in which it can be",
  }),
  feeMinor: minor("what the channel charges"),
  freeMinutesBefore: Type.Integer({
    minimum: 0,
    maximum: 100_000,
    description: "free until so many minutes before the promised window",
  }),
};

const channelFields = {
  name: line(200),
  location,
  serviceRadiusMeters: Type.Integer({ minimum: 1, maximum: 200_000 }),
  vehicles: Type.Array(oneOf<Vehicle>(vehicles), { minItems: 1, uniqueItems: true }),
  endpoint: Type.Optional(endpoint),
  partners: Type.Optional(
    Type.Array(strict({ id: line(64), name: line(200), endpoint }), {
      minItems: 1,
      maxItems: 20,
      description: "members of a partner network",
    }),
  ),
  costModel,
  tracksStock: Type.Optional(
    Type.Boolean({
      description: "its orders also take of its stock (PUT …/stock); absent: it is not counted",
    }),
  ),
  cancellation: Type.Optional(
    strict(cancellationFields, {
      description: "until when a confirmed order can be cancelled; absent: until it is prepared, for nothing",
    }),
  ),
};

// What may be left out when a channel is made.
export const channelDefaults = {
  quality: 0.8,
  preparationMinutes: 15,
  bookTimeoutMs: 2_000,
  maxConcurrentCalls: 16,
};

const tuning = {
  quality: Type.Number({ minimum: 0, maximum: 1, description: "0 (worst) to 1, as operations rate it" }),
  preparationMinutes: Type.Integer({
    minimum: 0,
    maximum: 1_440,
    description: "confirmation until it can leave",
  }),
  bookTimeoutMs: Type.Integer({
    minimum: 50,
    maximum: 60_000,
    description: "how long a call to it may take",
  }),
  maxConcurrentCalls: Type.Integer({ minimum: 1, maximum: 1_000, description: "calls to it at once" }),
};

const newChannelShape = strict(
  {
    type: oneOf<ChannelType>(channelTypes),
    ...channelFields,
    quality: Type.Optional({ ...tuning.quality, default: channelDefaults.quality }),
    preparationMinutes: Type.Optional({
      ...tuning.preparationMinutes,
      default: channelDefaults.preparationMinutes,
    }),
    bookTimeoutMs: Type.Optional({ ...tuning.bookTimeoutMs, default: channelDefaults.bookTimeoutMs }),
    maxConcurrentCalls: Type.Optional({
      ...tuning.maxConcurrentCalls,
      default: channelDefaults.maxConcurrentCalls,
    }),
  },
  {
    description:
      "external_partner needs `endpoint`, partner_network `partners`; kitchens and dark stores take neither",
  },
);
export type NewChannelBody = Static<typeof newChannelShape>;
export const newChannel = component<NewChannelBody>("NewChannel", newChannelShape);

const patchShape = strict(
  {
    ...Type.Partial(Type.Object({ ...channelFields, ...tuning })).properties,
    status: Type.Optional(oneOf(["active", "paused"] as const)),
    health: Type.Optional(oneOf(["up", "degraded", "down"] as const)),
  },
  { minProperties: 1, description: "The fields to change; the type of a channel never changes" },
);
export type ChannelPatchBody = Static<typeof patchShape>;
export const channelPatch = component<ChannelPatchBody>("ChannelPatch", patchShape);

/** Every field of Channel: the serializer writes no other (a test compares the types). */
export const channelShape = Type.Object({
  id: Type.String(),
  type: oneOf<ChannelType>(channelTypes),
  name: Type.String(),
  location: Type.Object({ lat: Type.Number(), lng: Type.Number() }),
  serviceRadiusMeters: Type.Number(),
  vehicles: Type.Array(oneOf<Vehicle>(vehicles)),
  endpoint: Type.Optional(Type.String()),
  partners: Type.Optional(
    Type.Array(Type.Object({ id: Type.String(), name: Type.String(), endpoint: Type.String() })),
  ),
  costModel: Type.Object({
    currency: Type.String(),
    baseMinor: Type.Integer(),
    perKmMinor: Type.Integer(),
    perUnitMinor: Type.Integer(),
  }),
  tracksStock: Type.Optional(Type.Boolean()),
  cancellation: Type.Optional(Type.Object(cancellationFields)),
  quality: Type.Number(),
  preparationMinutes: Type.Number(),
  bookTimeoutMs: Type.Integer(),
  maxConcurrentCalls: Type.Integer(),
  status: oneOf(["active", "paused"] as const),
  health: oneOf(["up", "degraded", "down"] as const),
  openCircuits: Type.Optional(
    Type.Array(
      Type.Object({
        partner: Type.Optional(Type.String({ description: "member of a network" })),
        since: instant("RFC 3339 UTC"),
        detail: Type.String({ description: "what its last failure was" }),
      }),
      { description: "addresses that are left alone after they failed repeatedly" },
    ),
  ),
  healthSigns: Type.Optional(
    Type.Array(
      Type.Object({
        sign: oneOf<HealthSign["sign"]>(["errors", "lateness"]),
        since: instant("RFC 3339 UTC"),
        detail: Type.String(),
      }),
      { description: "what was measured of late and speaks against its health" },
    ),
  ),
  healthSet: Type.Optional(
    Type.Unsafe<true>({
      type: "boolean",
      enum: [true],
      description: "an operator has set `health` otherwise than circuits and signs say: it stays so",
    }),
  ),
  version: Type.Integer({ description: "grows with every change; the ETag" }),
  createdAt: instant("RFC 3339 UTC"),
  updatedAt: instant("RFC 3339 UTC"),
});
export const channel = component<Channel>("Channel", channelShape);
export const channelList = listOf(channel.ref);

export const createdChannel = component<Channel & { callbackSecret: string }>(
  "CreatedChannel",
  Type.Object({
    ...channelShape.properties,
    callbackSecret: Type.String({ description: "signs callbacks (Standard Webhooks); shown this once" }),
  }),
);

export const channelQuery = strict(cursorQuery);
export type ChannelQuery = Static<typeof channelQuery>;

const slot = strict({
  start: instant("RFC 3339"),
  end: instant("RFC 3339, after start"),
  capacity: Type.Integer({ minimum: 0, maximum: 1_000_000, description: "meals" }),
});
const capacityShape = strict({ slots: Type.Array(slot, { minItems: 1, maxItems: maxSlotsPerPut }) });
export const capacityBody = component<Static<typeof capacityShape>>("Capacity", capacityShape);

export const capacityView = component<{ slots: readonly SlotView[] }>(
  "CapacityView",
  Type.Object({
    slots: Type.Array(
      Type.Object({
        id: Type.String(),
        start: instant("RFC 3339 UTC"),
        end: instant("RFC 3339 UTC"),
        capacity: Type.Integer(),
        sellable: Type.Integer({
          description: "the capacity with the schedule's overbooking and safety margins",
        }),
        reserved: Type.Integer({ description: "of it, taken by orders" }),
      }),
    ),
  }),
);

export const capacityQuery = strict({
  from: Type.Optional(instant("slots that end after this; default: now")),
  to: Type.Optional(instant("slots that start before this; default: 7 days after `from`")),
});

export const rankingQuery = strict({
  lat: Type.Number({ minimum: -90, maximum: 90 }),
  lng: Type.Number({ minimum: -180, maximum: 180 }),
  slot: instant("a moment inside the wanted slot"),
  vehicle: Type.Optional(oneOf<Vehicle>(vehicles)),
});

export const rankedChannel = component<RankedChannel>(
  "RankedChannel",
  Type.Object({
    channelId: Type.String(),
    name: Type.String(),
    type: oneOf<ChannelType>(channelTypes),
    score: Type.Number(),
    distanceMeters: Type.Number(),
    costMinor: Type.Integer(),
    currency: Type.String(),
    slot: Type.Object({ id: Type.String(), start: instant("RFC 3339 UTC"), end: instant("RFC 3339 UTC") }),
    remaining: Type.Integer({ description: "meals that still fit" }),
  }),
);
export const rankings = listOf(rankedChannel.ref);

const callbackKinds = ["preparing", "ready", "dispatched", "delivered", "undelivered", "refused"] as const;

const callbackShape = strict({
  callbackId: line(128, { description: "your id of this report: a repeat is recognised by it" }),
  attemptKey: line(64, { description: "the booking's key: ord_….<leg>.<attempt>" }),
  kind: oneOf<CallbackKind>(callbackKinds),
  at: instant("when it happened"),
  reason: Type.Optional(Type.String({ maxLength: 500, pattern: printable })),
});
export const callback = component<Static<typeof callbackShape>>("Callback", callbackShape);

export const callbackHeaders = Type.Object({
  "webhook-id": Type.Optional(Type.String({ description: "Standard Webhooks: id of the message" })),
  "webhook-timestamp": Type.Optional(Type.String({ description: "Standard Webhooks: seconds since 1970" })),
  "webhook-signature": Type.Optional(
    Type.String({ description: "Standard Webhooks: v1,<HMAC-SHA256, base64>" }),
  ),
});

export const callbackAnswer = component<{
  result: Exclude<CallbackResult["kind"], "refused">;
  detail: string;
}>(
  "CallbackAnswer",
  Type.Object({
    result: oneOf(["applied", "kept", "ignored", "duplicate"] as const),
    detail: Type.String(),
  }),
);

export const difference = component<DifferenceView>(
  "BookingDifference",
  Type.Object(
    {
      id: Type.String(),
      channelId: Type.String(),
      partner: Type.Optional(Type.String({ description: "member of a network" })),
      key: Type.String({ description: "the booking's key: ord_….<leg>.<attempt>" }),
      orderId: Type.String(),
      kind: oneOf<DifferenceView["kind"]>(["unowned", "missing", "unknown"]),
      detail: Type.String(),
      repair: Type.Unsafe<DifferenceView["repair"]>({
        type: ["string", "null"],
        description: "cancel, reroute; null: people have to look",
      }),
      firstSeenAt: instant("RFC 3339 UTC"),
      lastSeenAt: instant("RFC 3339 UTC"),
      settledAt: nullableText("when it was put right or was there no more, RFC 3339 UTC; null: it is open"),
    },
    { description: "A booking that its channel has otherwise than we do" },
  ),
);
