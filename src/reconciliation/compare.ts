import type { LedgerEntry } from "../channels/api.ts";
import type { OrderStatus } from "../orchestration/order-state.ts";

/** An attempt as we have it. */
export interface OurAttempt {
  key: string;
  orderId: string;
  status: OrderStatus;
  booking: string;
  partner: string | null;
}

/** What a channel says of one key; `none`: it never heard of it. */
export interface TheirBooking {
  key: string;
  state: LedgerEntry["state"] | "none";
}

export interface Difference {
  key: string;
  orderId: string;
  /**
   * `unowned`: the channel has a booking that we gave up. `missing`: it has none that we count on. `unknown`: it has one of an
   * attempt that we never made.
   */
  kind: "unowned" | "missing" | "unknown";
  detail: string;
  /** How it is put right; null: people have to look. */
  repair: "cancel" | "reroute" | null;
}

/** Still at the channel, so that another can take it over. */
const mayBeRerouted: ReadonlySet<OrderStatus> = new Set(["confirmed", "preparing", "ready", "stuck"]);

/**
 * What is wrong with one key, as its channel (in a network: this member) and we have it; null: nothing. Pure. Ours must have been read
 * after theirs. What is called wrong then is so whatever happened in between: a key that we gave up is never booked again, and one that
 * a channel gave up never comes back.
 */
export function compare(
  their: TheirBooking,
  ours: OurAttempt | undefined,
  partner: string | undefined,
): Difference | null {
  const { key, state } = their;
  const orderId = key.split(".")[0]!;
  if (state === "booked") {
    if (!ours) {
      const detail =
        "It is booked, and we never made this attempt: another installation's, or from before a restore?";
      return { key, orderId, kind: "unknown", detail, repair: null };
    }
    const elsewhere = ours.partner !== null && partner !== undefined && ours.partner !== partner;
    const givenUp = ours.booking === "cancelled" || ours.booking === "refused";
    if (!givenUp && !elsewhere) return null;
    const detail = `It is booked; we have it as ${elsewhere ? `awarded to ${ours.partner}` : ours.booking}, the order is ${ours.status}.`;
    return { key, orderId, kind: "unowned", detail, repair: "cancel" };
  }
  if (state === "held" || !ours || ours.booking !== "booked") return null;
  if (ours.partner !== null && partner !== undefined && ours.partner !== partner) return null;
  if (!mayBeRerouted.has(ours.status) && ours.status !== "dispatched") return null;
  const detail = `It is ${state === "none" ? "not known" : state} there; we count on it, the order is ${ours.status}.`;
  return { key, orderId, kind: "missing", detail, repair: mayBeRerouted.has(ours.status) ? "reroute" : null };
}
