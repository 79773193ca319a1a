import { type Clock, sleep } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Service } from "../platform/service.ts";
import { type Bus, type LoggedRow, lastPosition } from "./api.ts";
import { createWaker } from "./wake.ts";

export interface ConsumerOptions {
  bus: Bus;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** Names its position: two consumers of one name share the work of one. */
  name: string;
  /**
   * Handles a chunk and commits its position `to` (the last one of the chunk; the one before is `from`); in one
   * transaction with what it writes, where that is possible. Throws when it could not: the chunk comes again, so
   * handling must bear repeats. False: someone else of this name was there first; the position is read again.
   */
  handle(rows: readonly LoggedRow[], from: number, to: number): Promise<boolean>;
  maxChunkRows?: number;
  /** How often it looks when nobody wakes it. */
  idleMs?: number;
  /** It rests so long after a chunk that was not full, so that what is not urgent is done in fewer, larger chunks. */
  restMs?: number;
}

export interface Consumer extends Service {
  /** The last position that it is done with. */
  readonly position: number;
  /** Resolves once it is done with `position`; rejects when it is stopped before. */
  reached(position: number): Promise<void>;
}

const refreshMs = 2_000;

/** Follows the bus from its own committed position: chunk after chunk, in order, at least once, never past a failure. */
export function createConsumer(options: ConsumerOptions): Consumer {
  const { bus, clock, log, metrics, name, handle, maxChunkRows = 2_000, idleMs = 250, restMs = 0 } = options;
  const waker = createWaker(clock);
  let position = 0;
  let refreshedMs = 0;
  let stopping = new AbortController();
  let full = false;
  let loop: Promise<void> | undefined;
  let unsubscribe: () => void = () => undefined;
  let waiting: { position: number; done: (arrived: boolean) => void }[] = [];

  async function step(): Promise<boolean> {
    const rows = await bus.read({ after: position, limit: maxChunkRows });
    const last = rows.at(-1);
    if (!last) return refresh();
    const to = lastPosition(last);
    full = rows.length >= maxChunkRows;
    const done = await handle(rows, position, to);
    position = done ? to : await bus.committed(name);
    const lag = !full ? 0 : (await bus.head()) - position;
    metrics.consumerLag.set({ consumer: name }, Math.max(0, lag));
    tell();
    return true;
  }

  /** Nothing new. Now and then it looks whether someone moved its position (a rebuild sets it to zero). */
  async function refresh(): Promise<boolean> {
    if (clock.nowMs() - refreshedMs < refreshMs) return false;
    refreshedMs = clock.nowMs();
    const committed = await bus.committed(name);
    if (committed === position) return false;
    position = committed;
    return true;
  }

  function tell(): void {
    for (const each of waiting) if (each.position <= position) each.done(true);
    waiting = waiting.filter((each) => each.position > position);
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      try {
        if (!(await step())) await waker.wait(idleMs);
        else if (restMs > 0 && !full) await sleep(clock, restMs, stopping.signal);
        failures = 0;
      } catch (error) {
        failures += 1;
        log.warn({ err: error, consumer: name, position, failures }, "a chunk failed and is tried again");
        await waker.wait(Math.min(50 * 2 ** failures, 5_000));
      }
    }
  }

  return {
    name,
    get position() {
      return position;
    },
    reached(wanted) {
      if (position >= wanted) return Promise.resolve();
      return new Promise((resolve, reject) => {
        const done = (arrived: boolean) =>
          arrived ? resolve() : reject(new Error(`${name} was stopped at position ${position}`));
        waiting.push({ position: wanted, done });
      });
    },
    async start() {
      stopping = new AbortController();
      position = await bus.committed(name);
      unsubscribe = bus.onPublished(() => waker.wake());
      loop = run();
    },
    async stop() {
      stopping.abort();
      unsubscribe();
      waker.wake();
      await loop;
      for (const each of waiting) each.done(false);
      waiting = [];
    },
  };
}
