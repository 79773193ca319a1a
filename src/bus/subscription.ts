import type { EventType, PlatformEvent } from "../relay/api.ts";

/** Which events a subscriber gets. */
export interface EventFilter {
  /** Only those of this order. */
  orderId?: string;
  /** Only those of this client's orders; null: everybody's, and those of channels. */
  clientId: string | null;
  types?: readonly EventType[];
}

/** An event with its place on the bus: give the position back to get everything after it. */
export interface FeedItem {
  /** Opaque to clients. */
  position: string;
  event: PlatformEvent;
}

/** An item with its place as a number. */
export interface PlacedEvent {
  position: number;
  item: FeedItem;
}

/** One subscriber's way through the bus: first pages of the past, then what is handed to it live. */
export interface Subscription {
  readonly filter: EventFilter;
  /** Everything up to here was taken or does not concern it. */
  readonly passed: number;
  readonly closed: boolean;
  /** A live event; those it has passed are dropped. False: its buffer is full, and it was cut off. */
  offer(placed: PlacedEvent): boolean;
  /** Ends it at once: what is buffered is not given any more. */
  close(): void;
}

export interface SubscriptionSource {
  /** Where it begins. */
  begin(): Promise<number>;
  /** A page after `after`; `passed`: how far that brings it; `short`: hardly anything is left. */
  page(
    filter: EventFilter,
    after: number,
  ): Promise<{ events: PlacedEvent[]; passed: number; short: boolean }>;
  /** Has it be offered live events from now on; returns the last position that was handed out before. */
  join(subscription: Subscription): number;
  /** It was closed, by either side. */
  left(subscription: Subscription): void;
}

/**
 * Makes the iterator of one subscriber. It joins the live events once it is near the end of the past, keeps those
 * aside until its pages reach the place where it joined, and goes on with them: no gap, no repeat. `return()` ends it
 * even while `next()` waits, which a generator could not do.
 */
export function createSubscription(
  filter: EventFilter,
  source: SubscriptionSource,
  maxBufferedEvents: number,
): AsyncIterableIterator<FeedItem> & Subscription {
  let ready: PlacedEvent[] = [];
  let taken = 0;
  let live: PlacedEvent[] = [];
  let begun = false;
  let passed = 0;
  let joinedAt: number | undefined;
  let closed = false;
  let notify: () => void = () => undefined;

  const isLive = () => joinedAt !== undefined && passed >= joinedAt;

  /** Loads what can be given next; in live operation waits until there is something. */
  async function refill(): Promise<void> {
    ready = [];
    taken = 0;
    if (!begun) {
      passed = await source.begin();
      begun = true;
    }
    if (isLive()) await takeLive();
    else await takePage();
  }

  async function takePage(): Promise<void> {
    const page = await source.page(filter, passed);
    if (closed) return;
    passed = Math.max(passed, page.passed);
    ready = page.events;
    if (page.short && joinedAt === undefined) joinedAt = source.join(subscription);
    // What a page gave after it had joined was also set aside; later offers of such are dropped as they come.
    if (isLive()) live = live.filter((placed) => placed.position > passed);
  }

  async function takeLive(): Promise<void> {
    if (live.length === 0) {
      await new Promise<void>((resolve) => {
        notify = resolve;
      });
    }
    if (closed) return;
    ready = live;
    live = [];
    passed = Math.max(passed, ready.at(-1)?.position ?? 0);
  }

  const subscription: AsyncIterableIterator<FeedItem> & Subscription = {
    filter,
    get passed() {
      return passed;
    },
    get closed() {
      return closed;
    },
    offer(placed) {
      if (closed || placed.position <= passed) return true;
      if (live.length + ready.length - taken >= maxBufferedEvents) {
        subscription.close();
        return false;
      }
      live.push(placed);
      notify();
      return true;
    },
    close() {
      if (closed) return;
      closed = true;
      ready = [];
      live = [];
      source.left(subscription);
      notify();
    },
    async next() {
      try {
        while (!closed && taken >= ready.length) await refill();
      } catch (error) {
        // Whoever iterates does not call return() after an error.
        subscription.close();
        throw error;
      }
      if (closed) return { done: true, value: undefined };
      const placed = ready[taken]!;
      taken += 1;
      return { done: false, value: placed.item };
    },
    async return() {
      subscription.close();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => subscription,
  };
  return subscription;
}
