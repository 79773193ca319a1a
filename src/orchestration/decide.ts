import type { Candidate } from "../capacity/ranking.ts";
import type { BookingOutcome } from "../channels/api.ts";
import type { DecisionRecord } from "../optimization/decision.ts";
import {
  type AttemptRecord,
  type Carried,
  type Decision,
  type JournalEntry,
  noUnits,
  openAttempt,
  type SagaMemory,
  type Take,
  unchanged,
  unitsOf,
} from "./carried.ts";
import { decideStuck, decideUndo } from "./decide-undo.ts";
import { became, change, type Move, moveOn } from "./moves.ts";
import type { Leg, OrderDoc, OrderState, Reason } from "./order.ts";
import { stockTaken } from "./stock.ts";

/**
 * What an order becomes: pure functions of plain data, no clock, no I/O. Fetch, decide here, write (store.ts).
 */

const sagaVersion = 1;
/** Channels that may refuse before the order fails. */
const maxRefusals = 3;
/** How long a channel that could not be reached is passed over for this order. */
const avoidForMs = 30_000;

/** Where an order may go: a candidate and how it was chosen. */
export interface Assignment {
  candidate: Candidate;
  decision: DecisionRecord;
  /** Set where no outside call is needed: booking and confirmation then share the reservation's commit. */
  localRef: string | null;
}

const fresh: SagaMemory = { name: "fulfill-order", version: sagaVersion, attempts: 0, refusedBy: [] };
const received: Move = { to: "received" };

/**
 * Intake: stored in any case; with its channel, when there is one; failed at once when nobody can ever serve it. What is
 * merely stored is the same for the orders of a batch, so they share it (and its JSON).
 */
export function intakeDecider(nowMs: number): (doc: OrderDoc, routed: RoutedFor) => Decision {
  const stored = moveOn(null, [received], nowMs);
  return (doc, routed) => {
    const order = { doc, saga: fresh, state: null };
    if (routed.kind === "never") {
      const saga = { ...fresh, decision: routed.decision };
      const moves = [received, ...failed(routed.reason, "reserve")];
      return { ...noUnits, base: change(order, moves, saga, nowMs) };
    }
    if (routed.kind === "none_now") {
      return { ...noUnits, base: became(stored, { ...fresh, decision: routed.decision }) };
    }
    return {
      ...reserved(order, [received], routed.assignment, nowMs),
      base: became(stored, fresh),
    };
  };
}

/** A routing's answer for one order. */
export type RoutedFor =
  | { kind: "assign"; assignment: Assignment }
  | { kind: "none_now"; decision: DecisionRecord }
  | { kind: "never"; reason: Reason; decision: DecisionRecord };

/** `reserve`, once routed: takes the units, or (nobody ever) fails. */
export function decideReserve(
  order: Carried,
  routed: Exclude<RoutedFor, { kind: "none_now" }>,
  nowMs: number,
): Decision {
  if (routed.kind === "never") {
    const saga = { ...order.saga, undoing: "failing" as const, decision: routed.decision };
    return { ...noUnits, base: change(order, failed(routed.reason, "reserve"), saga, nowMs) };
  }
  return { ...reserved(order, [], routed.assignment, nowMs), base: null };
}

/** The future of an order whose units are granted, after the moves that come before, and the units that it wants. */
function reserved(
  order: Pick<Carried, "doc" | "saga"> & { state: OrderState | null },
  before: readonly Move[],
  assignment: Assignment,
  nowMs: number,
): Omit<Decision, "base"> {
  const { candidate, decision, localRef } = assignment;
  const attempt = order.saga.attempts + 1;
  const leg = legOf(candidate, attempt);
  const log = { step: "reserve", outcome: "done", leg: 1, attempt, channel: candidate.channel.id };
  const moves: Move[] = [...before, { to: "reserved", legs: [leg], log }];
  if (localRef !== null) moves.push(...bookedAndConfirmed([{ ...leg, bookingRef: localRef }], log));
  const { decision: _lost, before: _left, ...saga } = order.saga;
  const granted = change(order, moves, { ...saga, attempts: attempt }, nowMs);
  const take: Take = {
    leg: 1,
    attempt,
    channelId: candidate.channel.id,
    slotId: candidate.slot.id,
    units: unitsOf(order.doc),
    booking: localRef === null ? "pending" : "booked",
    bookingRef: localRef,
    decision,
    ...stockTaken(candidate.channel, order.doc),
  };
  return { granted, takes: [take], attemptChanges: [] };
}

/** The leg that a candidate is for an order. */
export function legOf(candidate: Candidate, attempt: number): Leg {
  const { channel, slot } = candidate;
  const window = (startMs: number, endMs: number) => ({
    start: new Date(startMs).toISOString(),
    end: new Date(endMs).toISOString(),
  });
  return {
    leg: 1,
    attempt,
    channel: { id: channel.id, type: channel.type },
    slot: window(slot.startMs, slot.endMs),
    promised: window(candidate.promisedStartMs, candidate.promisedEndMs),
    costMinor: candidate.costMinor,
  };
}

export const bookedAndConfirmed = (
  legs: readonly Leg[],
  log: Omit<JournalEntry, "version" | "to">,
): Move[] => [
  { to: "booked", legs, log: { ...log, step: "book" } },
  { to: "confirmed", log: { step: "confirm", outcome: "done" } },
];

const failed = (reason: Reason, step: string): Move[] => [
  { to: "failing", reason, log: { step, outcome: "refused" } },
  { to: "failed", log: { outcome: "undone" } },
];

