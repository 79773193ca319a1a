import { type LoggedRow, lastPosition } from "../bus/api.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { type Batch, type Chain, createChains, type Item } from "./chains.ts";
import type { Changes, Loaded, PendingRow } from "./delivery-store.ts";
import { createHealth } from "./health.ts";
import { createLedger } from "./ledger.ts";
import type { Measures } from "./measures.ts";
import type { Reader } from "./reader.ts";
import { type RetryLimits, retryDelayMs } from "./retry.ts";
import { type Sent, send } from "./send.ts";
import { createSigner, messageId } from "./signing.ts";
import { countRequest } from "./tally.ts";
import { createDispatcher, type TargetRule } from "./targets.ts";
import { createTimer } from "./timer.ts";

export interface EndpointLimits extends RetryLimits {
  /** A request that is not answered by then has failed. */
  timeoutMs: number;
  /** Events held for one webhook; beyond it nothing more is read for it, so it falls behind and costs no memory. */
  maxHeldEvents: number;
  /** The same while it is down: only so many that something else than what failed can ask whether it is back. */
  maxHeldWhileDown: number;
}

export interface EndpointWorld {
  reader: Reader;
  clock: Clock;
  log: Log;
  /** 0 to 1. */
  random: () => number;
  limits: EndpointLimits;
  rule: TargetRule;
  /** Whether this process may still deliver: its lease has not run out. */
  mayDeliver(): boolean;
}

export interface Endpoint {
  readonly id: string;
  readonly epoch: number;
  readonly version: number;
  /** Events that are here and not delivered. */
  readonly heldEvents: number;
  /** Everything up to here is delivered, saved, or not for it. */
  readonly position: number;
  /** Something may be new. */
  wake(): void;
  /** It was changed, or dead letters are replayed: goes on with that. */
  change(next: Loaded["config"], replays: readonly PendingRow[]): void;
  /** What changed since the last call; the caller saves it, again and again until it is saved or the claim is lost. */
  collect(): Changes | null;
  /** Sends nothing more, and gives what is under way so long to be answered. */
  stop(drainMs: number): Promise<void>;
}

const readAgainMs = 1_000;

const [open, comma, close] = ["[", ",", "]"].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];
/** A JSON list of these events. */
const listOf = (items: readonly Item[]): Buffer =>
  Buffer.concat([...items.flatMap(({ bytes }, index) => [index === 0 ? open : comma, bytes]), close]);

/**
 * Delivers to one webhook from where it was: reads ahead of what is delivered up to a limit, sends, and keeps what changed until
 * it is collected to be saved. What was sent and not saved when the process dies is sent again.
 */
