import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { EventSink } from "../../src/bus/api.ts";
import { createEventLog } from "../../src/bus/event-log.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { type Database, statement } from "../../src/platform/database.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createRelay, type RelayDependencies } from "../../src/relay/relay.ts";
import { claimLanes, readClaimed } from "../../src/relay/store.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import {
  append,
  appendLocked,
  channelRow,
  count,
  headReached,
  newOrderId,
  orderRow,
  readLog,
} from "./sample.ts";

const clock = systemClock;
const log = createLog("silent");

let postgres: TestDatabase;
let database: Database;
before(async () => {
  postgres = await testDatabase({ connections: 12 });
  database = postgres.database;
});
after(() => postgres.close());

let bus: ReturnType<typeof createEventLog>;
beforeEach(async () => {
  await database.run(statement("", "truncate outbox, event_log, dead_letters"));
  await database.run(statement("", "update event_log_head set next_position = 1"));
  await database.run(statement("", "update lanes set holder = null, lease_until = null"));
  bus = createEventLog({ database });
});

const relayOf = (holder: string, options: Partial<RelayDependencies> = {}) =>
  createRelay({ database, bus, clock, log, metrics: createMetrics(), holder, ...options });

/** Each subject's versions follow one another, and positions count up without a gap. */
async function assertOrdered(): Promise<void> {
  const reached = new Map<string, number>();
  let next = 1;
  for (const row of await readLog(database)) {
    assert.equal(row.position, next, "positions follow on");
    assert.equal(row.count, row.events.length);
    next += row.count;
    for (const event of row.events.filter(({ type }) => type !== "channel.assigned")) {
      assert.equal(event.version, (reached.get(row.subject) ?? 0) + 1, `${row.subject} in version order`);
      reached.set(row.subject, event.version);
    }
  }
}

test("with many writers at once, each order's events reach the bus once and in version order", async () => {
  const orders = Array.from({ length: 40 }, (_, index) => newOrderId(index));
  const relay = relayOf("own_a", { limits: { maxBatchRows: 17, paceMs: 1 } });
  await relay.start();
  // Commits come late and out of order across orders; within one, the subject's lock puts them in order.
  const nap = (ms: number) => () => new Promise<void>((resolve) => setTimeout(resolve, ms));
  await Promise.all(
    orders.map(async (id, index) => {
      for (let version = 1; version <= 6; version += 1) {
        const row = orderRow(id, version, version);
        await appendLocked(database, row, nap((index * 7 + version * 3) % 11));
        relay.poke((index + version) % 3 === 0 ? [] : [row]); // handed over or not: the bus gets the same
      }
    }),
  );
  await relay.stop();
  await assertOrdered();
  assert.equal(await count(database, "event_log"), 240);
  assert.equal(await count(database, "outbox"), 0);
  assert.equal(await count(database, "dead_letters"), 0);
});

test("a bad row becomes a dead letter with its reason, and all others pass", async () => {
  const [good, bad, broken] = [newOrderId(), newOrderId(), newOrderId()];
  const leaky = orderRow(bad, 1, 1);
  const rows = [
    orderRow(good, 1, 4),
    { ...leaky, doc: { ...leaky.doc, contact: { phone: "+971" } } },
    { ...orderRow(broken, 1, 1), events: JSON.parse('"none"') },
    channelRow(2),
    { ...orderRow(broken, 1, 1), lane: 99 },
  ];
  await append(database, rows);
  // A zero character is what PostgreSQL's text can't hold: neither can a dead letter's reason that quotes it.
  await database.run(
    statement(
      "",
      "insert into outbox (lane, subject, version, client_id, doc, events) values (1, $1, 1, 'cli_a', $2, $3)",
    ),
    [broken, JSON.stringify({ id: broken }), '[{"type":"\\u0000","version":1}]'],
  );
  const metrics = createMetrics();
  const relay = relayOf("own_a", { metrics });
  await relay.start();
  await headReached(bus, 6);
  await relay.stop();
  assert.deepEqual(
    (await readLog(database)).map((row) => row.subject),
    [good, rows[3]!.subject],
  );
  const letters = await database.run<{
    subject: string;
    reason: string;
    event_id: string;
    event: { doc: unknown };
  }>(statement("test_letters", "select subject, reason, event_id, event from dead_letters order by id"));
  assert.deepEqual(
    letters.map((letter) => letter.subject),
    [bad, broken, broken, broken],
  );
  assert.match(letters[2]!.reason, /no lane 99/);
  assert.match(letters[0]!.reason, /unevaluated properties \("contact"\)/);
  assert.equal(letters[0]!.event_id, `${bad}.1.order.created`);
  assert.deepEqual(letters[0]!.event.doc, rows[1]!.doc);
  assert.equal(await count(database, "outbox"), 0);
  const counted = await metrics.deadLetters.get();
  assert.equal(counted.values[0]?.value, 4);
  const published = await metrics.published.get();
  assert.equal(
    published.values.reduce((sum, each) => sum + each.value, 0),
    6,
  );
});

