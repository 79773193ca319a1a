import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import fc from "fast-check";
import { createEventLog } from "../../src/bus/event-log.ts";
import { unfold } from "../../src/bus/events.ts";
import { createEventFeed, type EventFeed } from "../../src/bus/feed.ts";
import type { EventFilter, FeedItem } from "../../src/bus/subscription.ts";
import { createTail } from "../../src/bus/tail.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { type Database, statement } from "../../src/platform/database.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import type { EventRow } from "../../src/relay/api.ts";
import { createRelay, type Relay } from "../../src/relay/relay.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { append, channelRow, headReached, newOrderId, orderRow } from "./sample.ts";

const clock = systemClock;
const log = createLog("silent");
const everything: EventFilter = { clientId: null };

let postgres: TestDatabase;
let database: Database;
before(async () => {
  postgres = await testDatabase({ connections: 8 });
  database = postgres.database;
});

let bus: ReturnType<typeof createEventLog>;
let relay: Relay;
let feed: EventFeed;
const metrics = createMetrics();

beforeEach(async () => {
  await stopBoth();
  await database.run(statement("", "truncate outbox, event_log"));
  await database.run(statement("", "update event_log_head set next_position = 1"));
  bus = createEventLog({ database });
  const limits = { paceMs: 1, maxBatchRows: 50 };
  relay = createRelay({ database, bus, clock, log, metrics, holder: "own_feed", limits });
  await relay.start();
  await startFeed();
});
after(async () => {
  await stopBoth();
  await postgres.close();
});

/** Every head that the feed has asked for: once answered, a subscription knows where it begins. */
let heads: Promise<number>[] = [];

async function startFeed(limits: Parameters<typeof createEventFeed>[0]["limits"] = {}): Promise<void> {
  await feed?.stop();
  heads = [];
  const observed = {
    ...bus,
    head() {
      const head = bus.head();
      heads.push(head);
      return head;
    },
  };
  feed = createEventFeed({
    bus: observed,
    clock,
    log,
    metrics,
    limits: { pageRows: 5, tailRows: 7, ...limits },
  });
  await feed.start();
}

async function stopBoth(): Promise<void> {
  await feed?.stop();
  await relay?.stop();
}

async function publish(rows: readonly EventRow[]): Promise<void> {
  await append(database, rows);
  relay.poke();
}

/** Publishes and waits until it is on the bus. */
async function published(rows: readonly EventRow[]): Promise<void> {
  const head = await bus.head();
  await publish(rows);
  await headReached(bus, head + rows.reduce((sum, row) => sum + row.events.length, 0));
}

async function take(items: AsyncIterableIterator<FeedItem>, count: number): Promise<FeedItem[]> {
  const taken: FeedItem[] = [];
  while (taken.length < count) {
    const { done, value } = await items.next();
    if (done) break;
    taken.push(value);
  }
  return taken;
}

const positionsOf = (items: readonly FeedItem[]): number[] => items.map((item) => Number(item.position));
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test("a stream resumed from any position gives exactly the rest, past and live, also from within a row", async () => {
  const orders = Array.from({ length: 12 }, (_, index) => newOrderId(index));
  await published(orders.map((id) => orderRow(id, 1, 4)));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 60 }), async (from) => {
      const stream = feed.subscribe(everything, String(from));
      assert.deepEqual(positionsOf(await take(stream, 60 - from)), range(from + 1, 60));
      await stream.return?.();
    }),
    { numRuns: 25 },
  );
});

test("subscribers that come while events flow miss none and get none twice", async () => {
  const orders = Array.from({ length: 60 }, (_, index) => newOrderId(index));
  const total = 60 * 9;
  const streams: Promise<FeedItem[]>[] = [];
  const starts: number[] = [];
  const writing = (async () => {
    for (let version = 1; version <= 8; version += 1) {
      await published(orders.map((id) => orderRow(id, version, version)));
    }
  })();
  // Each begins somewhere in the past while the relay goes on; small pages make it join late.
  for (let subscriber = 0; subscriber < 12; subscriber += 1) {
    const from = Math.floor(((await bus.head()) * (subscriber % 4)) / 4);
    starts.push(from);
    streams.push(take(feed.subscribe(everything, String(from)), total - from));
  }
  await writing;
  for (const [index, stream] of streams.entries()) {
    assert.deepEqual(positionsOf(await stream), range(starts[index]! + 1, total));
  }
});

