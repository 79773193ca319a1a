import { type Static, Type } from "typebox";
import { type ChannelType, channelTypes, type Vehicle, vehicles } from "../capacity/api.ts";
import type { OrderDecision } from "../orchestration/api.ts";
import type { OrderView, PersonalData, Priority, ReasonCode } from "../orchestration/order.ts";
import { type ComplaintKind, complaintKinds } from "../orchestration/order.ts";
import { type OrderStatus, orderStatuses } from "../orchestration/order-state.ts";
import type { Problem } from "../platform/errors.ts";
import {
  component,
  currency,
  cursorQuery,
  event,
  instant,
  line,
  listOf,
  location,
  minor,
  oneOf,
  printableLines,
  problemWithOrder,
  strict,
  timeWindow,
} from "./schemas.ts";

/** Orders in one batch request at most; more are refused as a whole. */
export const maxBatchItems = 5_000;
export const maxMetadataBytes = 16_384;
export const maxMetadataDepth = 16;

export const priorities = ["express", "standard", "bulk"] as const satisfies readonly Priority[];

const lineItem = strict({
  sku: line(128),
  quantity: Type.Integer({ minimum: 1, maximum: 1_000 }),
  unitPriceMinor: minor("price of one"),
});

const address = strict({
  line1: line(200),
  line2: Type.Optional(line(200, { minLength: 0 })),
  city: line(100),
  postalCode: Type.Optional(line(20, { minLength: 0 })),
  countryCode: Type.String({ pattern: "^[A-Z]{2}$", description: "ISO 3166-1 alpha-2" }),
});

const contact = strict({ name: line(200), phone: line(32) });

const instructions = Type.String({ maxLength: 1_000, pattern: printableLines });

const routing = strict({
  channelTypes: Type.Optional(
    Type.Array(oneOf<ChannelType>(channelTypes), {
      minItems: 1,
      uniqueItems: true,
      description: "only these types",
    }),
  ),
  maxCostMinor: Type.Optional(minor("what the delivery may cost at most")),
});

const metadata = Type.Unsafe<Record<string, unknown>>({
  type: "object",
  additionalProperties: true,
  description: `yours: kept and shown; routing policies may look at \`tags\` (a list) and \`customerTier\`; at most ${maxMetadataBytes} bytes and ${maxMetadataDepth} levels`,
});

export const newOrderFields = {
  externalId: Type.Optional(
    line(128, { description: "your id of it; also the idempotency key when no header gives one" }),
  ),
  customerId: line(128),
  currency,
  items: Type.Array(lineItem, { minItems: 1, maxItems: 100 }),
  delivery: strict({
    location,
    address: Type.Optional(address),
    window: timeWindow,
    vehicle: Type.Optional(oneOf<Vehicle>(vehicles)),
    contact: Type.Optional(contact),
    instructions: Type.Optional(instructions),
  }),
  priority: Type.Optional(oneOf(priorities, { default: "standard" })),
  routing: Type.Optional(routing),
  metadata: Type.Optional(metadata),
};

const example = {
  externalId: "cal-1001",
  customerId: "cus_42",
  currency: "AED",
  items: [{ sku: "meal-123", quantity: 2, unitPriceMinor: 4_500 }],
  delivery: {
    location: { lat: 25.0772, lng: 55.1405 },
    address: { line1: "Marina Walk 12", city: "Dubai", countryCode: "AE" },
    window: { start: "2030-11-24T08:00:00Z", end: "2030-11-24T10:00:00Z" },
    vehicle: "bike",
  },
};

const newOrderShape = strict(newOrderFields, {
  description: "An order as a client places it",
  examples: [example],
});
export type NewOrder = Static<typeof newOrderShape>;
export const newOrder = component<NewOrder>("NewOrder", newOrderShape);

export const idempotencyKeyPattern = "^[\\x21-\\x7e](?:[\\x20-\\x7e]*[\\x21-\\x7e])?$";
const idempotencyKey = Type.String({ minLength: 1, maxLength: 255, pattern: idempotencyKeyPattern });

const batchItemShape = strict({ ...newOrderFields, idempotencyKey: Type.Optional(idempotencyKey) });
export type BatchItem = Static<typeof batchItemShape>;
export const batchItem = component<BatchItem>("BatchItem", batchItemShape);

export const batchBody = component<{ orders: readonly unknown[] }>(
  "Batch",
  strict({ orders: Type.Array(batchItem.ref, { minItems: 1, maxItems: maxBatchItems }) }),
);

/** What the batch route itself insists on; each item is validated by itself, so that a bad one fails alone. */
export const batchEnvelope = strict({
  orders: Type.Array(Type.Unknown(), { minItems: 1, maxItems: maxBatchItems }),
});

