import type { EventType } from "../relay/api.ts";

/** An event on its way to one webhook. */
export interface Item {
  position: number;
  eventId: string;
  subject: string;
  type: EventType;
  /** The event as it is sent; webhooks that get the same one share it. */
  bytes: Buffer;
  replay: boolean;
  /** Tries that failed. */
  attempts: number;
  /** Why the last one did. */
  reason: string | null;
  /** Whether the database has it among the pending ones. */
  saved: boolean;
}

/** The events of one order or channel that are not delivered yet, in version order. */
export interface Chain {
  subject: string;
  items: Item[];
  state: "ready" | "sent" | "waiting";
  /** Of a waiting one: when it is tried again. */
  dueMs: number;
}

/** What goes into one request. */
export interface Batch {
  chains: readonly Chain[];
  items: readonly Item[];
}

/**
 * What a webhook has yet to get: one chain for each subject, of which one request at a time is under way. So the events of an
 * order stay in order, an order that fails holds up itself only, and different orders travel at the same time.
 */
export function createChains() {
  const bySubject = new Map<string, Chain>();
  const ready = new Set<Chain>();
  const waiting = new Set<Chain>();
  let size = 0;
  /** None of those that wait is due before. */
  let nextMs = Number.POSITIVE_INFINITY;

  const makeReady = (chain: Chain): void => {
    chain.state = "ready";
    waiting.delete(chain);
    ready.add(chain);
  };

  /** A chain whose request is over: to the back of those that are ready, or away when it is empty. */
  const goOn = (chain: Chain): void => {
    if (chain.items.length > 0) makeReady(chain);
    else bySubject.delete(chain.subject);
  };

  return {
    /** Events that are here, sent ones included. */
    get size() {
      return size;
    },
    has: (subject: string, eventId: string): boolean =>
      bySubject.get(subject)?.items.some((item) => item.eventId === eventId) ?? false,
    /** When the events of this subject are tried again; 0: they are not waiting. */
    dueMsOf(subject: string): number {
      const chain = bySubject.get(subject);
      return chain?.state === "waiting" ? chain.dueMs : 0;
    },
    /** Adds an event behind those of its subject; answers whether it has to wait there for a later try. */
    add(item: Item): boolean {
      size += 1;
      const chain = bySubject.get(item.subject);
      if (chain) {
        chain.items.push(item);
        return chain.state === "waiting";
      }
      const made: Chain = { subject: item.subject, items: [item], state: "ready", dueMs: 0 };
      bySubject.set(item.subject, made);
      ready.add(made);
      return false;
    },
    /** Puts back what an earlier process left, oldest first by subject. */
    restore(item: Item, dueMs: number): void {
      size += 1;
      const chain = bySubject.get(item.subject);
      if (chain) return void chain.items.push(item);
      const made: Chain = { subject: item.subject, items: [item], state: "waiting", dueMs };
      bySubject.set(item.subject, made);
      waiting.add(made);
      nextMs = Math.min(nextMs, dueMs);
    },
    /** Takes up to `maxItems` events of chains that are ready. What failed more than once goes alone, so that it spoils no others. */
    take(maxItems: number): Batch | undefined {
      const chains: Chain[] = [];
      const items: Item[] = [];
      for (const chain of ready) {
        const alone = chain.items[0]!.attempts > 1;
        if (items.length >= maxItems || (alone && items.length > 0)) break;
        ready.delete(chain);
        chain.state = "sent";
        chains.push(chain);
        items.push(...chain.items.slice(0, alone ? 1 : maxItems - items.length));
        if (alone) break;
      }
      return items.length > 0 ? { chains, items } : undefined;
    },
    /** Takes the event that failed least, whenever it is due: to see whether the webhook is back. */
    takeProbe(): Batch | undefined {
      let best: Chain | undefined;
      for (const chains of [ready, waiting]) {
        for (const chain of chains) {
          if (!best || chain.items[0]!.attempts < best.items[0]!.attempts) best = chain;
          if (best.items[0]!.attempts === 0) break;
        }
      }
      if (!best) return undefined;
      ready.delete(best);
      waiting.delete(best);
      best.state = "sent";
      return { chains: [best], items: best.items.slice(0, 1) };
    },
    /** They are delivered, or given up: what follows them may go. */
    settle({ chains, items }: Batch): void {
      size -= items.length;
      const gone = new Set(items);
      for (const chain of chains) {
        chain.items = chain.items.filter((item) => !gone.has(item));
        goOn(chain);
      }
    },
    /** A chain whose first event failed: it waits until `dueMs`. */
    postpone(chain: Chain, dueMs: number): void {
      chain.state = "waiting";
      chain.dueMs = dueMs;
      waiting.add(chain);
      nextMs = Math.min(nextMs, dueMs);
    },
    /** One event is given up; its chain goes on. */
    drop(chain: Chain, item: Item): void {
      size -= 1;
      chain.items = chain.items.filter((each) => each !== item);
      goOn(chain);
    },
    /** Makes ready what is due; all of it when the webhook is back. Answers when the next one is due, Infinity when none is. */
    release(nowMs: number): number {
      if (nowMs < nextMs) return nextMs;
      nextMs = Number.POSITIVE_INFINITY;
      for (const chain of waiting) {
        if (chain.dueMs <= nowMs) makeReady(chain);
        else nextMs = Math.min(nextMs, chain.dueMs);
      }
      return nextMs;
    },
  };
}
