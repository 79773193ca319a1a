import { type Clock, sleep } from "../platform/clock.ts";

/** Lets a loop sleep until it is woken or its time is up. A wake while the loop is busy is remembered. */
export interface Waker {
  wake(): void;
  /** Resolves at the next wake (at once if one came since the last wait) or after `maxMs`; to whether it was woken. */
  wait(maxMs: number): Promise<boolean>;
}

export function createWaker(clock: Clock): Waker {
  let woken = false;
  let interrupt: AbortController | undefined;
  return {
    wake() {
      woken = true;
      interrupt?.abort();
    },
    async wait(maxMs) {
      if (!woken) {
        interrupt = new AbortController();
        await sleep(clock, maxMs, interrupt.signal);
        interrupt = undefined;
      }
      const answer = woken;
      woken = false;
      return answer;
    },
  };
}