export const placeHeaders = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: idempotencyKeyPattern,
      description: "the same key and body again answer with the same order; kept for at least 7 days",
    }),
  ),
  prefer: Type.Optional(
    Type.String({ maxLength: 255, description: "`respond-async`: answer 202 as soon as it is stored" }),
  ),
});

const orderPatchShape = strict(
  {
    items: Type.Optional(newOrderFields.items),
    delivery: Type.Optional(
      strict(
        {
          location: Type.Optional(location),
          window: Type.Optional(timeWindow),
          address: Type.Optional(address),
          contact: Type.Optional(contact),
          instructions: Type.Optional(instructions),
        },
        { minProperties: 1 },
      ),
    ),
  },
  { minProperties: 1, description: "What to change; each field that is there replaces the one that was" },
);
export type OrderPatch = Static<typeof orderPatchShape>;
export const orderPatch = component<OrderPatch>("OrderPatch", orderPatchShape);

/** Headers and body of what an operator does with an order. */
export const actHeaders = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: idempotencyKeyPattern,
      description: "a repeat with the same key changes nothing and answers with the order as it is",
    }),
  ),
});
const actFields = { reason: line(500, { description: "why, for the audit trail; clients don't see it" }) };
const actShape = strict(actFields);
const rerouteShape = strict({
  ...actFields,
  lost: Type.Optional(
    Type.Boolean({
      description: "true: its channel is lost; it is left without its word, and you answer for it",
    }),
  ),
});
export const rerouteAct = component<Static<typeof rerouteShape>>("RerouteAct", rerouteShape);
export const operatorAct = component<Static<typeof actShape>>("OperatorAct", actShape);

const channelRef = Type.Object({ id: Type.String(), type: oneOf<ChannelType>(channelTypes) });
const shownWindow = Type.Object({ start: instant("RFC 3339 UTC"), end: instant("RFC 3339 UTC") });
const amount = Type.Integer({ description: "minor units of the order's currency" });

const leg = Type.Object({
  leg: Type.Integer(),
  attempt: Type.Integer(),
  channel: channelRef,
  slot: shownWindow,
  promised: shownWindow,
  costMinor: amount,
  bookingRef: Type.Optional(Type.String()),
});

const reason = Type.Object({
  code: Type.Unsafe<ReasonCode>({ type: "string" }),
  detail: Type.String(),
});

const shownItem = Type.Object({ sku: Type.String(), quantity: Type.Integer(), unitPriceMinor: amount });

const shownDelivery = Type.Object({
  location: Type.Object({ lat: Type.Number(), lng: Type.Number() }),
  window: shownWindow,
  vehicle: Type.Optional(oneOf<Vehicle>(vehicles)),
  address: Type.Optional(
    Type.Object({
      line1: Type.String(),
      line2: Type.Optional(Type.String()),
      city: Type.String(),
      postalCode: Type.Optional(Type.String()),
      countryCode: Type.String(),
    }),
  ),
  contact: Type.Optional(Type.Object({ name: Type.String(), phone: Type.String() })),
  instructions: Type.Optional(Type.String()),
});

/** The order's schema must name every field of OrderView: the serializer writes no other (a test compares the types). */
export const orderShape = Type.Object(
  {
    id: Type.String(),
    status: oneOf<OrderStatus>(orderStatuses, { description: "docs/order-states.md" }),
    version: Type.Integer({ description: "grows with every change; the ETag" }),
    externalId: Type.Optional(Type.String()),
    customerId: Type.String(),
    currency: Type.String(),
    items: Type.Array(shownItem),
    delivery: shownDelivery,
    priority: oneOf(priorities),
    routing: Type.Optional(
      Type.Object({
        channelTypes: Type.Optional(Type.Array(oneOf<ChannelType>(channelTypes))),
        maxCostMinor: Type.Optional(amount),
      }),
    ),
    metadata: Type.Unsafe<Record<string, unknown>>({ type: "object", additionalProperties: true }),
    reason: Type.Optional(reason),
    legs: Type.Array(leg, { description: "the parts that one channel each fulfils; nearly always one" }),
    channel: Type.Optional(channelRef),
    bookingRef: Type.Optional(Type.String()),
    promised: Type.Optional(shownWindow),
    costMinor: Type.Optional(amount),
    cancellationFeeMinor: Type.Optional(
      Type.Integer({ description: "what the channel charges for the cancellation" }),
    ),
    lateSince: Type.Optional(instant("the end of the promised window, once it has passed without delivery")),
    complaints: Type.Optional(
      Type.Array(
        Type.Object({
          id: Type.String(),
          kind: oneOf<ComplaintKind>(complaintKinds),
          at: instant("RFC 3339 UTC"),
          channelId: Type.String({ description: "the channel that had the order then" }),
        }),
        { description: "oldest first" },
      ),
    ),
    createdAt: instant("RFC 3339 UTC"),
    updatedAt: instant("RFC 3339 UTC"),
  },
  { description: "`channel`, `bookingRef`, `promised` and `costMinor` are short forms of the only leg's" },
);

