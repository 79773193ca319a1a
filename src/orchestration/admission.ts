import type { Clock } from "../platform/clock.ts";
import { UoopError } from "../platform/errors.ts";
import type { FairQueue } from "../platform/fair-queue.ts";
import type { Priority } from "./order.ts";

/**
 * Whether intake takes more from a client now: refused early, in microseconds, rather than late. The queue is fair, so
 * what counts is how long this client's next order would wait: behind its own, in turn with the other clients that wait.
 */
export interface Admission {
  /** An `overloaded` error when the wait would be too long; null when it is taken. */
  refusal(clientId: string, priority: Priority): UoopError | null;
  /** Orders that have left the queue: from them the rate is known. */
  served(orders: number): void;
}

/** The longest wait at which an order is still taken; the answer has to come within two seconds. */
const maxWaitMs: Readonly<Record<Priority, number>> = { express: 1_500, standard: 1_000, bulk: 500 };
/** The rate is that of the last windows; one that saw nothing says nothing. */
const windowMs = 500;

export function createAdmission(
  waiting: Pick<FairQueue<unknown>, "size" | "parties" | "waitingOf">,
  clock: Clock,
): Admission {
  let perMs = 0;
  let sinceMs = clock.nowMs();
  let count = 0;

  return {
    refusal(clientId, priority) {
      if (perMs === 0 || waiting.size === 0) return null;
      const ahead = Math.min(waiting.size, (waiting.waitingOf(clientId) + 1) * Math.max(1, waiting.parties));
      const waitMs = ahead / perMs;
      if (waitMs <= maxWaitMs[priority]) return null;
      const detail = `An order would wait ${Math.round(waitMs)} ms to be stored; too many are ahead of it.`;
      return new UoopError("overloaded", detail, { retryAfterSeconds: Math.ceil(waitMs / 1_000) });
    },
    served(orders) {
      count += orders;
      const nowMs = clock.nowMs();
      const elapsedMs = nowMs - sinceMs;
      if (elapsedMs < windowMs) return;
      // Idle time says nothing of how fast the work goes: a long gap starts a new window.
      if (elapsedMs < 4 * windowMs) {
        const latest = count / elapsedMs;
        perMs = perMs === 0 ? latest : 0.5 * perMs + 0.5 * latest;
      }
      count = 0;
      sinceMs = nowMs;
    },
  };
}
