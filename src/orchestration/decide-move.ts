import {
  type AttemptRecord,
  type Carried,
  type Decision,
  noUnits,
  openAttempts,
  unchanged,
} from "./carried.ts";
import { bookedAndConfirmed } from "./decide.ts";
import { closed } from "./decide-undo.ts";
import { change, type Move } from "./moves.ts";
import type { Reason } from "./order.ts";

/** What comes of each step of a move (move-steps.ts); pure. */

/** The attempt that an order moves to. */
export const newAttempt = (order: Carried): AttemptRecord =>
  order.attempts.find(({ attempt }) => attempt === order.saga.move!.leg.attempt)!;

/** The attempts that it leaves. */
export const oldAttempts = (order: Carried): readonly AttemptRecord[] =>
  openAttempts(order).filter((attempt) => attempt !== newAttempt(order));

/** The new channel keeps room: from here on the old booking may be cancelled. Nothing that the customer sees. */
export const decideHeld = (order: Carried, partner: string | undefined): Decision => ({
  ...noUnits,
  base: null,
  attemptChanges: [{ ...unchanged(newAttempt(order)), booking: "held", ...(partner ? { partner } : {}) }],
});

/** The old booking is seen cancelled: the order is what it was changed to, and stands on its new attempt. */
export function decideMoved(order: Carried, localRef: string | null, nowMs: number): Decision {
  const { move, before: _left, ...saga } = order.saga;
  const { doc, changed, leg } = move!;
  const log = { step: "move", outcome: "done", leg: 1, attempt: leg.attempt, channel: leg.channel.id };
  const moves: Move[] = [
    { to: "rerouting", updated: { changed } },
    { to: "reserved", legs: [leg], log },
  ];
  if (localRef !== null) moves.push(...bookedAndConfirmed([{ ...leg, bookingRef: localRef }], log));
  const standing = { ...unchanged(newAttempt(order)), bookingRef: localRef };
  return {
    ...noUnits,
    base: change(order, moves, saga, nowMs),
    attemptChanges: [
      ...closed(oldAttempts(order), "cancelled"),
      { ...standing, booking: localRef === null ? "pending" : "booked" },
    ],
    doc,
    ...(order.nextPersonal ? { personal: order.nextPersonal } : {}),
  };
}

/** It can't be done: the new room is given back, and what was promised stands. */
export function decideKept(order: Carried, detail: string, nowMs: number): Decision {
  const { move: _move, before, ...saga } = order.saga;
  const reason: Reason = { code: "change_refused", detail };
  const move: Move = {
    to: before!.status,
    legs: before!.legs,
    reason,
    log: { step: "move", outcome: "refused" },
  };
  return {
    ...noUnits,
    base: change(order, [move], saga, nowMs),
    attemptChanges: closed([newAttempt(order)], "refused"),
  };
}
