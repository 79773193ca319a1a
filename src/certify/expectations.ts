import { Compile } from "typebox/compile";
import { Answer } from "../channels/protocol.ts";
import type { Came, Expectation } from "./probe.ts";

const answerShape = Compile(Answer);

/** A well-formed answer of the protocol to this key, with this HTTP status. */
const answers = (came: Came, codes: readonly number[], key: string, status: Answer["status"]): boolean =>
  codes.includes(came.status) &&
  answerShape.Check(came.json) &&
  came.json.key === key &&
  came.json.status === status;

/** `200 booked`; with `as`, the same booking as that answer told of. */
export const booked = (key: string, as?: Came): Expectation => ({
  says: as
    ? `200, status booked, the same booking: bookingRef ${JSON.stringify(as.json?.bookingRef)}, same price and window`
    : "200 with the key, status booked and a bookingRef of 1 to 200 characters",
  holds: (came) =>
    answers(came, [200], key, "booked") &&
    typeof came.json?.bookingRef === "string" &&
    (!as ||
      ["bookingRef", "costMinor", "promised"].every((field) => same(came.json![field], as.json![field]))),
});

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

/** `200 held`, not longer than was asked for. */
export const held = (key: string, untilMs: number): Expectation => ({
  says: `200 with the key, status held and expiresAt, ${new Date(untilMs).toISOString()} at the latest`,
  holds: (came) => answers(came, [200], key, "held") && Date.parse(String(came.json?.expiresAt)) <= untilMs,
});

export const cancelled = (key: string): Expectation => ({
  says: "200 with the key and status cancelled",
  holds: (came) => answers(came, [200], key, "cancelled"),
});

/** A no in the protocol's form; without a reason any that is said. */
export const refused = (key: string, reason?: string): Expectation => ({
  says: `409 (or 422) with the key, status refused and ${reason === undefined ? "a reason" : `reason ${reason}`}`,
  holds: (came) =>
    answers(came, [409, 422], key, "refused") &&
    (reason === undefined ? typeof came.json?.reason === "string" : came.json?.reason === reason),
});

export const code = (status: number): Expectation => ({
  says: String(status),
  holds: (came) => came.status === status,
});

/** Any code that says "your request is wrong": neither a refusal, nor "later", nor "I don't know". */
export const badRequest: Expectation = {
  says: "400, or another 4xx that is neither 408, 429 nor a refusal",
  holds: ({ status, json }) =>
    status >= 400 && status < 500 && status !== 408 && status !== 429 && json?.status !== "refused",
};

export const either = (one: Expectation, other: Expectation): Expectation => ({
  says: `${one.says}; or ${other.says}`,
  holds: (came) => one.holds(came) || other.holds(came),
});

/** What `status` tells of a key. */
export const stateIs = (state: string): Expectation => ({
  says: `200 with state ${state}`,
  holds: (came) => came.status === 200 && came.json?.state === state,
});