test("without a position a stream begins with what happens after it was asked for", async () => {
  await published([orderRow(newOrderId(), 1, 4)]);
  const stream = feed.subscribe(everything);
  const next = newOrderId();
  await Promise.all(heads);
  await published([orderRow(next, 1, 2)]);
  const items = await take(stream, 3);
  assert.deepEqual(positionsOf(items), [6, 7, 8]);
  assert.equal(items[0]!.event.subject, next);
});

test("a client sees its own orders' events only, an admin all and those of channels", async () => {
  const [mine, theirs] = [newOrderId(1), newOrderId(2)];
  await published([orderRow(mine, 1, 1, "cli_a"), orderRow(theirs, 1, 1, "cli_b"), channelRow(2)]);
  const own = feed.subscribe({ clientId: "cli_a" }, "0");
  const all = feed.subscribe(everything, "0");
  const one = feed.subscribe({ clientId: "cli_a", orderId: theirs }, "0");
  const types = feed.subscribe({ clientId: null, types: ["capacity.updated", "order.status_changed"] }, "0");
  const past = async (stream: AsyncIterableIterator<FeedItem>, count: number) =>
    (await take(stream, count)).map((item) => item.event.type);
  assert.deepEqual(await past(own, 1), ["order.created"]);
  assert.deepEqual(await past(all, 3), ["order.created", "order.created", "capacity.updated"]);
  assert.deepEqual(await past(types, 1), ["capacity.updated"]);
  const blind = one.next();
  // The same live.
  await published([orderRow(theirs, 2, 2, "cli_b"), orderRow(mine, 2, 2, "cli_a"), channelRow(3)]);
  assert.deepEqual(await past(own, 2), ["order.status_changed", "channel.assigned"]);
  assert.equal((await take(all, 5)).length, 5);
  assert.deepEqual(await past(types, 3), [
    "order.status_changed",
    "order.status_changed",
    "capacity.updated",
  ]);
  await one.return?.();
  assert.equal((await blind).done, true, "another client's order shows nothing");
});

test("an order's stream gives its past from the index and goes on live", async () => {
  const [watched, other] = [newOrderId(1), newOrderId(2)];
  await published(range(1, 8).flatMap((v) => [orderRow(watched, v, v), orderRow(other, v, v)]));
  const stream = feed.subscribe({ orderId: watched, clientId: "cli_a" }, "0");
  const past = await take(stream, 9);
  assert.ok(past.every((item) => item.event.subject === watched));
  const waiting = take(stream, 1);
  await published([orderRow(other, 9, 9), orderRow(watched, 9, 9)]);
  assert.equal((await waiting)[0]!.event.subjectversion, 9);
});

test("a reader that is too slow is cut off, and resumes where it was", async () => {
  await startFeed({ maxBufferedEvents: 20 });
  const slow = feed.subscribe(everything, "0");
  const first = newOrderId();
  const reading = take(slow, 1);
  await published([orderRow(first, 1, 1)]);
  const [seen] = await reading;
  // It waits live, takes one more, and then nothing while a second reader follows everything.
  const quick = feed.subscribe(everything, seen!.position);
  await published([orderRow(first, 2, 2)]);
  const [last] = await take(slow, 1);
  await take(quick, 2);
  for (let version = 3; version <= 40; version += 1) {
    await published([orderRow(first, version, version)]);
    assert.equal((await take(quick, 1)).length, 1);
  }
  assert.equal((await slow.next()).done, true);
  const resumed = feed.subscribe(everything, last!.position);
  assert.deepEqual(positionsOf(await take(resumed, 39)), range(Number(last!.position) + 1, 41));
});

