import { holdNew, leaveOld, withdrawNew } from "./move-steps.ts";
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

/**
 * A confirmed order that is changed (PATCH) and can't stay in its slot: see move-steps.ts. The new attempt is recorded and its units are
 * taken before this begins; after it the order is `reserved` and goes on above. Not done, it is confirmed as it was. A cancel
 * undoes both attempts as `book` does.
 */
export const moveOrder = saga("move-order", 1, [
  { name: "hold", from: ["rerouting"], when: "holding", to: "rerouting", do: holdNew, undo: nothing },
  { name: "leave", from: ["rerouting"], when: "held", to: "reserved", do: leaveOld, undo: nothing },
  {
    name: "withdraw",
    from: ["rerouting"],
    when: "given_up",
    to: "confirmed",
    do: withdrawNew,
    undo: nothing,
  },
]);

export interface Saga {
  readonly name: string;
  readonly version: number;
  readonly steps: readonly SagaStep[];
}

function saga(name: string, version: number, steps: readonly SagaStep[]): Saga {
  return { name, version, steps };
}