/** `offer` was won by a member: the award is recorded before that member is booked. No new version: nothing that the customer sees. */
export function decideAward(order: Carried, partner: string): Decision {
  const attempt = openAttempt(order)!;
  const attemptChanges = [{ ...unchanged(attempt), partner }];
  return { base: null, granted: null, takes: [], attemptChanges };
}

/** `book` succeeded: booked and confirmed share a commit, for no outside call lies between them. */
export function decideBooked(
  order: Carried,
  booked: Extract<BookingOutcome, { kind: "booked" }>,
  nowMs: number,
): Decision {
  const attempt = openAttempt(order)!;
  const legs = order.state.legs.map((leg) => ({
    ...leg,
    bookingRef: booked.bookingRef,
    costMinor: booked.costMinor ?? leg.costMinor,
    promised: booked.promised ?? leg.promised,
  }));
  const log = {
    step: "book",
    outcome: "done",
    leg: attempt.leg,
    attempt: attempt.attempt,
    channel: attempt.channelId,
  };
  return {
    ...noUnits,
    base: change(order, bookedAndConfirmed(legs, log), order.saga, nowMs),
    attemptChanges: [{ ...unchanged(attempt), booking: "booked", bookingRef: booked.bookingRef }],
  };
}

/** A booked order that was left between booking and confirmation. */
export const decideConfirm = (order: Carried, nowMs: number): Decision => ({
  ...noUnits,
  base: change(order, [{ to: "confirmed", log: { step: "confirm", outcome: "done" } }], order.saga, nowMs),
});

/**
 * The channel said no, or gave the order back: its units are released, it is not asked again, and the next is sought; after
 * `maxRefusals` the order fails.
 */
export function decideRefused(order: Carried, reason: Reason, nowMs: number): Decision {
  const attempt = openAttempt(order)!;
  const refusedBy = [...new Set([...order.saga.refusedBy, attempt.channelId])];
  const log = bookingLog(attempt, "refused");
  const attemptChanges = [{ ...unchanged(attempt), booking: "refused" as const, release: true }];
  const rerouting: Move = { to: "rerouting", legs: [], reason, log };
  if (refusedBy.length < maxRefusals) {
    return {
      ...noUnits,
      base: change(order, [rerouting], { ...order.saga, refusedBy }, nowMs),
      attemptChanges,
    };
  }
  const exhausted: Reason = {
    code: "refused_by_channels",
    detail: `${refusedBy.length} channels were asked and could not take it; the last: ${reason.detail}`,
  };
  const moves = [rerouting, ...failed(exhausted, "book")];
  const saga = { ...order.saga, refusedBy, undoing: "failing" as const };
  return { ...noUnits, base: change(order, moves, saga, nowMs), attemptChanges };
}

/** The channel can't be reached and, if it may have heard, is seen cancelled: another is sought; it may be asked again later. */
export function decideUnreachable(order: Carried, reason: Reason, nowMs: number): Decision {
  const attempt = openAttempt(order)!;
  const avoiding = (order.saga.avoiding ?? []).filter(
    (one) => one.untilMs > nowMs && one.channelId !== attempt.channelId,
  );
  const saga = {
    ...order.saga,
    avoiding: [...avoiding, { channelId: attempt.channelId, untilMs: nowMs + avoidForMs }],
  };
  const move: Move = { to: "rerouting", legs: [], reason, log: bookingLog(attempt, "unreachable") };
  const attemptChanges = [{ ...unchanged(attempt), booking: "cancelled" as const, release: true }];
  return { ...noUnits, base: change(order, [move], saga, nowMs), attemptChanges };
}

const bookingLog = (attempt: AttemptRecord, outcome: string): Omit<JournalEntry, "version" | "to"> => ({
  step: "book",
  outcome,
  leg: attempt.leg,
  attempt: attempt.attempt,
  channel: attempt.channelId,
});

/** What happens at a deadline (the table's `whenDue`); null when the status has none. */
export function decideDue(order: Carried, nowMs: number): Decision | null {
  switch (order.state.status) {
    case "received":
    case "rerouting":
      return decideUndo(
        order,
        "failing",
        { code: "no_capacity", detail: "Nothing had room before the window ended." },
        nowMs,
      );
    case "reserved":
    case "booked":
      return decideUndo(
        order,
        "failing",
        { code: "channel_unreachable", detail: "The channel did not answer before the window ended." },
        nowMs,
      );
    case "confirmed":
    case "preparing":
    case "ready":
    case "dispatched": {
      if (order.state.lateSince === undefined) return decideLate(order, nowMs);
      const reason: Reason = {
        code: "not_reported",
        detail: "The promised window passed, and the channel did not report what became of the order.",
      };
      return { ...noUnits, base: change(order, [{ to: "undelivered", reason }], order.saga, nowMs) };
    }
    case "cancelling":
    case "failing":
      return decideStuck(
        order,
        "A channel did not take the cancellation in time; an operator has to decide.",
        nowMs,
      );
    case "stuck": {
      const to = order.saga.undoing ?? "cancelling";
      return { ...noUnits, base: change(order, [{ to }], order.saga, nowMs) };
    }
    default:
      return null;
  }
}

/** The promised window was missed: told once, and the order goes on. */
function decideLate(order: Carried, nowMs: number): Decision {
  const lateSince = order.state.legs
    .map((leg) => leg.promised.end)
    .sort()
    .at(-1)!;
  const reason: Reason = order.state.reason ?? {
    code: "late",
    detail: `It was promised until ${lateSince} and is ${order.state.status}.`,
  };
  const move: Move = { to: order.state.status, reason, updated: { changed: ["lateSince"], lateSince } };
  return { ...noUnits, base: change(order, [move], order.saga, nowMs) };
}
