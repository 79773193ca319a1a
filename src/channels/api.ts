import type { Channel } from "../capacity/api.ts";
import type { LineItem, PersonalData, Window } from "../orchestration/order.ts";

/** One leg of one order, as a channel is asked to take it. `key` is the idempotency key: `ord_….<leg>.<attempt>`. */
export interface BookingRequest {
  key: string;
  orderId: string;
  items: readonly LineItem[];
  units: number;
  currency: string;
  location: { lat: number; lng: number };
  promised: Window;
  priority: "express" | "standard" | "bulk";
  personal: PersonalData | null;
  /** RFC 3339: the channel must not take the booking after this. */
  notAfter: string;
  /** Partner network: the member that won the award; absent elsewhere. */
  partner?: string;
}

/** What came of asking; a "no" is an answer. Never guessed: no answer is `unknown` (I4). */
export type BookingOutcome =
  | { kind: "booked"; bookingRef: string; costMinor?: number; promised?: Window }
  | { kind: "refused"; reason: string }
  | { kind: "retry"; afterMs: number; detail: string } // surely not taken (connection refused, 429, 503 before work)
  | { kind: "unknown"; detail: string }; // timeout, reset, 5xx: may have been taken

export type OfferOutcome =
  | { kind: "accepted"; partner: string } // the first member that holds; the award is recorded before it is booked
  | { kind: "refused"; reason: string } // every member said no
  | { kind: "retry"; afterMs: number; detail: string }
  | { kind: "unknown"; detail: string };

export type HoldOutcome =
  | { kind: "held"; partner?: string } // room is kept for a minute; in a network, by this member
  | { kind: "refused"; reason: string } // also: it takes no holds
  | { kind: "retry"; afterMs: number; detail: string }
  | { kind: "unknown"; detail: string };

export type CancelOutcome =
  | { kind: "cancelled"; feeMinor?: number } // feeMinor: what it charges, where it says so; also: never had it, and will refuse it from now on (tombstone)
  | { kind: "refused"; reason: string } // too late to cancel
  | { kind: "retry"; afterMs: number; detail: string }
  | { kind: "unknown"; detail: string };

export interface CancelRequest {
  key: string;
  orderId: string;
  /** Partner network: the awarded member; without it every member is told. */
  partner?: string;
}

/**
 * The port to fulfillment channels. Batch methods, answers in input order; they never throw for what one order or one
 * partner did. Adapters: kitchen (ours: no call), http (the protocol), network (several members over http).
 */
export interface ChannelAdapter {
  /** No outside call is needed: booking may share a commit with its neighbours. */
  readonly local: boolean;
  /** Whether one call may carry several bookings; otherwise orders are asked one call each. */
  readonly batches: boolean;
  offer(channel: Channel, requests: readonly BookingRequest[]): Promise<readonly OfferOutcome[]>;
  /** Asks to keep room without booking, for an order that moves there (I4). */
  hold(channel: Channel, requests: readonly BookingRequest[]): Promise<readonly HoldOutcome[]>;
  book(channel: Channel, requests: readonly BookingRequest[]): Promise<readonly BookingOutcome[]>;
  cancel(channel: Channel, requests: readonly CancelRequest[]): Promise<readonly CancelOutcome[]>;
}

/** What one address says of its bookings: a partner, or a member of a network. Null: it does not say, or can't be reached now. */
export interface ChannelLedger {
  readonly partner?: string;
  /** A page of every key that it has heard of, oldest first; `cursor` null: from the beginning. */
  list(
    cursor: string | null,
    limit: number,
  ): Promise<{ items: readonly Pick<LedgerEntry, "key" | "state">[]; nextCursor: string | null } | null>;
  status(key: string): Promise<{ key: string; state: LedgerEntry["state"] | "none" } | null>;
}

/** What a channel says it holds, for reconciliation and `uoop check --ledger`. */
export interface LedgerEntry {
  key: string;
  channelId: string;
  partner?: string;
  state: "held" | "booked" | "refused" | "cancelled" | "tombstone";
  bookingRef?: string;
  at: string;
}
