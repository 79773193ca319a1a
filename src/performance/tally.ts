import { add, type Decayed, noSums, observe } from "./decay.ts";
import type { Measured } from "./measure.ts";

/** How fast is forgotten: `lasting` is what quality is made of, `recent` what health looks at. */
export interface HalfLives {
  lastingMs: number;
  recentMs: number;
}

/** What one channel did, twice: forgotten slowly and fast. Plain data, as it is stored. */
export interface Tally {
  lasting: Decayed;
  recent: Decayed;
}

export const emptyTally = (): Tally => ({ lasting: noSums(), recent: noSums() });

/** Adds what was measured of orders. Changes `tally`. */
export function tallyOrder(tally: Tally, { what, atMs, minutes }: Measured, halfLives: HalfLives): void {
  const { lastingMs, recentMs } = halfLives;
  if (what === "on_time" || what === "fell_late") add(tally.recent, recentMs, what, 1, atMs);
  if (what === "fell_late") return;
  if (minutes === undefined) add(tally.lasting, lastingMs, what, 1, atMs);
  else observe(tally.lasting, lastingMs, what, minutes, atMs);
}

/** Calls to one channel since they were last saved. */
export interface Calls {
  made: number;
  /** No answer, or one that says that it can't: what its breaker counts. */
  failed: number;
  /** Bookings that were answered within `promptMs`. */
  prompt: number;
  /** How long bookings took, failed ones too: how many by ms. */
  bookings: Map<number, number>;
}

/** A booking that is answered within this is prompt: nobody waits for it noticeably. */
export const promptMs = 1_000;

/** Adds calls of one process. Changes `tally`. */
export function tallyCalls(tally: Tally, calls: Calls, halfLives: HalfLives, atMs: number): void {
  const { lastingMs, recentMs } = halfLives;
  add(tally.recent, recentMs, "calls", calls.made, atMs);
  add(tally.recent, recentMs, "failed", calls.failed, atMs);
  add(tally.lasting, lastingMs, "prompt", calls.prompt, atMs);
  for (const [ms, times] of calls.bookings) observe(tally.lasting, lastingMs, "booking", ms, atMs, times);
}
