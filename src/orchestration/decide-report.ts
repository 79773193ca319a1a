import type { CallbackKind, ChannelCallback } from "./api.ts";
import { type AttemptRecord, type Carried, type Decision, isLeaving, noUnits, unchanged } from "./carried.ts";
import { decideRefused } from "./decide.ts";
import { closed, endOf, keptRoom, legsOf } from "./decide-undo.ts";
import { change, isInMotion } from "./moves.ts";
import type { Reason } from "./order.ts";
import { fulfillmentWay, mayGo, type OrderStatus } from "./order-state.ts";

/** What a report does to an order. */
export type ReportDecision =
  | { kind: "apply"; decision: Decision }
  | { kind: "keep"; detail: string }
  | { kind: "ignore"; detail: string }
  | { kind: "unknown" };

type Report = Pick<ChannelCallback, "kind" | "at" | "reason">;

/**
 * A channel's report of an attempt. Early (before the booking's own answer): kept. Of a superseded attempt, or of a state
 * already passed: ignored. A later state implies those before it, each with its own version. Of an order that is being undone
 * what can't be undone any more is believed: `decideWhileUndone`.
 */
export function decideReport(
  order: Carried,
  report: Report & { leg: number; attempt: number },
  nowMs: number,
): ReportDecision {
  const attempt = order.attempts.find((one) => one.leg === report.leg && one.attempt === report.attempt);
  // An attempt is recorded before its channel is asked, so nobody can report of one that is not there.
  if (!attempt) return { kind: "unknown" };
  const { status } = order.state;
  if (attempt.booking === "pending" && status === "reserved") {
    return { kind: "keep", detail: "Kept until the booking's own answer is there." };
  }
  if (attempt.held && isFirm(attempt) && isBeingUndone(order))
    return decideWhileUndone(order, attempt, report, nowMs);
  if (attempt.booking !== "booked" || (isInMotion(status) && status !== "booked")) {
    return { kind: "ignore", detail: `The attempt is superseded (${attempt.booking}, order ${status}).` };
  }
  if (report.kind === "refused") return decideGivenBack(order, report.reason, nowMs);
  if (report.kind === "undelivered") return decideUndelivered(order, report, nowMs);
  return decideProgress(order, report.kind, report.at, nowMs);
}

const isFirm = ({ booking }: AttemptRecord): boolean => booking === "pending" || booking === "booked";

const isBeingUndone = (order: Carried): boolean =>
  ["cancelling", "failing", "stuck"].includes(order.state.status) || isLeaving(order);

/**
 * The channel still has what is being undone. Once the food has left it can't be called back: the order goes the rest of its way,
 * whoever wanted it undone, and its booking is firm again (I3: it does not end cancelled with a live booking). Given back, there is
 * nothing left to undo. What was only prepared the channel may still cancel: its answer to that decides.
 */
function decideWhileUndone(
  order: Carried,
  attempt: AttemptRecord,
  report: Report,
  nowMs: number,
): ReportDecision {
  const { kind, at } = report;
  const log = { reportedAt: at, leg: attempt.leg, attempt: attempt.attempt };
  if (kind === "preparing" || kind === "ready")
    return { kind: "ignore", detail: "The order is being undone: the answer to that decides." };
  if (kind === "refused") {
    const attemptChanges = closed([attempt], "refused");
    const others = order.attempts.some((one) => one.held && one !== attempt);
    const goesOn = others || isLeaving(order);
    const moves = [{ to: endOf(order), log: { ...log, outcome: "given_back" } }];
    const base = goesOn ? null : change(order, moves, order.saga, nowMs);
    return { kind: "apply", decision: { ...noUnits, base, attemptChanges } };
  }
  const { before: _stands, undoing: _undone, move: _moved, ...saga } = order.saga;
  // Room that another channel keeps for it ends by itself there.
  const attemptChanges = [
    { ...unchanged(attempt), booking: "booked" as const },
    ...closed(keptRoom(order), "cancelled"),
  ];
  const reason = kind === "undelivered" ? notAtHome(report.reason) : tooLateToUndo;
  const base = change(order, [{ to: kind, legs: legsOf(order), reason, log }], saga, nowMs);
  return { kind: "apply", decision: { ...noUnits, base, attemptChanges } };
}

const tooLateToUndo: Reason = {
  code: "too_late_to_undo",
  detail: "It was to be undone, but the food had left already.",
};

const notAtHome = (detail = "The door stayed shut."): Reason => ({ code: "not_at_home", detail });

function decideGivenBack(order: Carried, why: string | undefined, nowMs: number): ReportDecision {
  if (!mayGo(order.state.status, "rerouting")) {
    return { kind: "ignore", detail: `An order that is ${order.state.status} can't be given back.` };
  }
  const reason: Reason = { code: "given_back", detail: why ?? "The channel gave the order back." };
  return { kind: "apply", decision: decideRefused(order, reason, nowMs) };
}

function decideUndelivered(order: Carried, { at, reason }: Report, nowMs: number): ReportDecision {
  const { status } = order.state;
  if (!mayGo(status, "undelivered")) return { kind: "ignore", detail: `The order is ${status}.` };
  const move = { to: "undelivered" as const, reason: notAtHome(reason), log: { reportedAt: at } };
  return { kind: "apply", decision: { ...noUnits, base: change(order, [move], order.saga, nowMs) } };
}

function decideProgress(
  order: Carried,
  kind: Exclude<CallbackKind, "refused" | "undelivered">,
  reportedAt: string,
  nowMs: number,
): ReportDecision {
  const { status } = order.state;
  const way = fulfillmentWay as readonly OrderStatus[];
  const now = way.indexOf(status);
  const then = way.indexOf(kind);
  if (now === -1 || then <= now) return { kind: "ignore", detail: `The order is ${status} already.` };
  const moves = way.slice(now + 1, then + 1).map((to) => ({ to, log: { reportedAt } }));
  return { kind: "apply", decision: { ...noUnits, base: change(order, moves, order.saga, nowMs) } };
}
