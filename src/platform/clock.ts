/** Time as an argument: whoever needs it is given a Clock, so tests and simulations decide what time it is. */
export interface Clock {
  /** Milliseconds since the Unix epoch, UTC. */
  nowMs(): number;
  /** Calls `fn` once after `delayMs`; the returned function forgets it. Never keeps the process alive. */
  after(delayMs: number, fn: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs` on this clock, or at once when `signal` aborts (it does not throw). */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      forget();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const forget = clock.after(delayMs, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}

export const toIso = (ms: number): string => new Date(ms).toISOString();
