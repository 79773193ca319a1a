import type { Clock } from "../platform/clock.ts";
import { UoopError } from "../platform/errors.ts";
import type { FairQueue } from "../platform/fair-queue.ts";
import type { Priority } from "./order.ts";

/**
 * Whether intake takes more from a client now: refused early, in microseconds, rather than late. The queue is fair, so
 * what counts is how long this client's next order would wait: behind its own of that priority, in turn with the others that wait.
 */
export interface Admission {
  /** An `overloaded` error when the wait would be too long; null when it is taken. */
  refusal(clientId: string, priority: Priority): UoopError | null;
  /** Orders that have left the queue: from them the rate is known. */
  served(orders: number): void;
}

/** The longest wait at which an order is still taken; the answer has to come within two seconds. */
const maxWaitMs: Readonly<Record<Priority, number>> = { express: 1_500, standard: 1_000, bulk: 500 };
/** The rate is measured over windows in which something waited all the time: only then it says how fast the work can go. */
const windowMs = 500;

/** Nobody is told to stay away longer: what waits now says little of then. */
const maxRetrySeconds = 60;
/** One a second of waiting, made before they are needed: refusing must cost least when most is refused. */
const refusals: readonly UoopError[] = Array.from({ length: maxRetrySeconds }, (_, index) => {
  const seconds = index + 1;
  const detail = `An order would wait for about ${seconds} s before it is stored; too many are ahead of it.`;
  return new UoopError("overloaded", detail, { retryAfterSeconds: seconds });
});

export function createAdmission(
  waiting: Pick<FairQueue<unknown, Priority>, "size" | "ahead">,
  clock: Clock,
): Admission {
  let perMs = 0;
  let sinceMs: number | undefined;
  let count = 0;

  /** The queue was empty: whatever waits next waits for a work that is at rest. */
  function forget(): void {
    perMs = 0;
    sinceMs = undefined;
  }

  return {
    refusal(clientId, priority) {
      if (waiting.size === 0) forget();
      if (perMs === 0) return null;
      const waitMs = waiting.ahead(priority, clientId) / perMs;
      if (waitMs <= maxWaitMs[priority]) return null;
      return refusals[Math.min(maxRetrySeconds, Math.ceil(waitMs / 1_000)) - 1]!;
    },
    served(orders) {
      if (waiting.size === 0) return forget();
      const nowMs = clock.nowMs();
      if (sinceMs === undefined) {
        sinceMs = nowMs;
        count = 0;
        return;
      }
      count += orders;
      if (nowMs - sinceMs < windowMs) return;
      const latest = count / (nowMs - sinceMs);
      perMs = perMs === 0 ? latest : 0.5 * perMs + 0.5 * latest;
      sinceMs = nowMs;
      count = 0;
    },
  };
}