test("a move that fails after publishing is undone as a whole and repeats nothing", async () => {
  let failures = 2;
  const flaky: EventSink = {
    async publish(rows, tx) {
      const publication = await bus.publish(rows, tx);
      failures -= 1;
      if (failures >= 0) throw new Error("killed between publishing and deleting");
      return publication;
    },
  };
  const ids = Array.from({ length: 5 }, () => newOrderId());
  await append(
    database,
    ids.map((id) => orderRow(id, 1, 4)),
  );
  const relay = relayOf("own_a", { bus: flaky });
  await relay.start();
  await headReached(bus, 25);
  await relay.stop();
  assert.equal(failures, -1);
  await assertOrdered();
  assert.deepEqual(
    (await readLog(database)).map((row) => row.subject),
    ids,
  );
});

test("a row that the bus itself refuses is found by halving, buried, and stops nobody", async () => {
  const ids = Array.from({ length: 20 }, () => newOrderId());
  const poisoned = ids[13]!;
  const picky: EventSink = {
    async publish(rows, tx) {
      if (rows.some((row) => row.subject === poisoned)) await tx.run(statement("", "select 1 / 0"));
      return bus.publish(rows, tx);
    },
  };
  await append(
    database,
    ids.map((id) => orderRow(id, 1, 1)),
  );
  const relay = relayOf("own_a", { bus: picky });
  await relay.start();
  await headReached(bus, 19);
  await relay.stop();
  assert.deepEqual(
    (await readLog(database)).map((row) => row.subject),
    ids.filter((id) => id !== poisoned),
  );
  const [letter] = await database.run<{ subject: string; reason: string }>(
    statement("test_letter", "select subject, reason from dead_letters"),
  );
  assert.equal(letter?.subject, poisoned);
  assert.match(letter?.reason ?? "", /the bus refused it: division by zero/);
});

test("a claim that was taken over reads nothing, so its relay publishes nothing", async () => {
  await append(database, [orderRow(newOrderId(), 1, 1)]);
  const first = await claimLanes(database, "own_a", 5_000, true);
  assert.equal(first.size, 64);
  const second = await claimLanes(database, "own_b", 5_000, true);
  const read = (holder: string, claim: typeof first) =>
    database.transaction((tx) => readClaimed(tx, holder, claim, 10));
  assert.equal((await read("own_a", first)).length, 0);
  assert.equal((await read("own_b", second)).length, 1);
  assert.equal(
    (await claimLanes(database, "own_a", 5_000, false)).size,
    0,
    "a living holder keeps its lanes",
  );
});

test("relays that take over from one another lose nothing and publish nothing twice", async () => {
  const orders = Array.from({ length: 30 }, (_, index) => newOrderId(index * 2));
  const limits = { maxBatchRows: 5, paceMs: 1, leaseMs: 150, idleMs: 20 };
  const relays = [relayOf("own_a", { limits }), relayOf("own_b", { limits }), relayOf("own_c", { limits })];
  await relays[0]!.start();
  const writing = (async () => {
    for (let version = 1; version <= 8; version += 1) {
      await append(
        database,
        orders.map((id) => orderRow(id, version, version)),
      );
      for (const relay of relays) relay.poke();
      // Each round another one starts, and takes all lanes from the one at work.
      if (version === 2) await relays[1]!.start();
      if (version === 4) await relays[2]!.start();
    }
  })();
  await writing;
  // The last holder leaves: one that waits must go on without being told.
  await append(
    database,
    orders.map((id) => orderRow(id, 9, 9)),
  );
  await relays[2]!.stop();
  await append(
    database,
    orders.map((id) => orderRow(id, 10, 10)),
  );
  await headReached(bus, 30 * 11);
  for (const relay of relays) await relay.stop();
  assert.equal(await count(database, "outbox"), 0);
  assert.equal(await count(database, "dead_letters"), 0);
  assert.equal(await count(database, "event_log"), 300);
  assert.equal(await count(database, "lanes where holder is not null"), 0, "who stops lets go of its lanes");
});

test("a relay that died is followed once its lease has lapsed", async () => {
  await claimLanes(database, "own_dead", 200, true);
  const relay = relayOf("own_b", { limits: { leaseMs: 200, idleMs: 20 } });
  const id = newOrderId();
  // Started earlier, then fenced off by the one that is dead now.
  await relay.start();
  await claimLanes(database, "own_dead", 200, true);
  await append(database, [orderRow(id, 1, 4)]);
  await headReached(bus, 5);
  await relay.stop();
  await assertOrdered();
});

test("an idle relay writes nothing and still finds what nobody told it of", async () => {
  let peeked: () => void = () => undefined;
  const watched: Database = {
    ...database,
    run(query, params) {
      if (query.name === "outbox_peek") peeked();
      return database.run(query, params);
    },
  };
  const peek = () =>
    new Promise<void>((resolve) => {
      peeked = resolve;
    });
  const relay = relayOf("own_a", { database: watched, limits: { idleMs: 10 } });
  await relay.start();
  await append(database, [orderRow(newOrderId(), 1, 1)]);
  await headReached(bus, 1);
  // A lock on a row leaves its mark in xmax, a write in xmin.
  const marks = () =>
    database.run(statement("test_marks", "select lane, xmin::text, xmax::text from lanes order by lane"));
  await peek();
  const before = await marks();
  for (let peeks = 0; peeks < 5; peeks += 1) await peek();
  assert.deepEqual(await marks(), before);
  await relay.stop();
});
