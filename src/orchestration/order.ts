import type { ChannelType, Vehicle } from "../capacity/api.ts";
import { shortForms } from "../relay/snapshot.ts";
import type { OrderStatus } from "./order-state.ts";

export interface LatLng {
  lat: number;
  lng: number;
}

/** RFC 3339 UTC; `end` is after `start`. */
export interface Window {
  start: string;
  end: string;
}

export interface LineItem {
  sku: string;
  quantity: number;
  unitPriceMinor: number;
}

/** What was asked, without personal data: never changes but by PATCH. Stored as `orders.doc`; the first half of the view. */
export interface OrderDoc {
  id: string;
  externalId?: string;
  customerId: string;
  currency: string;
  items: readonly LineItem[];
  delivery: { location: LatLng; window: Window; vehicle?: Vehicle };
  priority: Priority;
  routing?: { channelTypes?: readonly ChannelType[]; maxCostMinor?: number };
  metadata: Record<string, unknown>;
  createdAt: string;
}

export type Priority = "express" | "standard" | "bulk";

/** Kept apart (table order_contacts): in no event, log or metric. */
export interface PersonalData {
  address?: { line1: string; line2?: string; city: string; postalCode?: string; countryCode: string };
  contact?: { name: string; phone: string };
  instructions?: string;
}

/** The part of the order that one channel fulfils; nearly every order has one. */
export interface Leg {
  leg: number;
  attempt: number;
  channel: { id: string; type: ChannelType };
  slot: Window;
  promised: Window;
  costMinor: number;
  bookingRef?: string;
}

/** What became of the order: rewritten by every version. Stored as `orders.state`; the second half of the view, with its short forms. */
export interface OrderState {
  status: OrderStatus;
  version: number;
  updatedAt: string;
  /** What went wrong: set with failing, failed, cancelling, cancelled, rerouting, undelivered, stuck, and when it is late. */
  reason?: Reason;
  legs: readonly Leg[];
  /** What the channel charges for the cancellation; absent: nothing. */
  cancellationFeeMinor?: number;
  /** The end of the promised window, once it has passed without delivery. */
  lateSince?: string;
  /** Oldest first; what the customer said is personal data, kept apart. */
  complaints?: readonly Complaint[];
}

/** What a customer was not content with, and whose doing it was. */
export interface Complaint {
  id: string;
  kind: ComplaintKind;
  /** RFC 3339. */
  at: string;
  channelId: string;
}

export const complaintKinds = [
  "late",
  "missing_item",
  "wrong_item",
  "quality",
  "damaged",
  "courier",
  "other",
] as const;
export type ComplaintKind = (typeof complaintKinds)[number];

export interface Reason {
  code: ReasonCode;
  detail: string;
}

export type ReasonCode =
  | "not_serviceable" // no channel's radius, type, vehicle or currency fits
  | "no_slot" // channels fit, but none has a slot in the window
  | "too_late" // the window ends before any channel can be there
  | "too_expensive" // all that fit cost more than routing.maxCostMinor
  | "no_capacity" // channels fit and were full until the promise could no longer be kept
  | "refused_by_channels" // three channels, or all that fit, said no
  | "channel_unreachable" // asked and asked, never an answer in time
  | "given_back" // the channel gave the order back after confirming
  | "late" // the promised window has passed; it is on its way all the same
  | "not_reported" // the channel never reported delivery
  | "not_at_home" // the door stayed shut
  | "too_late_to_undo" // it was being cancelled, but the food had left
  | "changing" // it moves to where the change can be done; until then it stands as it was
  | "change_refused" // it stands as it was
  | "rerouted_by_operator"
  | "cancelled_by_client"
  | "cancelled_by_operator"
  | "undo_failed";

/** The order as the API shows it: doc and state, merged, and the short forms of its only leg. */
export type OrderView = OrderDoc &
  OrderState &
  Partial<Pick<Leg, "channel" | "bookingRef" | "promised" | "costMinor">>;

export const viewOf = (doc: OrderDoc, state: OrderState): OrderView => ({
  ...doc,
  ...state,
  ...shortForms(state.legs),
});
