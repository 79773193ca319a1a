import { type Clock, toIso } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";
import { announce, findUntold } from "./announcer-store.ts";

export interface AnnouncerDependencies {
  database: Database;
  clock: Clock;
  log: Log;
  /** Something was committed: the relay may look (a hint). */
  onCommitted?(): void;
}

export interface Announcer extends Service {
  /** Something of this channel may be other than was told: its room or its health. A hint, which costs a set's insertion. */
  note(channelId: string): void;
}

/** Channels told of in one transaction at most; the others follow at once. */
const maxChannels = 200;
/** A process tells this often at most. How often one channel is told of is for the database to say, since there may be several processes. */
const everyMs = 250;
const afterFailureMs = 1_000;
/** What a process that died had noted and not told is found this often. */
const sweepMs = 30_000;

/**
 * Tells what channels have become, as events: `capacity.updated` when room was set, taken or given back, `channel.health_changed`. What is told
 * is read from the database under a lock and compared with what was told last, so changes in quick succession are one event, the last state
 * is always told, and nothing has to be written where orders are.
 */
export function createAnnouncer({ database, clock, log, onCommitted }: AnnouncerDependencies): Announcer {
  let noted = new Set<string>();
  let running: Promise<void> | undefined;
  let forgetNext: (() => void) | undefined;
  let forgetSweep = (): void => undefined;
  let isStarted = false;

  function soon(delayMs: number): void {
    if (!isStarted || running || forgetNext || noted.size === 0) return;
    forgetNext = clock.after(delayMs, () => {
      forgetNext = undefined;
      running = tell().then((nextMs) => {
        running = undefined;
        soon(nextMs);
      });
    });
  }

  /** When to go on, ms. */
  async function tell(): Promise<number> {
    const ids = [...noted].slice(0, maxChannels);
    noted = new Set([...noted].slice(maxChannels));
    try {
      const { told, again } = await announce(database, ids, toIso(clock.nowMs()));
      for (const id of again) noted.add(id);
      if (told > 0) onCommitted?.();
      return everyMs;
    } catch (error) {
      for (const id of ids) noted.add(id);
      log.warn({ error }, "changes of channels could not be told; trying again");
      return afterFailureMs;
    }
  }

  function sweep(): void {
    findUntold(database, toIso(clock.nowMs()))
      .then((ids) => {
        for (const id of ids) noted.add(id);
        soon(0);
      })
      .catch((error: unknown) => log.warn({ error }, "untold changes of channels could not be looked for"))
      .finally(() => {
        if (isStarted) forgetSweep = clock.after(sweepMs, sweep);
      });
  }

  return {
    name: "announcer",
    note(channelId) {
      noted.add(channelId);
      if (!forgetNext) soon(0);
    },
    async start() {
      isStarted = true;
      sweep();
    },
    async stop() {
      isStarted = false;
      forgetNext?.();
      forgetNext = undefined;
      forgetSweep();
      await running;
    },
  };
}