/** An order with its personal data, for those who may see it. */
export type OrderWithPersonal = Omit<OrderView, "delivery"> & {
  delivery: OrderView["delivery"] & PersonalData;
};
export const order = component<OrderView | OrderWithPersonal>("Order", orderShape);
export const orderList = listOf(order.ref);

export interface BatchResult {
  status: number;
  order?: OrderView;
  problem?: Problem & { order?: OrderView };
  replayed?: boolean;
  idempotencyKey?: string;
}

export const batchResults = component<{ results: readonly BatchResult[] }>(
  "BatchResults",
  Type.Object({
    results: Type.Array(
      Type.Object({
        status: Type.Integer({ description: "what POST /v1/orders would have answered" }),
        order: Type.Optional(order.ref),
        problem: Type.Optional(problemWithOrder.ref),
        replayed: Type.Optional(Type.Boolean({ description: "true: the key was known, this is its order" })),
        idempotencyKey: Type.Optional(
          Type.String({ description: "the key that was made for an item without one" }),
        ),
      }),
      { description: "in input order" },
    ),
  }),
);

export const orderQuery = strict({
  customerId: Type.Optional(line(128)),
  status: Type.Optional(oneOf<OrderStatus>(orderStatuses)),
  channelId: Type.Optional(line(64)),
  from: Type.Optional(instant("created at this time or later")),
  to: Type.Optional(instant("created before this time")),
  ...cursorQuery,
});
export type OrderQuery = Static<typeof orderQuery>;

export const timeline = listOf(event.ref);

const decisionShape = Type.Object({
  policy: Type.String({ description: "the routing policy and its version" }),
  method: oneOf<OrderDecision["method"]>(["best_each", "greedy", "round_robin"]),
  summary: Type.String({ description: "who was chosen and how, in words" }),
  attempt: Type.Unsafe<OrderDecision["attempt"]>({
    type: ["object", "null"],
    description: "what it led to; null: nobody was found",
    properties: {
      leg: Type.Integer(),
      attempt: Type.Integer(),
      at: instant("RFC 3339 UTC"),
      channelId: Type.String(),
      booking: Type.String({
        description: "pending, booked, refused, cancelled; holding, held while it moves",
      }),
    },
  }),
  chosen: Type.Unsafe<OrderDecision["chosen"]>({
    type: ["object", "null"],
    properties: { channelId: Type.String(), name: Type.String(), score: Type.Number() },
  }),
  candidates: Type.Array(
    Type.Object({
      channelId: Type.String(),
      name: Type.String(),
      score: Type.Number({ description: "higher is better" }),
      costMinor: amount,
      etaMinutes: Type.Number({ description: "from then, or the window's start when that is later" }),
      usedPercent: Type.Integer({ description: "of its slot, with this order in it" }),
      qualityPercent: Type.Integer(),
      adjustment: Type.Number({ description: "what the policy's rules added to its penalty" }),
      price: Type.Optional(
        Type.Number({
          description: "added to its penalty since its room will be short; absent where it won't",
        }),
      ),
      why: Type.String({ description: "in words: chosen, or why not" }),
    }),
    { description: "best first; the best few" },
  ),
  excluded: Type.Array(
    Type.Object({
      reason: Type.Unsafe<OrderDecision["excluded"][number]["reason"]>({ type: "string" }),
      channels: Type.Integer({ description: "how many" }),
      text: Type.String(),
    }),
    { description: "channels that were not candidates, by reason" },
  ),
  nearestExcluded: Type.Array(
    Type.Object({
      channelId: Type.String(),
      name: Type.String(),
      distanceMeters: Type.Integer(),
      why: Type.String(),
    }),
  ),
  solver: Type.Optional(
    Type.Object(
      { objective: Type.Number(), bound: Type.Number(), ms: Type.Number() },
      { description: "of the orders that were routed together: what it came to, and what it can't go below" },
    ),
  ),
});

export const decisions = component<{ orderId: string; decisions: readonly OrderDecision[] }>(
  "Decisions",
  Type.Object(
    { orderId: Type.String(), decisions: Type.Array(decisionShape) },
    { description: "How an order was routed, newest first" },
  ),
);
