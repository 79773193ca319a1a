import type { CancellationRules } from "../capacity/api.ts";
import type { OperatorAction } from "./api.ts";
import { cancellationOf } from "./cancellation.ts";
import { type Carried, type Decision, isLeaving, noUnits, openAttempts } from "./carried.ts";
import type { RoutedFor } from "./decide.ts";
import { closed, decideUndo, endOf } from "./decide-undo.ts";
import { change, type Move } from "./moves.ts";
import type { Reason } from "./order.ts";
import type { OrderStatus } from "./order-state.ts";

/** What an operator's action comes to: a change, nothing (it is so already, or on its way there), or a no. */
export type Operated =
  | { kind: "apply"; decision: Decision }
  | { kind: "as_is" }
  | { kind: "refuse"; code: "transition_refused" | "no_other_channel"; detail: string };

/** Keys of actions that an order remembers: more than one operator presses at once. */
const maxRememberedActs = 8;

interface OperateOptions {
  /** Why, in the operator's words: for the audit trail. */
  note: string;
  /** Of a reroute: the channel is lost, and left without its word. */
  lost: boolean;
  /** Digest of its idempotency key; null: none. */
  act: string | null;
  nowMs: number;
  /** What the order's channel says of cancelling. */
  rules: CancellationRules | undefined;
  /** Routes the order as it is given. */
  elsewhere(order: Carried): RoutedFor;
}

/** An operator's action on an order; pure. */
export function decideOperate(order: Carried, action: OperatorAction, options: OperateOptions): Operated {
  const { note, act, nowMs, rules } = options;
  const acts = order.saga.acts ?? [];
  if (act !== null && acts.includes(act)) return { kind: "as_is" };
  const acted: Carried =
    act === null
      ? order
      : { ...order, saga: { ...order.saga, acts: [...acts, act].slice(-maxRememberedActs) } };
  switch (action) {
    case "retry":
      return decideRetry(acted, note, nowMs);
    case "force_cancel":
      return decideForceCancel(acted, rules, note, nowMs);
    case "reroute":
      return decideReroute(acted, options);
  }
}

const refuse = (action: string, status: OrderStatus): Operated => ({
  kind: "refuse",
  code: "transition_refused",
  detail: `An order that is ${status} can't be ${action}.`,
});

/** The undo that failed for good is tried again now. */
function decideRetry(order: Carried, note: string, nowMs: number): Operated {
  const { status } = order.state;
  if (["cancelling", "failing", "cancelled", "failed"].includes(status)) return { kind: "as_is" };
  if (status !== "stuck") return refuse("retried", status);
  const to = order.saga.undoing ?? "cancelling";
  return {
    kind: "apply",
    decision: { ...noUnits, base: change(order, [{ to, log: { note } }], order.saga, nowMs) },
  };
}

const byOperator: Reason = { code: "cancelled_by_operator", detail: "Cancelled by an operator." };

/**
 * Before the undo has begun: a cancel that also takes what is being prepared. While it is under way, or stuck: the operator answers
 * for it that the channel will not fulfil it, and the order ends without the channel's word.
 */
function decideForceCancel(
  order: Carried,
  rules: CancellationRules | undefined,
  note: string,
  nowMs: number,
): Operated {
  const { status } = order.state;
  switch (status) {
    case "cancelled":
    case "failed":
      return { kind: "as_is" };
    case "cancelling":
    case "failing":
    case "stuck": {
      const move = { to: endOf(order), log: { outcome: "forced", note } };
      const attemptChanges = closed(openAttempts(order), "cancelled");
      const base = change(order, [move], order.saga, nowMs);
      return { kind: "apply", decision: { ...noUnits, base, attemptChanges } };
    }
    case "dispatched":
    case "delivered":
    case "undelivered":
      return refuse("cancelled", status);
    default: {
      // Whoever cancels: what the channel charges is the same.
      const feeMinor = feeOf(order, rules && { ...rules, until: "ready" }, nowMs);
      return {
        kind: "apply",
        decision: decideUndo(order, "cancelling", byOperator, nowMs, { note, feeMinor }),
      };
    }
  }
}

function feeOf({ state }: Carried, rules: CancellationRules | undefined, nowMs: number): number {
  const may = cancellationOf(state, rules, nowMs);
  return may.allowed ? may.feeMinor : 0;
}

/**
 * Its channel is left for another, where there is one with room. The booking is seen cancelled first; where the channel is lost, or has
 * refused for good (stuck), the operator answers for it that nothing will come of it (I4).
 */
function decideReroute(order: Carried, { elsewhere, note, lost, nowMs }: OperateOptions): Operated {
  const { state } = order;
  const leaves = lost && isLeaving(order);
  switch (state.status) {
    case "received":
    case "rerouting":
      if (!leaves) return { kind: "as_is" };
      break;
    case "reserved":
    case "confirmed":
    case "preparing":
    case "ready":
    case "stuck":
      break;
    default:
      return refuse("rerouted", state.status);
  }
  const passing = passingOver(order);
  const other = elsewhere(passing);
  if (other.kind !== "assign") {
    const why = other.kind === "never" ? other.reason.detail : "No other channel that fits has room now.";
    return { kind: "refuse", code: "no_other_channel", detail: why };
  }
  const reason: Reason = { code: "rerouted_by_operator", detail: "Given to another channel by an operator." };
  const log = { note, ...(lost ? { outcome: "lost" } : {}) };
  const move: Move = { to: "rerouting", legs: [], reason, log };
  if (leaves) move.updated = { changed: ["legs"] };
  if (lost || state.status === "stuck") {
    const { undoing: _over, before: _lost, move: _moved, ...saga } = passing.saga;
    const attemptChanges = closed(openAttempts(order), "cancelled");
    const base = change(order, [move], saga, nowMs);
    return { kind: "apply", decision: { ...noUnits, base, attemptChanges } };
  }
  const saga = { ...passing.saga, before: { status: state.status, legs: state.legs } };
  return { kind: "apply", decision: { ...noUnits, base: change(order, [move], saga, nowMs) } };
}

/** The order as routing sees it without its channel, which is passed over until the window ends. */
function passingOver(order: Carried): Carried {
  const untilMs = Date.parse(order.doc.delivery.window.end);
  const left = openAttempts(order).map(({ channelId }) => ({ channelId, untilMs }));
  return { ...order, saga: { ...order.saga, avoiding: [...(order.saga.avoiding ?? []), ...left] } };
}
