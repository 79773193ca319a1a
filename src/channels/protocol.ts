import { type Static, Type } from "typebox";
import type { PersonalData } from "../orchestration/order.ts";
import type { BookingRequest, CancelRequest } from "./api.ts";

/** The HTTP protocol of partners as schemas: docs/channel-protocol.md explains it, adapters and simulator speak it. */
export const protocolVersion = "uoop-channel/1";

/** A hold is gone this long after it was asked for: a losing offer that could not be withdrawn ends by itself. */
export const holdForMs = 60_000;

/** Calls in one batch at most, whatever a channel offers: an answer of this many is about 50 kB. */
export const maxBatchCalls = 500;

/** `ord_….<leg>.<attempt>`: the idempotency key of every call. */
const AttemptKey = Type.String({ pattern: "^ord_[0-9a-hjkmnp-tv-z]{26}\\.[0-9]{1,5}\\.[0-9]{1,5}$" });
const Instant = Type.String({ format: "date-time" });
const WindowShape = Type.Object({ start: Instant, end: Instant });

const addressed = {
  channelId: Type.String({ minLength: 1, maxLength: 64 }),
  partner: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
};

const wanted = {
  ...addressed,
  key: AttemptKey,
  orderId: Type.String({ maxLength: 64 }),
  notAfter: Instant,
  items: Type.Array(
    Type.Object({ sku: Type.String(), quantity: Type.Integer(), unitPriceMinor: Type.Integer() }),
    { maxItems: 1_000 },
  ),
  units: Type.Integer({ minimum: 1 }),
  currency: Type.String({ minLength: 3, maxLength: 3 }),
  promised: WindowShape,
  priority: Type.String(),
};
const Location = Type.Object({ lat: Type.Number(), lng: Type.Number() });

/** Asks to keep room until `expiresAt`. Carries no personal data: several partners are asked, one delivers. */
export const HoldCall = Type.Object({
  call: Type.Literal("hold"),
  ...wanted,
  expiresAt: Instant,
  delivery: Type.Object({ location: Location }),
});

export const BookCall = Type.Object({
  call: Type.Literal("book"),
  ...wanted,
  delivery: Type.Object({
    location: Location,
    address: Type.Optional(Type.Record(Type.String(), Type.String())),
    contact: Type.Optional(Type.Record(Type.String(), Type.String())),
    instructions: Type.Optional(Type.String()),
  }),
});

export const CancelCall = Type.Object({
  call: Type.Literal("cancel"),
  ...addressed,
  key: AttemptKey,
  orderId: Type.String({ maxLength: 64 }),
  unlessBooked: Type.Optional(Type.Boolean()),
});

export const BatchCall = Type.Object({
  call: Type.Literal("batch"),
  ...addressed,
  calls: Type.Array(Type.Union([HoldCall, BookCall, CancelCall]), { minItems: 1, maxItems: maxBatchCalls }),
});

export const StatusCall = Type.Object({ call: Type.Literal("status"), ...addressed, key: AttemptKey });

export const ListCall = Type.Object({
  call: Type.Literal("list"),
  ...addressed,
  cursor: Type.Optional(Type.String({ maxLength: 200 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
});

export type HoldCall = Static<typeof HoldCall>;
export type BookCall = Static<typeof BookCall>;
export type CancelCall = Static<typeof CancelCall>;
export type BatchCall = Static<typeof BatchCall>;
export type StatusCall = Static<typeof StatusCall>;
export type ListCall = Static<typeof ListCall>;
export type AttemptCall = HoldCall | BookCall | CancelCall;

/** What a channel answers to hold, book or cancel; in a batch one per call, in its order. */
export const Answer = Type.Object({
  key: Type.String(),
  status: Type.Union([
    Type.Literal("held"),
    Type.Literal("booked"),
    Type.Literal("cancelled"),
    Type.Literal("refused"),
    Type.Literal("retry"),
  ]),
  bookingRef: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  costMinor: Type.Optional(Type.Integer({ minimum: 0 })),
  promised: Type.Optional(WindowShape),
  feeMinor: Type.Optional(Type.Integer({ minimum: 0 })),
  expiresAt: Type.Optional(Instant),
  reason: Type.Optional(Type.String({ maxLength: 200 })),
  detail: Type.Optional(Type.String({ maxLength: 1_000 })),
  retryAfterMs: Type.Optional(Type.Integer({ minimum: 0 })),
});
export type Answer = Static<typeof Answer>;

/** One key as a channel has it, in the answers to status and list; further fields are its own. */
export const LedgerState = Type.Object({
  key: Type.String({ maxLength: 64 }),
  state: Type.Union(
    (["held", "booked", "refused", "cancelled", "tombstone", "none"] as const).map((state) =>
      Type.Literal(state),
    ),
  ),
});
export const LedgerPage = Type.Object({
  items: Type.Array(LedgerState, { maxItems: 1_000 }),
  nextCursor: Type.Union([Type.String({ maxLength: 200 }), Type.Null()]),
});
export type LedgerState = Static<typeof LedgerState>;
export type LedgerPage = Static<typeof LedgerPage>;

/** What a channel can do beside the must: read once in a while, unsigned. */
export const Capabilities = Type.Object({
  protocol: Type.String(),
  batch: Type.Boolean(),
  maxBatch: Type.Optional(Type.Integer({ minimum: 1 })),
});
export type Capabilities = Static<typeof Capabilities>;

/** Where a call goes: the channel, and in a network the member. */
export interface Addressee {
  channelId: string;
  partner?: string;
}

const address = (to: Addressee) => ({
  channelId: to.channelId,
  ...(to.partner === undefined ? {} : { partner: to.partner }),
});

const wants = (to: Addressee, request: BookingRequest) => ({
  ...address(to),
  key: request.key,
  orderId: request.orderId,
  notAfter: request.notAfter,
  items: request.items.map((item) => ({ ...item })),
  units: request.units,
  currency: request.currency,
  promised: request.promised,
  priority: request.priority,
});

export function holdCall(to: Addressee, request: BookingRequest, expiresAt: string): HoldCall {
  return { call: "hold", ...wants(to, request), expiresAt, delivery: { location: request.location } };
}

export function bookCall(to: Addressee, request: BookingRequest): BookCall {
  const delivery = { location: request.location, ...personal(request.personal) };
  return { call: "book", ...wants(to, request), delivery };
}

export function cancelCall(to: Addressee, request: CancelRequest): CancelCall {
  return { call: "cancel", ...address(to), key: request.key, orderId: request.orderId };
}

/** Takes an offer back: ends a hold, leaves a tombstone, but never touches a booking (a late one must do no harm). */
export function withdrawCall(to: Addressee, request: CancelRequest): CancelCall {
  return { ...cancelCall(to, request), unlessBooked: true };
}

function personal(data: PersonalData | null): Omit<BookCall["delivery"], "location"> {
  return {
    ...(data?.address ? { address: { ...data.address } } : {}),
    ...(data?.contact ? { contact: { ...data.contact } } : {}),
    ...(data?.instructions ? { instructions: data.instructions } : {}),
  };
}
