import {
  type AttemptChange,
  type AttemptRecord,
  type Carried,
  type Decision,
  isLeaving,
  noUnits,
  openAttempts,
  unchanged,
} from "./carried.ts";
import { change } from "./moves.ts";
import type { Leg, Reason } from "./order.ts";

/** Undoing: pure, as decide.ts is. What is open is undone by the runner; here is what comes of it. */

/** Begins the undo: cancelling or failing. Nothing else happens with it. */
export function decideUndo(
  order: Carried,
  to: "cancelling" | "failing",
  reason: Reason,
  nowMs: number,
  { feeMinor = 0, ...log }: { note?: string; feeMinor?: number } = {},
): Decision {
  const { before: _given, move: _moved, ...saga } = order.saga;
  const move = { to, reason, log, legs: legsOf(order), feeMinor };
  return { ...noUnits, base: change(order, [move], { ...saga, undoing: to }, nowMs) };
}

/** A cancel by the channel's rules (cancellation.ts): where the channel refuses, what it promised stands. */
export function decideCancel(order: Carried, reason: Reason, feeMinor: number, nowMs: number): Decision {
  const { status, legs } = order.state;
  const { before: leaving, move: _moved, ...saga } = order.saga;
  const promised = status === "confirmed" || status === "preparing" || status === "ready";
  const stands = isLeaving(order) && leaving?.status !== "reserved" ? leaving : undefined;
  const before = promised ? { status, legs } : stands;
  const remembered = { ...saga, undoing: "cancelling" as const, ...(before ? { before } : {}) };
  const move = { to: "cancelling" as const, reason, legs: legsOf(order), feeMinor };
  return { ...noUnits, base: change(order, [move], remembered, nowMs) };
}

/**
 * Everything that was open is seen cancelled: its units are released, and the order ends or, leaving a channel, seeks the next.
 * `feeMinor`: what the channel says that it charges; absent: it said nothing, its rules hold.
 */
export function decideUndone(order: Carried, nowMs: number, feeMinor?: number): Decision {
  const attemptChanges = closed(openAttempts(order), "cancelled");
  if (isLeaving(order)) return { ...noUnits, base: null, attemptChanges };
  const to = endOf(order);
  return {
    ...noUnits,
    base: change(
      order,
      [{ to, log: { outcome: "undone" }, ...(feeMinor === undefined ? {} : { feeMinor }) }],
      order.saga,
      nowMs,
    ),
    attemptChanges,
  };
}

/** Where the undo of an order leads. */
export const endOf = ({ state, saga }: Carried): "cancelled" | "failed" => {
  const undoing = state.status === "stuck" ? saga.undoing : state.status;
  return undoing === "failing" ? "failed" : "cancelled";
};

/** An undo that its channel refuses: the promise that was to be undone stands; where there was none yet, or at any cost: stuck. */
export function decideUndoRefused(order: Carried, detail: string, nowMs: number): Decision {
  const { before, undoing: _over, ...saga } = order.saga;
  const mayStand = order.state.status === "cancelling" || order.state.status === "rerouting";
  if (!before || !mayStand) return decideStuck(order, detail, nowMs);
  const reason: Reason = { code: "too_late_to_undo", detail };
  const move = { to: before.status, legs: before.legs, reason, log: { outcome: "kept" } };
  // Where it was to move to was cancelled first: newest first.
  const attemptChanges = closed(keptRoom(order), "cancelled");
  return { ...noUnits, base: change(order, [move], saga, nowMs), attemptChanges };
}

export function decideStuck(order: Carried, detail: string, nowMs: number): Decision {
  const moves = [{ to: "stuck" as const, reason: { code: "undo_failed" as const, detail } }];
  return { ...noUnits, base: change(order, moves, order.saga, nowMs) };
}

/** Attempts that only keep room for a move: no booking of theirs was ever sent. */
export const keptRoom = (order: Carried): readonly AttemptRecord[] =>
  openAttempts(order).filter(({ booking }) => booking === "holding" || booking === "held");

/** Attempts that are over: their units go back. */
export const closed = (
  attempts: readonly AttemptRecord[],
  booking: "cancelled" | "refused",
): AttemptChange[] => attempts.map((attempt) => ({ ...unchanged(attempt), booking, release: true }));

/** The legs of what an order stands on; while a channel is being left they are in the saga's memory only. */
export const legsOf = (order: Carried): readonly Leg[] =>
  isLeaving(order) ? (order.saga.before?.legs ?? []) : order.state.legs;
