import type { Random } from "./random.ts";

/** Virtual time: events in the order of their times, one after the other, each with all that follows from it at once. */
export interface Schedule {
  readonly nowMs: number;
  /** Runs `event` in `delayMs`; the returned function forgets it. */
  in(delayMs: number, event: () => unknown): () => void;
  /** Runs events until `done` says so or `untilMs` has come. */
  run(untilMs: number, done?: () => boolean): Promise<void>;
  /** Time passes in which nothing happens. */
  jump(byMs: number): void;
}

interface Event {
  atMs: number;
  order: number;
  run: (() => unknown) | null;
}

/** Turns of the event loop without anything new after which what an event set off has come to rest. */
const quietTurns = 3;

/** Events of the same millisecond come in an order that the seed decides. */
export function createSchedule(startMs: number, random: Random): Schedule {
  const events: Event[] = [];
  let nowMs = startMs;
  let added = 0;

  /** Promises and immediates of the program run to their end: nothing else is real here but the database, which is awaited. */
  async function settle(): Promise<void> {
    for (let quiet = 0, seen = added; quiet < quietTurns; quiet += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (added === seen) continue;
      seen = added;
      quiet = -1;
    }
  }

  return {
    get nowMs() {
      return nowMs;
    },
    in(delayMs, run) {
      added += 1;
      const event: Event = { atMs: nowMs + Math.max(0, Math.round(delayMs)), order: random.next(), run };
      push(events, event);
      return () => {
        event.run = null;
      };
    },
    async run(untilMs, done = () => false) {
      while (!done()) {
        const event = events[0];
        if (event === undefined || event.atMs > untilMs) break;
        pop(events);
        if (event.run === null) continue;
        nowMs = Math.max(nowMs, event.atMs);
        await event.run();
        await settle();
      }
      nowMs = done() ? nowMs : Math.max(nowMs, untilMs);
    },
    jump(byMs) {
      nowMs += byMs;
    },
  };
}

const before = (one: Event, other: Event): boolean =>
  one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(heap[at]!, heap[parent]!)) return;
    [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
    at = parent;
  }
}

function pop(heap: Event[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  heap[0] = last;
  for (let at = 0; ; ) {
    const left = 2 * at + 1;
    let least = at;
    for (const child of [left, left + 1]) {
      if (child < heap.length && before(heap[child]!, heap[least]!)) least = child;
    }
    if (least === at) return;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}
