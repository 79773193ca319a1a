import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhenResult,
} from "cockatiel";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";

/** When a circuit opens, and how it closes again. */
export interface BreakerSettings {
  /** Calls that fail in a row. */
  failuresToOpen: number;
  /** So long nothing is called; then one call tries. */
  recoveryMs: number;
  /** How often circuits that are open are looked at: one that may be tried is tried, whether an order waits for it or not. */
  monitorMs: number;
}

/** Calls waiting for one of the channel's connections at most; beyond it the answer is `retry`. */
const maxWaitingCalls = 10_000;
const busyRetryMs = 500;
const probingRetryMs = 1_000;

/** Not called: why, and when to ask again. */
interface Held {
  kind: "held_back";
  afterMs: number;
  detail: string;
}

export interface Guard {
  /** Runs `work` unless the channel is known to be down or too many calls wait for it already. */
  run<T extends { failed: boolean }>(maxConcurrentCalls: number, work: () => Promise<T>): Promise<T | Held>;
}

/**
 * One endpoint's circuit breaker and limit of calls at once, kept for the endpoint's life. Opens after some failures in a
 * row; later one call tries, and while it does the others are held back rather than queued behind it. `onChange` is told when it
 * opens (true) and closes.
 */
export function createGuard(
  clock: Clock,
  log: Log,
  settings: BreakerSettings,
  onChange: (open: boolean) => void,
): Guard {
  const { failuresToOpen, recoveryMs } = settings;
  const breaker = circuitBreaker(
    handleWhenResult((result) => (result as { failed?: boolean } | undefined)?.failed === true),
    { halfOpenAfter: recoveryMs, breaker: new ConsecutiveBreaker(failuresToOpen) },
  );
  let openUntilMs = 0;
  breaker.onBreak(() => {
    openUntilMs = clock.nowMs() + recoveryMs;
    log.warn({ recoveryMs }, "channel fails: its circuit is open");
    onChange(true);
  });
  breaker.onReset(() => {
    log.info("channel answers again: its circuit is closed");
    onChange(false);
  });

  let limit = 0;
  let calls = bulkhead(1, 0);

  const heldBack = (): Held | undefined => {
    if (breaker.state === CircuitState.HalfOpen) {
      return {
        kind: "held_back",
        afterMs: probingRetryMs,
        detail: "the channel is being tried after failures",
      };
    }
    const leftMs = openUntilMs - clock.nowMs();
    if (breaker.state === CircuitState.Open && leftMs > 0) {
      return { kind: "held_back", afterMs: leftMs, detail: "the channel failed repeatedly" };
    }
    return undefined;
  };

  return {
    async run(maxConcurrentCalls, work) {
      const early = heldBack();
      if (early) return early;
      if (limit !== maxConcurrentCalls) {
        limit = maxConcurrentCalls;
        calls = bulkhead(limit, maxWaitingCalls);
      }
      try {
        return await calls.execute(async () => heldBack() ?? (await breaker.execute(work)));
      } catch (error) {
        if (error instanceof BulkheadRejectedError) {
          return { kind: "held_back", afterMs: busyRetryMs, detail: "too many calls wait for the channel" };
        }
        if (error instanceof BrokenCircuitError) {
          return { kind: "held_back", afterMs: probingRetryMs, detail: "the channel failed repeatedly" };
        }
        throw error;
      }
    },
  };
}
