import type { BookingOutcome, CancelOutcome, ChannelAdapter, HoldOutcome, OfferOutcome } from "./api.ts";

/** A kitchen's reference for a booking: the end of the order's id and the attempt, short enough to call out. */
export function kitchenBookingRef(key: string): string {
  const [orderId = "", leg = "", attempt = ""] = key.split(".");
  return `K-${orderId.slice(-8).toUpperCase()}-${leg}-${attempt}`;
}

/**
 * Our own kitchens and dark stores: their slots are ours, so the reservation is the promise and there is nobody to
 * call. Booking the same key again gives the same reference; cancelling is done by releasing the units.
 */
export const kitchenAdapter: ChannelAdapter = {
  local: true,
  batches: true,
  offer: async (channel, requests) =>
    requests.map((): OfferOutcome => ({ kind: "accepted", partner: channel.id })),
  // The units that the order has taken are the room.
  hold: async (_channel, requests) => requests.map((): HoldOutcome => ({ kind: "held" })),
  book: async (_channel, requests) =>
    requests.map(
      (request): BookingOutcome => ({ kind: "booked", bookingRef: kitchenBookingRef(request.key) }),
    ),
  cancel: async (_channel, requests) => requests.map((): CancelOutcome => ({ kind: "cancelled" })),
};