test("a stream that waits ends at once when its reader goes, its signal aborts or the feed stops", async () => {
  const abort = new AbortController();
  const [left, aborted, stopped] = [
    feed.subscribe(everything),
    feed.subscribe(everything, undefined, abort.signal),
    feed.subscribe(everything),
  ];
  const open = async () => (await metrics.streams.get()).values[0]?.value;
  const waiting = [left.next(), aborted.next(), stopped.next()];
  const before = await open();
  await left.return?.();
  abort.abort();
  assert.equal((await waiting[0])!.done, true);
  assert.equal((await waiting[1])!.done, true);
  await feed.stop();
  assert.equal((await waiting[2])!.done, true);
  assert.equal(await open(), before! - 3);
  assert.throws(() => feed.subscribe(everything, "yesterday"), { code: "cursor_invalid" });
});

test("a stream whose bus can't be read fails, and is forgotten", async () => {
  let away = false;
  const flaky = { ...bus, head: () => (away ? Promise.reject(new Error("away")) : bus.head()) };
  await feed.stop();
  feed = createEventFeed({ bus: flaky, clock, log, metrics });
  await feed.start();
  const stream = feed.subscribe(everything, "0");
  const before = (await metrics.streams.get()).values[0]!.value;
  away = true;
  await assert.rejects(stream.next(), /away/);
  assert.equal((await metrics.streams.get()).values[0]!.value, before - 1);
});

test("a position from beyond the head waits for what comes, not for the head to reach it", async () => {
  const stream = feed.subscribe(everything, "999999");
  const next = stream.next();
  await Promise.all(heads);
  await published([orderRow(newOrderId(), 1, 1)]);
  assert.equal((await next).value.position, "1");
});

test("a timeline has all versions that the asker was told of, also those still on their way", async () => {
  const id = newOrderId();
  await published([orderRow(id, 1, 4), orderRow(newOrderId(), 1, 4)]);
  assert.deepEqual(
    (await feed.timeline(id)).map((event) => event.subjectversion),
    [1, 2, 2, 3, 4],
  );
  const waiting = feed.timeline(id, { atLeastVersion: 5 });
  await publish([orderRow(id, 5, 5)]);
  assert.equal((await waiting).at(-1)!.subjectversion, 5);
  await startFeed({ timelineWaitMs: 30 });
  assert.equal((await feed.timeline(id, { atLeastVersion: 9 })).length, 6, "it does not wait for ever");
});

test("a feed in another process than the relay finds what is published there", async () => {
  const elsewhere = createEventLog({ database });
  await feed.stop();
  feed = createEventFeed({ bus: elsewhere, clock, log, metrics, limits: { idleMs: 20 } });
  await feed.start();
  const stream = feed.subscribe(everything, "0");
  const id = newOrderId();
  await published([orderRow(id, 1, 4)]);
  const items = await take(stream, 5);
  assert.deepEqual(
    items.map((item) => item.event),
    unfold(orderRow(id, 1, 4)),
  );
});

test("rows kept in memory are those that the table has, or none", () => {
  const id = newOrderId();
  const logged = (position: number) => ({ ...orderRow(id, 1, 4), position, loggedAt: "" });
  const tail = createTail(4);
  assert.equal(tail.read(0, 10), undefined);
  tail.append([logged(101), logged(106)]);
  assert.deepEqual(
    tail.read(100, 10)?.map((row) => row.position),
    [101, 106],
  );
  assert.deepEqual(
    tail.read(107, 10)?.map((row) => row.position),
    [106],
    "from within a row",
  );
  assert.deepEqual(
    tail.read(100, 1)?.map((row) => row.position),
    [101],
  );
  assert.equal(tail.read(99, 10), undefined, "what came before is not here");
  assert.equal(tail.read(110, 10), undefined, "what comes after may be another process's");
  tail.append([logged(200)]);
  assert.equal(tail.read(106, 10), undefined, "another process published in between");
  for (const position of [205, 210, 215, 220, 225, 230]) tail.append([logged(position)]);
  assert.equal(tail.read(199, 10), undefined, "old rows are let go");
  assert.equal(tail.read(229, 10)?.[0]?.position, 230);
});
