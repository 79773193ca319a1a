import type { Bus } from "../bus/api.ts";
import { createWaker } from "../bus/wake.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Service } from "../platform/service.ts";
import type { Changes, Held, Loaded } from "./delivery-store.ts";
import * as store from "./delivery-store.ts";
import { createEndpoint, type Endpoint, type EndpointLimits } from "./endpoint.ts";
import { createMeasures, type Measures } from "./measures.ts";
import { createReader } from "./reader.ts";
import { defaultRetryLimits } from "./retry.ts";
import type { TargetRule } from "./targets.ts";

export interface DelivererDependencies {
  database: Database;
  bus: Bus;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** 0 to 1, for jitter. */
  random: () => number;
  /** Names this process; another one in each start. */
  holder: string;
  rule: TargetRule;
  /** No other process works on this database: what one before held is taken at once. */
  exclusive: boolean;
  limits?: Partial<typeof defaultLimits>;
}

const defaultLimits = {
  ...defaultRetryLimits,
  timeoutMs: 15_000,
  maxHeldEvents: 2_000,
  maxHeldWhileDown: 100,
  /** What is delivered within this time is saved in one statement; a crash repeats so much. */
  saveEveryMs: 200,
  /** It looks this often whether settings changed, and renews its lease. */
  tendEveryMs: 1_000,
  /** A process that has not renewed for this long has lost its webhooks. */
  leaseMs: 5_000,
  /** At a stop, requests under way have this long. */
  drainMs: 5_000,
  /** When it hands a webhook to another process: less, since its own lease waits meanwhile. */
  handOverMs: 1_000,
} satisfies EndpointLimits & Record<string, number>;

export interface Deliverer extends Service {
  /** A webhook was made or changed, or dead letters are replayed: look now. A lost poke costs a second. */
  poke(): void;
}

/**
 * Delivers the bus to webhooks. Processes share the webhooks evenly: each has some under a lease, fenced by an epoch. Each webhook
 * goes its own way from its own position (endpoint.ts); this loop claims, tends and saves all of them together.
 */
