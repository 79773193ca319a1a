import type { Clock } from "../platform/clock.ts";
import { UoopError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Service } from "../platform/service.ts";
import type { EventRow, PlatformEvent } from "../relay/api.ts";
import { type Bus, type LoggedRow, lastPosition } from "./api.ts";
import { unfold } from "./events.ts";
import {
  createSubscription,
  type EventFilter,
  type FeedItem,
  type PlacedEvent,
  type Subscription,
  type SubscriptionSource,
} from "./subscription.ts";
import { createWaker } from "./wake.ts";

export interface FeedDependencies {
  bus: Bus;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  limits?: Partial<typeof defaultLimits>;
}

const defaultLimits = {
  /** Events that a subscriber may be behind; beyond it, it is cut off and resumes from its last position. */
  maxBufferedEvents: 10_000,
  /** Rows of the past that are loaded at once for one subscriber. */
  pageRows: 200,
  /** Rows that the shared tail reads at once. */
  tailRows: 2_000,
  /** The tail looks this often when nobody wakes it (and somebody listens). */
  idleMs: 250,
  /** How long `timeline` waits for a version that is not on the bus yet. */
  timelineWaitMs: 1_000,
};

export interface EventFeed extends Service {
  /**
   * Events that pass the filter, in the bus's order: after the position `from`, or from now on. Ends when `signal`
   * aborts, the feed stops, or the reader is too slow (it resumes with the last position it got). Throws
   * `cursor_invalid` for a position that is none.
   */
  subscribe(filter: EventFilter, from?: string, signal?: AbortSignal): AsyncIterableIterator<FeedItem>;
  /**
   * All events of an order so far, in version order. Waits a second at most for `atLeastVersion`, the version that the
   * asker has been told of: the newest may still be on their way to the bus.
   */
  timeline(orderId: string, options?: { atLeastVersion?: number }): Promise<PlatformEvent[]>;
}

/** One tail of the bus for any number of subscribers: a row is read once, and unfolded only if somebody wants it. */
export function createEventFeed(dependencies: FeedDependencies): EventFeed {
  const { bus, clock, log, metrics } = dependencies;
  const limits = { ...defaultLimits, ...dependencies.limits };
  const listeners = createListeners();
  const open = new Set<Subscription>();
  const waker = createWaker(clock);
  let tailPosition = 0;
  let parked = true;
  let stopping = false;
  let loop: Promise<void> | undefined;
  let unsubscribe: () => void = () => undefined;

  /** Reads the next rows and hands them out; false when there are none. */
  async function step(): Promise<boolean> {
    const rows = await bus.read({ after: tailPosition, limit: limits.tailRows });
    const last = rows.at(-1);
    if (!last) return false;
    for (const row of rows) dispatch(row);
    tailPosition = lastPosition(last);
    return true;
  }

  function dispatch(row: LoggedRow): void {
    const interested = listeners.of(row);
    if (interested.length === 0) return;
    const events = place(row);
    for (const subscription of interested) {
      const { types } = subscription.filter;
      for (const placed of events) {
        if (types && !types.includes(placed.item.event.type)) continue;
        if (subscription.offer(placed)) continue;
        log.info({ filter: subscription.filter }, "a subscriber was too slow and was cut off");
        break;
      }
    }
  }

  async function run(): Promise<void> {
    while (!stopping) {
      parked = listeners.size === 0;
      try {
        if (parked || !(await step())) await waker.wait(limits.idleMs);
      } catch (error) {
        log.warn({ err: error }, "the bus could not be read; subscribers wait");
        await waker.wait(1_000);
      }
    }
  }

  async function page(filter: EventFilter, after: number) {
    // The head is read first: what a read after it does not show is not there.
    const head = await bus.head();
    const subject = filter.orderId;
    const limit = limits.pageRows;
    const rows = await bus.read({ after, limit, ...(subject === undefined ? {} : { subject }) });
    const last = rows.at(-1);
    const events = rows
      .filter((row) => concerns(filter, row))
      .flatMap((row) => place(row))
      .filter((placed) => placed.position > after)
      .filter((placed) => !filter.types || filter.types.includes(placed.item.event.type));
    const short = rows.length < limit;
    // All of one subject up to the head was seen when its page is short; of everything, only when there is no page.
    const atHead = short && (subject !== undefined || !last);
    return { events, passed: Math.max(last ? lastPosition(last) : 0, atHead ? head : 0), short };
  }

  const source: Omit<SubscriptionSource, "begin"> = {
    page,
    join(subscription) {
      // Nobody listens and the tail rests wherever it was: it goes on where this subscriber is.
      if (parked) tailPosition = subscription.passed;
      parked = false;
      listeners.add(subscription);
      waker.wake();
      return tailPosition;
    },
    left(subscription) {
      listeners.remove(subscription);
      if (open.delete(subscription)) metrics.streams.dec();
    },
  };

  return {
    name: "event-feed",

    subscribe(filter, from, signal) {
      const wanted = from === undefined ? undefined : parsePosition(from);
      // "Now" is when it was asked, not when the first event is. A position beyond the head is of another database.
      const start = bus.head().then((head) => Math.min(wanted ?? head, head));
      start.catch(() => undefined);
      const subscription = createSubscription(
        filter,
        { ...source, begin: () => start },
        limits.maxBufferedEvents,
      );
      open.add(subscription);
      metrics.streams.inc();
      signal?.addEventListener("abort", () => subscription.close(), { once: true });
      if (signal?.aborted || stopping) subscription.close();
      return subscription;
    },

    timeline: (orderId, options = {}) =>
      readTimeline(bus, clock, orderId, options.atLeastVersion ?? 0, limits.timelineWaitMs),

    async start() {
      stopping = false;
      unsubscribe = bus.onPublished(() => waker.wake());
      loop = run();
    },

    async stop() {
      stopping = true;
      unsubscribe();
      for (const subscription of [...open]) subscription.close();
      waker.wake();
      await loop;
    },
  };
}

