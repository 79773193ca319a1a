import { Compile } from "typebox/compile";
import type { BookingOutcome, CancelOutcome, HoldOutcome } from "./api.ts";
import { Answer, type AttemptCall } from "./protocol.ts";
import type { Sent } from "./transport.ts";

/** What came of one call to one endpoint, before it is said in the port's words. */
export type CallOutcome =
  | { kind: "answered"; answer: Answer }
  | { kind: "retry"; afterMs: number; detail: string }
  | { kind: "unknown"; detail: string };

/** What came of one HTTP request that carried one or more calls; `failed` is what the breaker counts. */
export interface Exchange {
  outcomes: readonly CallOutcome[];
  failed: boolean;
  /** The status said "not authorised": the secret is worth reading again. */
  unauthorized?: boolean;
  /** The address is not there: what the channel said it can do is worth reading again. */
  missing?: boolean;
}

const answerShape = Compile(Answer);

const defaultRetryMs = 1_000;
// A 4xx that the protocol does not know means a wrong address, secret or version: people must act, so don't hurry.
const misconfiguredRetryMs = 5_000;

/** Classifies the answer to a request with one call. Never guesses: what can't be read is `unknown` (I4). */
export function readSingle(call: AttemptCall, sent: Sent): Exchange {
  const trouble = readTrouble(sent, [409, 422]);
  if (trouble) return { ...trouble, outcomes: [trouble.outcome] };
  const outcome = readAnswer(call, parse(bodyOf(sent)));
  return { outcomes: [outcome], failed: outcome.kind === "unknown" };
}

/** Classifies the answer to a batch: one outcome per call, in input order. */
export function readBatch(calls: readonly AttemptCall[], sent: Sent): Exchange {
  const trouble = readTrouble(sent, []);
  if (trouble) return { ...trouble, outcomes: calls.map(() => trouble.outcome) };
  const results = (parse(bodyOf(sent)) as { results?: unknown } | undefined)?.results;
  if (!Array.isArray(results) || results.length !== calls.length) {
    const outcome = { kind: "unknown", detail: "the batch's answer can't be read" } as const;
    return { outcomes: calls.map(() => outcome), failed: true };
  }
  const outcomes = calls.map((call, index) => readAnswer(call, results[index]));
  return { outcomes, failed: outcomes.every((outcome) => outcome.kind === "unknown") };
}

interface Trouble extends Omit<Exchange, "outcomes"> {
  outcome: CallOutcome;
}

/** Whatever is not an answer of the protocol; undefined when the body decides. */
function readTrouble(sent: Sent, alsoAnswers: readonly number[]): Trouble | undefined {
  if (sent.kind === "not_sent") {
    return { failed: true, outcome: { kind: "retry", afterMs: defaultRetryMs, detail: sent.detail } };
  }
  if (sent.kind === "lost") return { failed: true, outcome: { kind: "unknown", detail: sent.detail } };
  const { status } = sent;
  if (status === 200 || alsoAnswers.includes(status)) return undefined;
  const detail = `the channel answered ${status}`;
  if (status === 429 || status === 503) {
    // 429 comes from a channel that is well and busy: it is asked later, its breaker stays closed.
    const afterMs = sent.retryAfterMs ?? defaultRetryMs;
    return { failed: status === 503, outcome: { kind: "retry", afterMs, detail } };
  }
  if (status >= 400 && status < 500 && status !== 408) {
    return {
      failed: true,
      unauthorized: status === 401 || status === 403,
      missing: status === 404 || status === 405,
      outcome: { kind: "retry", afterMs: sent.retryAfterMs ?? misconfiguredRetryMs, detail },
    };
  }
  return { failed: true, outcome: { kind: "unknown", detail } };
}

const expected = { hold: "held", book: "booked", cancel: "cancelled" } as const;

function readAnswer(call: AttemptCall, body: unknown): CallOutcome {
  if (!answerShape.Check(body)) return { kind: "unknown", detail: "the answer can't be read" };
  if (body.key !== call.key) return { kind: "unknown", detail: "the answer names another key" };
  if (body.status === "retry") {
    const detail = body.detail ?? body.reason ?? "the channel asks to try later";
    return { kind: "retry", afterMs: body.retryAfterMs ?? defaultRetryMs, detail };
  }
  if (body.status === "refused") return { kind: "answered", answer: body };
  const booked = body.status === "booked";
  if (booked && body.bookingRef === undefined) {
    return { kind: "unknown", detail: "the answer says booked without a bookingRef" };
  }
  // A hold of a key that is booked already is answered by the booking: the partner has it either way.
  if (body.status === expected[call.call] || (call.call === "hold" && booked)) {
    return { kind: "answered", answer: body };
  }
  return { kind: "unknown", detail: `the answer to ${call.call} says ${body.status}` };
}

const bodyOf = (sent: Sent): string => (sent.kind === "response" ? sent.body : "");

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const reasonOf = (answer: Answer): string => answer.reason ?? answer.detail ?? "no reason given";

export function toBookingOutcome(outcome: CallOutcome): BookingOutcome {
  if (outcome.kind !== "answered") return outcome;
  const { answer } = outcome;
  if (answer.status === "refused") return { kind: "refused", reason: reasonOf(answer) };
  return {
    kind: "booked",
    bookingRef: answer.bookingRef!,
    ...(answer.costMinor === undefined ? {} : { costMinor: answer.costMinor }),
    ...(answer.promised === undefined ? {} : { promised: answer.promised }),
  };
}

export function toHoldOutcome(outcome: CallOutcome): HoldOutcome {
  if (outcome.kind !== "answered") return outcome;
  return outcome.answer.status === "refused"
    ? { kind: "refused", reason: reasonOf(outcome.answer) }
    : { kind: "held" };
}

export function toCancelOutcome(outcome: CallOutcome): CancelOutcome {
  if (outcome.kind !== "answered") return outcome;
  return outcome.answer.status === "refused"
    ? { kind: "refused", reason: reasonOf(outcome.answer) }
    : {
        kind: "cancelled",
        ...(outcome.answer.feeMinor === undefined ? {} : { feeMinor: outcome.answer.feeMinor }),
      };
}