export function createDeliverer(dependencies: DelivererDependencies): Deliverer {
  const { database, bus, clock, log, holder, rule, random } = dependencies;
  const limits = { ...defaultLimits, ...dependencies.limits };
  const reader = createReader(bus);
  const measuresOf = createMeasures(dependencies.metrics);
  const waker = createWaker(clock);
  const endpoints = new Map<string, { endpoint: Endpoint; measures: Measures }>();
  let unsaved: Changes[] = [];
  let renewedMs = 0;
  let tendedMs = 0;
  let seenHead = 0;
  let poked = false;
  let takeAll = dependencies.exclusive;
  let stopping = false;
  let loop: Promise<void> | undefined;
  let unsubscribe: () => void = () => undefined;

  const world = {
    ...{ reader, clock, log, random, limits, rule },
    mayDeliver: () => clock.nowMs() < renewedMs + limits.leaseMs,
  };

  const wakeAll = (): void => {
    for (const { endpoint } of endpoints.values()) endpoint.wake();
  };

  function add(loaded: Loaded): void {
    const measures = measuresOf(loaded.id);
    const endpoint = createEndpoint(world, loaded, measures);
    endpoints.set(loaded.id, { endpoint, measures });
    endpoint.wake();
  }

  /** Ends these here. Those that are still ours are saved and free for others. */
  async function end(ids: readonly string[], drainMs: number): Promise<void> {
    const ending = ids.flatMap((id) => endpoints.get(id) ?? []);
    if (ending.length === 0) return;
    await Promise.all(ending.map(({ endpoint }) => endpoint.stop(drainMs)));
    await save();
    await store.release(
      database,
      holder,
      ending.map(({ endpoint }) => endpoint),
    );
    forget(ids);
  }

  function forget(ids: readonly string[]): void {
    for (const id of ids) {
      const found = endpoints.get(id);
      endpoints.delete(id);
      found?.measures.end();
      void found?.endpoint.stop(0);
    }
    unsaved = unsaved.filter(({ id }) => endpoints.has(id));
  }

  /** Saves what changed, all in one statement. After a failure the same is saved again before anything newer. */
  async function save(): Promise<void> {
    await write();
    unsaved = [...endpoints.values()].flatMap(({ endpoint }) => endpoint.collect() ?? []);
    await write();
  }

  async function write(): Promise<void> {
    if (unsaved.length === 0) return;
    const saved = await store.save(database, holder, unsaved);
    const lost = unsaved.filter(({ id }) => !saved.has(id)).map(({ id }) => id);
    unsaved = [];
    if (lost.length === 0) return;
    log.warn({ webhooks: lost }, "webhooks were taken over by another process, or are gone");
    forget(lost);
  }

  /** Renews the lease, follows changes, and keeps as many webhooks as is this process's share. */
  async function tend(): Promise<void> {
    const askedMs = clock.nowMs();
    tendedMs = askedMs;
    const { held, active, deliverers } = await store.renew(database, holder, limits.leaseMs);
    renewedMs = askedMs;
    await follow(held);
    const share = Math.ceil(active / deliverers);
    const mine = [...endpoints.keys()];
    if (mine.length > share) await end(mine.slice(share), limits.handOverMs);
    else if (mine.length < share) {
      const room = share - mine.length;
      const taken = await store.claim(database, holder, limits.leaseMs, room, takeAll);
      for (const loaded of taken) add(loaded);
      if (taken.length > 0) log.info({ webhooks: taken.length, share }, "webhooks taken");
    }
    takeAll = false;
    wakeAll();
  }

  async function follow(held: readonly Held[]): Promise<void> {
    const byId = new Map(held.map((row) => [row.id, row]));
    const fenced = ([id, { endpoint }]: [string, { endpoint: Endpoint }]) =>
      byId.get(id)?.epoch !== endpoint.epoch;
    forget([...endpoints].filter(fenced).map(([id]) => id));
    await end(
      held.filter(({ status }) => status === "paused").map(({ id }) => id),
      limits.handOverMs,
    );
    // Held and not here: to be freed was all that was left to do, and that failed.
    const stray = held.filter(({ id }) => !endpoints.has(id));
    if (stray.length > 0) await store.release(database, holder, stray);
    const stale = held.filter(({ id, version }) => {
      const here = endpoints.get(id);
      return here !== undefined && here.endpoint.version !== version;
    });
    if (stale.length === 0) return;
    const ids = stale.map(({ id }) => id);
    for (const { id, config, replays } of await store.reload(database, ids))
      endpoints.get(id)?.endpoint.change(config, replays);
  }

  /** Tells how far each is behind, and wakes all when another process put something on the bus. */
  async function look(): Promise<void> {
    if (endpoints.size === 0) return;
    const head = await bus.head();
    for (const { endpoint, measures } of endpoints.values())
      measures.lag(Math.max(0, head - endpoint.position), endpoint.heldEvents);
    if (head > seenHead) wakeAll();
    seenHead = head;
  }

  async function round(): Promise<void> {
    if (poked || clock.nowMs() - tendedMs >= limits.tendEveryMs) {
      poked = false;
      await tend();
    }
    await look();
    await save();
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping) {
      try {
        await round();
        failures = 0;
      } catch (error) {
        failures += 1;
        log.warn({ err: error, failures }, "webhooks: a round failed and is tried again");
      }
      await waker.wait(limits.saveEveryMs * Math.min(1 + failures, 10));
    }
  }

  return {
    name: "webhooks",
    poke() {
      poked = true;
      waker.wake();
    },
    async start() {
      stopping = false;
      unsubscribe = bus.onPublished(wakeAll);
      loop = run();
    },
    async stop() {
      if (!loop) return;
      stopping = true;
      unsubscribe();
      waker.wake();
      await loop;
      loop = undefined;
      try {
        await end([...endpoints.keys()], limits.drainMs);
        await store.leave(database, holder);
      } catch (error) {
        log.warn(
          { err: error },
          "webhooks: not all progress was saved; what was delivered since is sent again",
        );
        forget([...endpoints.keys()]);
      }
    },
  };
}
