import type { SagaStep } from "./steps.ts";
import {
  awardOffer,
  bookChannel,
  cancelBooking,
  confirmOrder,
  nothing,
  releaseCapacity,
  reserveCapacity,
} from "./steps.ts";

/**
 * The order's way. READ FIRST.
 *
 * Each step takes a set of orders and answers for each, in order: done, refused, retry, unknown. Where a step needs no outside call
 * (our own kitchens and dark stores), it shares the commit of the one before. When a step fails, what was done is undone in reverse:
 * refused by its channel, an order is undone down to `reserve` and routed again; given up, it is undone whole.
 *
 *   step      from                  to                    what it does                           undo
 */
export const fulfillOrder = saga("fulfill-order", 1, [
  {
    name: "reserve",
    from: ["received", "rerouting"],
    to: "reserved",
    do: reserveCapacity,
    undo: releaseCapacity,
  },
  {
    name: "offer",
    from: ["reserved"],
    to: "reserved",
    do: awardOffer,
    undo: nothing,
    only: "partner_network",
  },
  { name: "book", from: ["reserved"], to: "booked", do: bookChannel, undo: cancelBooking },
  { name: "confirm", from: ["booked"], to: "confirmed", do: confirmOrder, undo: nothing },
]);

export interface Saga {
  readonly name: string;
  readonly version: number;
  readonly steps: readonly SagaStep[];
}

function saga(name: string, version: number, steps: readonly SagaStep[]): Saga {
  return { name, version, steps };
}
