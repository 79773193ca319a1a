import type { CancellationRules } from "../capacity/api.ts";
import type { OrderState } from "./order.ts";
import { mayGo } from "./order-state.ts";

/** Rules of a channel that has set none: until it begins to prepare, for nothing. */
const usualRules: CancellationRules = { until: "confirmed", feeMinor: 0, freeMinutesBefore: 0 };

const minuteMs = 60_000;
const stages = ["confirmed", "preparing", "ready"] as const;

/**
 * Whether a client may cancel an order now, and what its channel charges for that, by the channel's rules; before anything was
 * promised always and for nothing. (The channel has the last word: food may have left unheard.)
 */
export function cancellationOf(
  state: OrderState,
  rules: CancellationRules = usualRules,
  nowMs: number,
): { allowed: true; feeMinor: number } | { allowed: false; detail: string } {
  const { status, legs } = state;
  const stage = (stages as readonly string[]).indexOf(status);
  if (!mayGo(status, "cancelling") || stage > stages.indexOf(rules.until)) {
    return { allowed: false, detail: `The order is ${status}: too late to cancel.` };
  }
  if (stage < 0) return { allowed: true, feeMinor: state.cancellationFeeMinor ?? 0 };
  const promisedMs = Math.min(...legs.map((leg) => Date.parse(leg.promised.start)));
  const free = nowMs < promisedMs - rules.freeMinutesBefore * minuteMs;
  return { allowed: true, feeMinor: free ? 0 : rules.feeMinor };
}