export function createEndpoint(world: EndpointWorld, loaded: Loaded, measures: Measures): Endpoint {
  const { reader, clock, limits, random, rule } = world;
  const { id, epoch } = loaded;
  const log = world.log.child({ webhook: id });
  const chains = createChains();
  const ledger = createLedger(loaded.position);
  const health = createHealth(limits, loaded, random);
  const timer = createTimer(clock, () => pump());
  /** Saved by an earlier process though its position had not passed them: not to be read a second time. */
  const known = new Set<string>();
  let { config } = loaded;
  let dispatcher = createDispatcher(rule, config.maxConcurrentRequests);
  let sign = createSigner(config);
  let readTo = loaded.position;
  /** It is to be paused: nothing is sent any more. The reason is told once. */
  let pausing = false;
  let pauseReason: string | null = null;
  let ending = false;
  let stopped = false;
  let reading = false;
  let caughtUp = false;
  let underWay = 0;
  let whenIdle: () => void = () => undefined;

  restore(loaded.pending);

  const hasRoom = () => chains.size < (health.isDown() ? limits.maxHeldWhileDown : limits.maxHeldEvents);

  function restore(rows: readonly PendingRow[]): void {
    for (const { dueMs, text, ...item } of rows) {
      if (item.position > loaded.position && !item.replay) known.add(item.eventId);
      chains.restore({ ...item, bytes: Buffer.from(text), saved: true }, dueMs);
    }
  }

  /** Sends what may be sent, reads what there is room for, and sees that it is called again in time. */
  function pump(): void {
    if (ending || pausing || !world.mayDeliver()) return;
    const nowMs = clock.nowMs();
    let nextMs = health.retryAtMs;
    if (nowMs >= nextMs) nextMs = health.isDown() ? sendProbe() : sendReady(nowMs);
    if (!reading && !caughtUp && hasRoom()) void fill();
    timer.set(nextMs, nowMs);
  }

  function sendProbe(): number {
    const probe = underWay === 0 ? chains.takeProbe() : undefined;
    if (probe) void deliver(probe);
    return Number.POSITIVE_INFINITY;
  }

  /** Answers when the next event that waits is due. */
  function sendReady(nowMs: number): number {
    const nextMs = chains.release(nowMs);
    while (underWay < config.maxConcurrentRequests) {
      const batch = chains.take(config.maxEventsPerRequest);
      if (!batch) break;
      void deliver(batch);
    }
    return nextMs;
  }

  async function fill(): Promise<void> {
    reading = true;
    try {
      const rows = await reader.read(readTo);
      caughtUp = rows.length === 0;
      for (const row of rows) {
        if (!hasRoom()) break; // the rest is read again, from the page that is in memory
        take(row);
        readTo = lastPosition(row);
      }
    } catch (error) {
      log.warn({ err: error }, "the bus could not be read; trying again");
      caughtUp = true;
      clock.after(readAgainMs, wake);
    } finally {
      reading = false;
    }
    pump();
  }

  function take(row: LoggedRow): void {
    if (!config.everything && row.clientId !== config.clientId) return;
    for (const event of reader.eventsOf(row)) {
      const { position, eventId, type } = event;
      if (position <= readTo || (config.types && !config.types.includes(type))) continue;
      if (known.delete(eventId)) continue;
      const fresh = { attempts: 0, reason: null, replay: false, saved: false };
      const item: Item = { position, eventId, subject: row.subject, type, bytes: event.bytes, ...fresh };
      ledger.read(item, chains.add(item));
    }
  }

  async function deliver(batch: Batch): Promise<void> {
    const { items } = batch;
    const message = {
      id: messageId(items.map(({ eventId }) => eventId)),
      body: config.maxEventsPerRequest === 1 ? items[0]!.bytes : listOf(items),
      url: config.url,
      sign,
      timeoutMs: limits.timeoutMs,
    };
    underWay += 1;
    const sent = await send(dispatcher, clock, message);
    underWay -= 1;
    if (underWay === 0) whenIdle();
    if (stopped && !sent.ok) return; // cut off by us: not a failure of theirs
    const retried = items.filter(({ attempts }) => attempts > 0).length;
    measures.request(sent, items.length, retried);
    countRequest(ledger.tally, sent, items.length, retried);
    if (sent.ok) succeeded(batch);
    else failed(batch, sent);
    pump();
  }

  function succeeded(batch: Batch): void {
    for (const item of batch.items) ledger.done(item);
    chains.settle(batch);
    ledger.tally.lastDeliveredMs = clock.nowMs();
    if (!health.succeeded()) return;
    log.info("a webhook is back");
    chains.release(Number.POSITIVE_INFINITY);
  }

  function failed(batch: Batch, { reason, status, retryAfterMs }: Sent): void {
    const nowMs = clock.nowMs();
    ledger.tally.lastError = reason;
    if (health.failed(nowMs, retryAfterMs)) log.warn({ reason }, "a webhook is down");
    const sent = new Set(batch.items);
    for (const chain of batch.chains) failedChain(chain, sent, reason, nowMs);
    const sinceMs = health.failingTooLongSince(nowMs);
    if (status === 410) pause("It answered 410 Gone");
    else if (sinceMs !== null)
      pause(`Nothing got through since ${new Date(sinceMs).toISOString()}: ${reason}`);
  }

  function failedChain(chain: Chain, sent: ReadonlySet<Item>, reason: string | null, nowMs: number): void {
    for (const item of chain.items) {
      if (sent.has(item)) Object.assign(item, { attempts: item.attempts + 1, reason });
      if (sent.has(item) || !item.saved) ledger.changed(item);
    }
    const first = chain.items[0]!;
    if (first.attempts < limits.maxAttempts || health.isDown())
      chains.postpone(chain, nowMs + retryDelayMs(limits, first.attempts, random));
    else bury(chain, first);
  }

  function bury(chain: Chain, first: Item): void {
    ledger.done(first);
    chains.drop(chain, first);
    ledger.tally.dead.push(first);
    measures.dead(1);
    const { eventId: event, reason, attempts } = first;
    log.error({ event, reason, attempts }, "a webhook's dead letter");
  }

  function pause(reason: string): void {
    if (pausing) return;
    pausing = true;
    pauseReason = reason;
    measures.paused();
    log.error({ reason }, "a webhook is paused");
  }

  function wake(): void {
    caughtUp = false;
    pump();
  }

  return {
    id,
    epoch,
    wake,
    get version() {
      return config.version;
    },
    get heldEvents() {
      return chains.size;
    },
    get position() {
      return ledger.passed(readTo);
    },
    change(next, replays) {
      const { url, maxConcurrentRequests } = config;
      config = next;
      sign = createSigner(next);
      pausing = false;
      if (next.url !== url || next.maxConcurrentRequests !== maxConcurrentRequests) {
        void dispatcher.close().catch(() => undefined);
        dispatcher = createDispatcher(rule, next.maxConcurrentRequests);
        health.askAtOnce();
      }
      restore(replays.filter(({ eventId, subject }) => !chains.has(subject, eventId)));
      pump();
    },
    collect() {
      const changes = ledger.collect(readTo, chains.dueMsOf);
      if (changes === null) return null;
      const told = { id, epoch, ...changes, ...health.state, pauseReason };
      pauseReason = null;
      return told;
    },
    async stop(drainMs) {
      ending = true;
      timer.clear();
      if (underWay > 0 && drainMs > 0) {
        await new Promise<void>((resolve) => {
          const forget = clock.after(drainMs, resolve);
          whenIdle = () => {
            forget();
            resolve();
          };
        });
      }
      stopped = true;
      await dispatcher.destroy().catch(() => undefined);
    },
  };
}
