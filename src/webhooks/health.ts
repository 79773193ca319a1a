import { probeDelayMs, type RetryLimits } from "./retry.ts";

interface HealthState {
  /** Requests that failed since one succeeded. */
  failures: number;
  failingSinceMs: number | null;
  /** Nothing is sent before. */
  retryAtMs: number;
}

/** Whether a webhook is well, from what became of its requests. */
export function createHealth(limits: RetryLimits, loaded: HealthState, random: () => number) {
  let { failures, failingSinceMs, retryAtMs } = loaded;
  const isDown = () => failures >= limits.downAfterFailures;
  return {
    isDown,
    get retryAtMs() {
      return retryAtMs;
    },
    get state(): HealthState {
      return { failures, failingSinceMs, retryAtMs };
    },
    /** Answers whether it was down. */
    succeeded(): boolean {
      const wasDown = isDown();
      failures = 0;
      failingSinceMs = null;
      retryAtMs = 0;
      return wasDown;
    },
    /** Answers whether it is down since now. `retryAfterMs`: what it asked for itself. */
    failed(nowMs: number, retryAfterMs: number): boolean {
      failures += 1;
      failingSinceMs ??= nowMs;
      const waitMs = isDown() ? probeDelayMs(limits, failures, random) : 0;
      retryAtMs = Math.max(retryAtMs, nowMs + Math.max(waitMs, retryAfterMs));
      return failures === limits.downAfterFailures;
    },
    /** Since when nothing got through, if that is so long that it is to be paused. */
    failingTooLongSince(nowMs: number): number | null {
      if (failingSinceMs === null || !isDown()) return null;
      return nowMs - failingSinceMs >= limits.pauseAfterMs ? failingSinceMs : null;
    },
    /** Its address changed: it is asked at once. */
    askAtOnce(): void {
      retryAtMs = 0;
    },
  };
}
