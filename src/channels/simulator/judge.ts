import type { CallbackKind } from "../../orchestration/api.ts";
import type { LedgerEntry } from "../api.ts";
import type { Answer, AttemptCall } from "../protocol.ts";

/** One attempt as a channel remembers it. */
export interface Entry extends LedgerEntry {
  /** Its place in the ledger, from 1. */
  seq: number;
  orderId: string;
  /** Cooked by our own staff: it was booked by the platform's event, not by a call. */
  own?: boolean;
  /** Until when a hold counts, RFC 3339. */
  expiresAt?: string;
  /** What its cancellation cost. */
  feeMinor?: number;
  /** Why it was refused. */
  reason?: string;
  /** What happened to it last in the kitchen or on the road … */
  stage?: CallbackKind;
  /** … and what of that the platform has taken note of. */
  told?: CallbackKind;
  /** Nothing more will be reported of it. */
  over?: boolean;
}

/** What a call comes to: the answer, and what the ledger then says (absent: as before). */
export interface Verdict {
  answer: Answer;
  change?: Partial<Entry> & Pick<Entry, "state">;
}

export interface Circumstances {
  nowMs: number;
  /** Whether the channel has no room for a new one. */
  full: boolean;
  /** A reference for a new booking. */
  bookingRef: string;
  /** What cancelling a booking costs; 0: nothing is said. */
  cancelFeeMinor: number;
}

/** Decides one call: idempotent by key, a cancelled key stays cancelled, nothing is taken after `notAfter`. */
export function judge(entry: Entry | undefined, call: AttemptCall, now: Circumstances): Verdict {
  switch (call.call) {
    case "hold":
      return judgeHold(entry, call, now);
    case "book":
      return judgeBook(entry, call, now);
    case "cancel":
      return judgeCancel(entry, call, now);
  }
}

function judgeHold(
  entry: Entry | undefined,
  call: AttemptCall & { call: "hold" },
  now: Circumstances,
): Verdict {
  if (entry?.state === "booked") return { answer: booked(entry.key, entry.bookingRef!) };
  const no = settledNo(entry);
  if (no) return no;
  if (entry?.state === "held" && stillHolds(entry, now.nowMs))
    return { answer: held(call.key, entry.expiresAt!) };
  if (now.nowMs > Date.parse(call.notAfter)) return refuse(call.key, "too_late");
  if (now.full) return refuse(call.key, "no_room");
  return { answer: held(call.key, call.expiresAt), change: { state: "held", expiresAt: call.expiresAt } };
}

function judgeBook(
  entry: Entry | undefined,
  call: AttemptCall & { call: "book" },
  now: Circumstances,
): Verdict {
  if (entry?.state === "booked") return { answer: booked(entry.key, entry.bookingRef!) };
  const no = settledNo(entry);
  if (no) return no;
  if (now.nowMs > Date.parse(call.notAfter)) return refuse(call.key, "too_late");
  const promisedRoom = entry?.state === "held" && stillHolds(entry, now.nowMs);
  if (now.full && !promisedRoom) return refuse(call.key, "no_room");
  return {
    answer: booked(call.key, now.bookingRef),
    change: { state: "booked", bookingRef: now.bookingRef },
  };
}

function judgeCancel(
  entry: Entry | undefined,
  call: AttemptCall & { call: "cancel" },
  { cancelFeeMinor }: Circumstances,
): Verdict {
  const { key } = call;
  const answer: Answer = { key, status: "cancelled" };
  if (!entry) return { answer, change: { state: "tombstone" } };
  if (entry.state === "held") return { answer, change: { state: "cancelled" } };
  if (entry.state !== "booked")
    return { answer: entry.feeMinor === undefined ? answer : { ...answer, feeMinor: entry.feeMinor } };
  if (call.unlessBooked) return { answer: { key, status: "refused", reason: "booked" } };
  if (hasLeft(entry))
    return { answer: { key, status: "refused", reason: "too_late", detail: "it has left" } };
  const fee = cancelFeeMinor === 0 ? {} : { feeMinor: cancelFeeMinor };
  return { answer: { ...answer, ...fee }, change: { state: "cancelled", ...fee } };
}

/** On its way or at the door: it can't be called back. */
export const hasLeft = (entry: Entry): boolean =>
  entry.stage === "dispatched" || entry.stage === "delivered" || entry.stage === "undelivered";

export const stillHolds = (entry: Entry, nowMs: number): boolean =>
  entry.expiresAt === undefined || nowMs < Date.parse(entry.expiresAt);

/** The no that a key has had before, which it keeps. */
function settledNo(entry: Entry | undefined): Verdict | undefined {
  if (entry?.state === "refused") {
    return { answer: { key: entry.key, status: "refused", reason: entry.reason ?? "no_room" } };
  }
  if (entry?.state === "cancelled" || entry?.state === "tombstone") {
    return { answer: { key: entry.key, status: "refused", reason: "cancelled" } };
  }
  return undefined;
}

const refuse = (key: string, reason: string): Verdict => ({
  answer: { key, status: "refused", reason },
  change: { state: "refused", reason },
});

const booked = (key: string, bookingRef: string): Answer => ({ key, status: "booked", bookingRef });

const held = (key: string, expiresAt: string): Answer => ({ key, status: "held", expiresAt });