const place = (row: LoggedRow): PlacedEvent[] =>
  unfold(row).map((event, index) => {
    const position = row.position + index;
    return { position, item: { position: String(position), event } };
  });

const concerns = (filter: EventFilter, row: EventRow): boolean =>
  (filter.clientId === null || filter.clientId === row.clientId) &&
  (filter.orderId === undefined || filter.orderId === row.subject);

function parsePosition(text: string): number {
  if (!/^\d{1,15}$/.test(text)) {
    throw new UoopError("cursor_invalid", `${JSON.stringify(text)} is not a position that a stream gave`);
  }
  return Number(text);
}

/** Live subscribers, found by what a row is about: thousands of order streams cost a row one look-up. */
function createListeners() {
  const byOrder = new Map<string, Set<Subscription>>();
  const byClient = new Map<string | null, Set<Subscription>>();
  const shelf = ({ filter }: Subscription): [Map<string | null, Set<Subscription>>, string | null] =>
    filter.orderId === undefined
      ? [byClient, filter.clientId]
      : [byOrder as Map<string | null, Set<Subscription>>, filter.orderId];

  return {
    get size() {
      return byOrder.size + byClient.size;
    },
    add(subscription: Subscription): void {
      const [map, key] = shelf(subscription);
      map.set(key, (map.get(key) ?? new Set()).add(subscription));
    },
    remove(subscription: Subscription): void {
      const [map, key] = shelf(subscription);
      const set = map.get(key);
      set?.delete(subscription);
      if (set?.size === 0) map.delete(key);
    },
    of(row: EventRow): Subscription[] {
      const found = [...(byOrder.get(row.subject) ?? []), ...(byClient.get(null) ?? [])];
      if (row.clientId !== null) found.push(...(byClient.get(row.clientId) ?? []));
      return found.filter((subscription) => concerns(subscription.filter, row));
    },
  };
}

async function readTimeline(bus: Bus, clock: Clock, orderId: string, atLeastVersion: number, waitMs: number) {
  const events: PlatformEvent[] = [];
  const waker = createWaker(clock);
  const unsubscribe = bus.onPublished(() => waker.wake());
  const untilMs = clock.nowMs() + waitMs;
  let position = 0;
  try {
    for (;;) {
      const rows = await bus.read({ after: position, limit: 500, subject: orderId });
      events.push(...rows.flatMap((row) => unfold(row)));
      position = rows.length > 0 ? lastPosition(rows.at(-1)!) : position;
      const leftMs = untilMs - clock.nowMs();
      if (rows.length === 500) continue;
      if ((events.at(-1)?.subjectversion ?? 0) >= atLeastVersion || leftMs <= 0) return events;
      await waker.wait(Math.min(leftMs, 50));
    }
  } finally {
    unsubscribe();
  }
}
