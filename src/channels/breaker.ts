import {
  BrokenCircuitError,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhenResult,
} from "cockatiel";
import pLimit from "p-limit";
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
/** So many calls at once go to a channel that has not shown yet that it answers more. */
const firstCallsAtOnce = 4;
const busyRetryMs = 500;
const probingRetryMs = 1_000;

/** Not called: why, and when to ask again. */
interface Held {
  kind: "held_back";
  afterMs: number;
  detail: string;
}

export interface Guard {
  /** It failed last: what goes to it now may be lost, so it gets no more than it takes to be sure. */
  readonly suspect: boolean;
  /** Runs `work` unless the channel is known to be down or too many calls wait for it already. */
  run<T extends { failed: boolean }>(maxConcurrentCalls: number, work: () => Promise<T>): Promise<T | Held>;
}

/**
 * One endpoint's circuit breaker and limit of calls at once, kept for the endpoint's life. Opens after some failures in a
 * row; later one call tries, and while it does the others are held back rather than queued behind it. `onChange` is told when it
 * opens (true) and closes.
 *
 * A call without an answer leaves its order in doubt (I4), and a dead channel leaves all that are under way in doubt. So the limit grows
 * from a few with answers: each allows so many beside those that are still out. After a failure no more calls go beside those than would
 * open the circuit if they failed too. (Were they counted in, a channel that lets a few calls hang would soon have no place for others,
 * and their timeouts in a row would open its circuit: with 5 % hanging and 60 orders/s that took four seconds.)
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
  let failuresInRow = 0;
  let atOnce = firstCallsAtOnce;
  let stillOut = 0;
  const calls = pLimit(firstCallsAtOnce);

  /** Takes note of how a call went. */
  function note(failed: boolean): void {
    if (!failed) {
      // Those that hang while others are answered must not take the places of all.
      stillOut = calls.activeCount - 1;
      atOnce = stillOut + firstCallsAtOnce;
    }
    failuresInRow = failed ? failuresInRow + 1 : 0;
  }

  function limitCalls(maxConcurrentCalls: number): void {
    atOnce = Math.min(atOnce, maxConcurrentCalls);
    const safe = failuresInRow === 0 ? atOnce : stillOut + Math.max(1, failuresToOpen - failuresInRow);
    const limit = Math.min(atOnce, safe);
    if (limit !== calls.concurrency) calls.concurrency = limit;
  }

  let openUntilMs = 0;
  breaker.onBreak(() => {
    openUntilMs = clock.nowMs() + recoveryMs;
    atOnce = firstCallsAtOnce;
    stillOut = 0;
    log.warn({ recoveryMs }, "channel fails: its circuit is open");
    onChange(true);
  });
  breaker.onReset(() => {
    log.info("channel answers again: its circuit is closed");
    onChange(false);
  });

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
    get suspect() {
      return failuresInRow > 0;
    },
    async run(maxConcurrentCalls, work) {
      const early = heldBack();
      if (early) return early;
      if (calls.pendingCount >= maxWaitingCalls)
        return { kind: "held_back", afterMs: busyRetryMs, detail: "too many calls wait for the channel" };
      limitCalls(maxConcurrentCalls);
      const guarded = async () => {
        const held = heldBack();
        if (held) return held;
        const result = await breaker.execute(work);
        note(result.failed);
        limitCalls(maxConcurrentCalls);
        return result;
      };
      try {
        return await calls(guarded);
      } catch (error) {
        if (error instanceof BrokenCircuitError) {
          return { kind: "held_back", afterMs: probingRetryMs, detail: "the channel failed repeatedly" };
        }
        throw error;
      }
    },
  };
}
