import type { Clock } from "../platform/clock.ts";

/** One alarm that is set again and again; a timer a request would cost more than what it waits for. */
export interface Timer {
  /** Rings at `atMs`; never when that is not after `nowMs`, or Infinity. */
  set(atMs: number, nowMs: number): void;
  clear(): void;
}

/** Node's timers hold 24 days at most; an hour later it rings though it is early. */
const maxWaitMs = 3_600_000;

export function createTimer(clock: Clock, ring: () => void): Timer {
  let setMs: number | undefined;
  let forget: () => void = () => undefined;
  return {
    set(atMs, nowMs) {
      if (atMs === setMs) return;
      forget();
      setMs = undefined;
      if (atMs <= nowMs || atMs === Number.POSITIVE_INFINITY) return;
      setMs = atMs;
      forget = clock.after(Math.min(atMs - nowMs, maxWaitMs), () => {
        setMs = undefined;
        ring();
      });
    },
    clear() {
      forget();
      setMs = undefined;
    },
  };
}
