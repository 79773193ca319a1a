import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { changeCalls } from "./store.ts";
import { type Calls, type HalfLives, promptMs, tallyCalls } from "./tally.ts";

/** A request to a channel that was made (not one that its breaker held back). */
export interface CallMade {
  channelId: string;
  /** The protocol's call: hold, book, cancel, status, list, batch. */
  call: string;
  ms: number;
  failed: boolean;
}

export interface CallCounts {
  note(call: CallMade): void;
  /** Adds what was counted since to the database; what could not be saved is kept for the next time. */
  save(): Promise<void>;
}

/**
 * Counts this process's calls to channels, which no event tells of, and saves them every few seconds: a process that is killed
 * loses a few seconds' counts. Memory: one entry per channel and millisecond of latency.
 */
export function createCallCounts(dependencies: {
  database: Database;
  clock: Clock;
  halfLives: HalfLives;
}): CallCounts {
  const { database, clock, halfLives } = dependencies;
  let counted = new Map<string, Calls>();

  return {
    note({ channelId, call, ms, failed }) {
      let calls = counted.get(channelId);
      if (!calls) {
        calls = { made: 0, failed: 0, prompt: 0, bookings: new Map() };
        counted.set(channelId, calls);
      }
      calls.made += 1;
      if (failed) calls.failed += 1;
      if (call !== "book" && call !== "batch") return;
      const whole = Math.max(0, Math.round(ms));
      calls.bookings.set(whole, (calls.bookings.get(whole) ?? 0) + 1);
      if (!failed && whole <= promptMs) calls.prompt += 1;
    },
    async save() {
      if (counted.size === 0) return;
      const saving = counted;
      counted = new Map();
      try {
        const nowMs = clock.nowMs();
        await changeCalls(database, [...saving.keys()].sort(), (id, tally) =>
          tallyCalls(tally, saving.get(id)!, halfLives, nowMs),
        );
      } catch (error) {
        for (const [id, calls] of saving) counted.set(id, merged(calls, counted.get(id)));
        throw error;
      }
    },
  };
}

function merged(one: Calls, other: Calls | undefined): Calls {
  if (!other) return one;
  const bookings = new Map(one.bookings);
  for (const [ms, times] of other.bookings) bookings.set(ms, (bookings.get(ms) ?? 0) + times);
  return {
    made: one.made + other.made,
    failed: one.failed + other.failed,
    prompt: one.prompt + other.prompt,
    bookings,
  };
}
