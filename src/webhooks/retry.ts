/** When a webhook is tried again, and when not any more. Every delay is drawn between nothing and its bound (full jitter). */
export interface RetryLimits {
  /** An event is given up after so many tries, while others get through: about four hours, nine at most. */
  maxAttempts: number;
  firstRetryMs: number;
  maxRetryMs: number;
  /** So many requests in a row that failed: it is taken to be down, and only one event at a time asks whether it is back. */
  downAfterFailures: number;
  maxProbeMs: number;
  /** Nothing got through for so long: it is paused. */
  pauseAfterMs: number;
}

export const defaultRetryLimits: RetryLimits = {
  maxAttempts: 15,
  firstRetryMs: 2_000,
  maxRetryMs: 4 * 3_600_000,
  downAfterFailures: 10,
  maxProbeMs: 300_000,
  pauseAfterMs: 24 * 3_600_000,
};

/** Until the next try of an event that failed `attempts` times. */
export const retryDelayMs = (limits: RetryLimits, attempts: number, random: () => number): number =>
  random() * Math.min(limits.maxRetryMs, limits.firstRetryMs * 2 ** (attempts - 1));

/** Until a webhook that is down is asked again. */
export const probeDelayMs = (limits: RetryLimits, failures: number, random: () => number): number =>
  random() * Math.min(limits.maxProbeMs, 1_000 * 2 ** Math.max(0, failures - limits.downAfterFailures));
