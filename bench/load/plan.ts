import type { Mix } from "../mix.ts";

/** What one run of the load sends. */
export type Traffic =
  /** One order a request, each under a fresh idempotency key, the clients in turn. */
  | { kind: "orders"; keys: readonly string[]; mix: Mix }
  /** `size` orders a request. */
  | { kind: "batch"; keys: readonly string[]; mix: Mix; size: number }
  /** GETs by id, each with a key that may see it. */
  | { kind: "reads"; orders: readonly { id: string; key: string }[] }
  /** Each of these bodies in turn. */
  | { kind: "quotes"; keys: readonly string[]; bodies: readonly string[] };

/** How a run sends it. */
export type Pace =
  /** So many requests under way at all times: the next leaves when one is answered. */
  | { kind: "closed"; inFlight: number }
  /** So many a second whatever the answers; `connections` at once at most, the rest waits (and its latency counts). */
  | { kind: "open"; perSecond: number; connections: number };

export interface RunPlan {
  /** Tells runs apart; part of every key that the run sends. */
  id: string;
  host: string;
  port: number;
  traffic: Traffic;
  pace: Pace;
  /** Sent but not counted, before. */
  rampMs: number;
  /** What is counted. */
  measureMs: number;
  /** Also count each second by itself. */
  perSecond?: boolean;
}

/** Milliseconds. */
export interface Latency {
  count: number;
  meanMs: number;
  p50Ms: number;
  p90Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
}

export interface Second {
  confirmed: number;
  refused: number;
  p99Ms: number;
}

/** What came of a run. Requests are counted when they are answered inside the measured time. */
export interface RunResult {
  id: string;
  measuredMs: number;
  /** Requests answered in the measured time, and orders in them (reads have none). */
  answered: number;
  orders: number;
  /** 201: confirmed. */
  confirmed: number;
  /** Whole run, ramp and drain included: answers by status, and confirmed orders by index in `channelTypes`. */
  statuses: Readonly<Record<string, number>>;
  confirmedByKind: readonly number[];
  /** Whole run: requests whose connection broke, and open-loop requests that were due and never answered. */
  lost: number;
  unanswered: number;
  /**
   * Of requests that were due in the measured time: from when they were due (open loop) or sent (closed loop) to the
   * answer; those never answered count with the time waited so far. Refusals (429, 503) are kept apart.
   */
  latency: Latency;
  /** From sent to answered, of refusals, and how many of them came within 10 ms. */
  refusals: Latency & { within10Ms: number };
  seconds: readonly Second[];
}

export interface Progress {
  id: string;
  answered: number;
  confirmed: number;
  waiting: number;
}

export type ToLoad = { run: RunPlan } | { stop: true };
export type FromLoad =
  | { ready: true }
  | { began: string }
  | { ended: string }
  | { progress: Progress }
  | { result: RunResult }
  | { failed: string; why: string };
