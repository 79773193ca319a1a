import type { ChannelCallback } from "./api.ts";
import { type Carried, type Decision, noUnits } from "./carried.ts";
import { decideRefused } from "./decide.ts";
import { change, isInMotion } from "./moves.ts";
import type { Reason } from "./order.ts";
import { fulfillmentWay, mayGo, type OrderStatus } from "./order-state.ts";

/** What a report does to an order. */
export type ReportDecision =
  | { kind: "apply"; decision: Decision }
  | { kind: "keep"; detail: string }
  | { kind: "ignore"; detail: string }
  | { kind: "unknown" };

/**
 * A channel's report of an attempt. Early (before the booking's own answer): kept. Of a superseded attempt, or of a state
 * already passed: ignored. A later state implies those before it, each with its own version.
 */
export function decideReport(
  order: Carried,
  report: Pick<ChannelCallback, "kind" | "at" | "reason"> & { leg: number; attempt: number },
  nowMs: number,
): ReportDecision {
  const attempt = order.attempts.find((one) => one.leg === report.leg && one.attempt === report.attempt);
  // An attempt is recorded before its channel is asked, so nobody can report of one that is not there.
  if (!attempt) return { kind: "unknown" };
  const { status } = order.state;
  if (attempt.booking === "pending" && status === "reserved") {
    return { kind: "keep", detail: "Kept until the booking's own answer is there." };
  }
  if (attempt.booking !== "booked" || (isInMotion(status) && status !== "booked")) {
    return { kind: "ignore", detail: `The attempt is superseded (${attempt.booking}, order ${status}).` };
  }
  if (report.kind === "refused") return decideGivenBack(order, report.reason, nowMs);
  return decideProgress(
    order,
    report as { kind: Exclude<ChannelCallback["kind"], "refused">; at: string; reason?: string },
    nowMs,
  );
}

function decideGivenBack(order: Carried, why: string | undefined, nowMs: number): ReportDecision {
  if (!mayGo(order.state.status, "rerouting")) {
    return { kind: "ignore", detail: `An order that is ${order.state.status} can't be given back.` };
  }
  const reason: Reason = { code: "given_back", detail: why ?? "The channel gave the order back." };
  return { kind: "apply", decision: decideRefused(order, reason, nowMs) };
}

function decideProgress(
  order: Carried,
  report: {
    kind: "preparing" | "ready" | "dispatched" | "delivered" | "undelivered";
    at: string;
    reason?: string;
  },
  nowMs: number,
): ReportDecision {
  const { status } = order.state;
  const log = { reportedAt: report.at };
  if (report.kind === "undelivered") {
    if (!mayGo(status, "undelivered")) return { kind: "ignore", detail: `The order is ${status}.` };
    const reason: Reason = { code: "not_at_home", detail: report.reason ?? "The door stayed shut." };
    return {
      kind: "apply",
      decision: { ...noUnits, base: change(order, [{ to: "undelivered", reason, log }], order.saga, nowMs) },
    };
  }
  const way = fulfillmentWay as readonly OrderStatus[];
  const now = way.indexOf(status);
  const then = way.indexOf(report.kind);
  if (now === -1 || then <= now) return { kind: "ignore", detail: `The order is ${status} already.` };
  const moves = way.slice(now + 1, then + 1).map((to) => ({ to, log }));
  return { kind: "apply", decision: { ...noUnits, base: change(order, moves, order.saga, nowMs) } };
}
