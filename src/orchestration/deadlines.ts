import type { Config } from "../platform/config.ts";
import type { OrderDoc, OrderState } from "./order.ts";
import { isEnd } from "./order-state.ts";

/** How long what is waited for; order-state.ts says in words what happens then. */
export interface Patience {
  /** After the promised window, until the customer is told that it was missed. */
  lateAfterMs: number;
  /** After the promised window, until a channel that reports no end counts as not having delivered. */
  reportsWithinMs: number;
  /** For an undo, until it is stuck. */
  undoWithinMs: number;
  /** Until the undo of a stuck order is tried again. */
  stuckAgainMs: number;
}

const minuteMs = 60_000;

export const patienceOf = (
  config: Pick<
    Config,
    "LATE_AFTER_MINUTES" | "REPORTS_WITHIN_MINUTES" | "UNDO_WITHIN_MINUTES" | "STUCK_AGAIN_MINUTES"
  >,
): Patience => ({
  lateAfterMs: config.LATE_AFTER_MINUTES * minuteMs,
  reportsWithinMs: config.REPORTS_WITHIN_MINUTES * minuteMs,
  undoWithinMs: config.UNDO_WITHIN_MINUTES * minuteMs,
  stuckAgainMs: config.STUCK_AGAIN_MINUTES * minuteMs,
});

/** When an order is due, ms; null at an end. It is stored with every version, so that no restart forgets it. */
export function deadlineOf(
  state: Pick<OrderState, "status" | "updatedAt" | "legs" | "lateSince">,
  doc: Pick<OrderDoc, "delivery">,
  patience: Patience,
): number | null {
  if (isEnd(state.status)) return null;
  switch (state.status) {
    case "cancelling":
    case "failing":
      return Date.parse(state.updatedAt) + patience.undoWithinMs;
    case "stuck":
      return Date.parse(state.updatedAt) + patience.stuckAgainMs;
    case "confirmed":
    case "preparing":
    case "ready":
    case "dispatched": {
      const promisedMs = Math.max(...state.legs.map((leg) => Date.parse(leg.promised.end)));
      return promisedMs + (state.lateSince === undefined ? patience.lateAfterMs : patience.reportsWithinMs);
    }
    default:
      return Date.parse(doc.delivery.window.end);
  }
}
