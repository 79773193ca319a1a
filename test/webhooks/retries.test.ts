import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { runCheck } from "../../src/check/check.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { type Database, statement } from "../../src/platform/database.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { append, count, newOrderId, orderRow } from "../events/sample.ts";
import { type Answer, startReceiver } from "./receiver.ts";
import { eventually, settings, startWorld, type World } from "./world.ts";

const owner = { clientId: "cli_a", everything: false };
const open = { replayed: false };
const newest = { beforeId: null, limit: 100 };

let world: World;
before(async () => {
  world = await startWorld();
});
afterEach(() => world.clear());
after(() => world.stop());

/** A webhook on a receiver that answers so. */
async function subscribe(answer: Parameters<typeof startReceiver>[0] = () => 200, more: object = {}) {
  const receiver = await startReceiver(answer);
  const { webhook } = await world.webhooks.create({ ...settings, url: receiver.url, ...more }, owner);
  return { receiver, id: webhook.id, view: () => world.webhooks.get(webhook.id, null) };
}

const versionsOf = (events: readonly { subject: string; subjectversion: number }[], subject: string) =>
  events.filter((event) => event.subject === subject).map(({ subjectversion }) => subjectversion);

test("an event that is never taken becomes a dead letter, what follows it goes on, and a replay is marked", async () => {
  const [poisoned, healthy] = [newOrderId(1), newOrderId(2)];
  let bad = true;
  const { receiver, id } = await subscribe(({ events }) =>
    bad && events.some((event) => event.subject === poisoned && event.subjectversion === 3) ? 422 : 200,
  );
  const metrics = createMetrics();
  await world.deliver({ metrics }, { maxAttempts: 4 });
  const rows = [3, 4, 5].flatMap((version) =>
    [poisoned, healthy].map((order) => orderRow(order, version, version)),
  );
  await world.publish(rows);
  await receiver.until(() => versionsOf(receiver.taken(), poisoned).length === 2);
  assert.deepEqual(versionsOf(receiver.taken(), poisoned), [4, 5]);
  assert.deepEqual(versionsOf(receiver.taken(), healthy), [3, 4, 5]);
  assert.equal(receiver.got.filter(({ status }) => status === 422).length, 4);
  const tries = receiver.got
    .filter(({ status }) => status === 422)
    .map(({ headers }) => headers["webhook-id"]);
  assert.equal(new Set(tries).size, 1, "a repeat is known by its id");
  const [letter] = await eventually(async () => {
    const found = await world.webhooks.deadLetters("cli_a", { ...open, subscriber: id }, newest);
    return found.length > 0 && found;
  });
  const { subject, reason, attempts, eventType } = letter!;
  assert.deepEqual(
    [subject, reason, attempts, eventType],
    [poisoned, "answered 422", 4, "order.status_changed"],
  );
  assert.match(await metrics.registry.metrics(), new RegExp(`webhook="${id}",outcome="dead"} 1\\b`));
  bad = false;
  await world.webhooks.replay(letter!.id, "cli_a");
  await receiver.until(() => versionsOf(receiver.taken(), poisoned).includes(3));
  const replayed = receiver.taken().at(-1)!;
  assert.deepEqual({ ...replayed, replay: undefined }, { ...(letter!.event as object), replay: undefined });
  assert.equal(replayed.replay, true);
  assert.equal((await world.webhooks.deadLetters("cli_a", open, newest)).length, 0);
  await receiver.close();
});

test("a restart goes on exactly: what failed is not tried before it is due, and then it is", async () => {
  let broken = true;
  const { receiver, view } = await subscribe(() => (broken ? 500 : 200));
  const hour = { firstRetryMs: 3_600_000, maxRetryMs: 3_600_000 };
  const first = await world.deliver({ random: () => 0.5 }, hour);
  const [late, prompt] = [newOrderId(1), newOrderId(2)];
  await world.publish([orderRow(late, 1, 1), orderRow(late, 2, 2)]);
  await receiver.until(() => receiver.got.length === 1);
  await first.stop();
  const rows = statement(
    "",
    `select attempts, round(extract(epoch from next_at - now()) / 60)::int as minutes, reason from webhook_pending order by position`,
  );
  const pending = await world.database.run<{ attempts: number; minutes: number; reason: string }>(rows);
  assert.deepEqual(pending[0], { attempts: 1, minutes: 30, reason: "answered 500" });
  assert.deepEqual(
    pending.map(({ attempts }) => attempts),
    [1, 0, 0],
    "behind it wait the order's later events (the second version has two)",
  );
  broken = false;
  const second = await world.deliver({ random: () => 0.5 }, hour);
  await world.publish([orderRow(prompt, 1, 1)]);
  await receiver.until(() => receiver.taken().length === 1);
  await second.stop();
  assert.deepEqual(versionsOf(receiver.taken(), late), []);
  assert.equal((await view()).delivery.pendingEvents, 3);
  const inHalfAnHour = { ...systemClock, nowMs: () => Date.now() + 31 * 60_000 };
  await world.deliver({ clock: inHalfAnHour }, hour);
  await receiver.until(() => versionsOf(receiver.taken(), late).length === 3);
  assert.deepEqual(versionsOf(receiver.taken(), late), [1, 2, 2]);
  await eventually(async () => (await view()).delivery.pendingEvents === 0);
  await receiver.close();
});

test("a webhook that fails for long is paused and says so; resumed, it gets everything, and nothing became a dead letter", async () => {
  let broken = true;
  const { receiver, id, view } = await subscribe(() => (broken ? 500 : 200));
  const metrics = createMetrics();
  await world.deliver({ metrics }, { downAfterFailures: 3, maxAttempts: 4, pauseAfterMs: 500 });
  const orders = Array.from({ length: 30 }, () => newOrderId());
  await world.publish(orders.flatMap((order) => [orderRow(order, 1, 1), orderRow(order, 3, 3)]));
  const paused = await eventually(async () => {
    const seen = await view();
    return seen.status === "paused" && seen;
  });
  assert.match(paused.pausedReason!, /^Nothing got through since .*answered 500$/);
  assert.ok(paused.pausedAt && paused.delivery.failingSince && paused.delivery.state === "down");
  assert.match(await metrics.registry.metrics(), /uoop_webhooks_paused_total 1/);
  const before = receiver.got.length;
  assert.equal(await count(world.database, "dead_letters"), 0);
  broken = false;
  await world.publish([orderRow(orders[0]!, 4, 4)]);
  assert.equal(receiver.got.length, before, "nothing is sent to it");
  await world.webhooks.setStatus(id, null, "active");
  await receiver.until(() => receiver.taken().length >= 61);
  for (const [index, order] of orders.entries())
    assert.deepEqual(versionsOf(receiver.taken(), order), index === 0 ? [1, 3, 4] : [1, 3]);
  await receiver.close();
});

test("410 pauses it at once; Retry-After is waited for", async () => {
  const gone = await subscribe(() => 410);
  const busy = await subscribe((): Answer => ({ status: 429, headers: { "retry-after": "1800" } }));
  await world.deliver();
  await world.publish([orderRow(newOrderId(), 1, 1)]);
  const paused = await eventually(async () => {
    const seen = await gone.view();
    return seen.status === "paused" && seen;
  });
  assert.equal(paused.pausedReason, "It answered 410 Gone");
  const { delivery } = await eventually(async () => {
    const seen = await busy.view();
    return seen.delivery.nextTryAt !== null && seen;
  });
  const minutes = (Date.parse(delivery.nextTryAt!) - Date.now()) / 60_000;
  assert.ok(minutes > 29 && minutes <= 30, `${minutes} minutes`);
  assert.equal(busy.receiver.got.length, 1);
  for (const { receiver } of [gone, busy]) await receiver.close();
});

test("redirects are not followed, and an answer of any length is not waited for", async () => {
  const target = await startReceiver();
  const { receiver, view } = await subscribe(() => ({ status: 307, headers: { location: target.url } }));
  await world.deliver();
  await world.publish([orderRow(newOrderId(), 1, 1)]);
  await receiver.until(() => receiver.got.length >= 2);
  const { delivery } = await eventually(async () => {
    const seen = await view();
    return seen.delivery.lastError !== null && seen;
  });
  assert.equal(delivery.lastError, "answered 307 (redirects are not followed)");
  assert.equal(target.got.length, 0);
  for (const each of [receiver, target]) await each.close();
});

const holders = statement(
  "",
  "select coalesce(holder, 'nobody') as holder, count(*)::int as webhooks from webhook_progress group by 1 order by 2",
);

test("processes share the webhooks evenly, and one that is stopped hands its own over at once", async () => {
  for (let index = 0; index < 6; index += 1) await subscribe();
  const shares = () => world.database.run<{ holder: string; webhooks: number }>(holders);
  const evenly = (expected: readonly number[]) =>
    eventually(async () => {
      const found = await shares();
      const whole = found.every(({ holder }) => holder !== "nobody");
      return whole && JSON.stringify(found.map(({ webhooks }) => webhooks)) === JSON.stringify(expected);
    });
  const first = await world.deliver({}, { leaseMs: 60_000 });
  await evenly([6]);
  await world.deliver({}, { leaseMs: 60_000 });
  await evenly([3, 3]);
  await first.stop();
  await evenly([6]);
});

/** A database whose answers don't come while it is held. */
function held(database: Database) {
  let release: () => void = () => undefined;
  let gate: Promise<void> | undefined;
  return {
    hold() {
      gate = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => release(),
    database: {
      ...database,
      async run<Row>(...[query, params]: Parameters<Database["run"]>): Promise<Row[]> {
        await gate;
        return database.run<Row>(query, params);
      },
    },
  };
}

test("a process that was frozen and wakes after another took its webhook over writes nothing and sends nothing more", async () => {
  const { receiver, view } = await subscribe();
  const frozen = held(world.database);
  await world.deliver({ database: frozen.database, holder: "own_frozen" }, { leaseMs: 300 });
  const order = newOrderId();
  await world.publish([orderRow(order, 1, 1)]);
  await receiver.until(() => receiver.taken().length === 1);
  frozen.hold();
  await world.publish([orderRow(order, 3, 3)]);
  await receiver.until(() => receiver.taken().length >= 2);
  await world.deliver({ holder: "own_awake" }, { leaseMs: 300 });
  await eventually(
    async () => (await world.database.run<{ holder: string }>(holders))[0]?.holder === "own_awake",
  );
  await world.publish([orderRow(order, 4, 4)]);
  await receiver.until(() => receiver.taken().some(({ subjectversion }) => subjectversion === 4));
  await eventually(async () => (await view()).delivery.lagEvents === 0);
  const before = await view();
  frozen.release();
  await world.publish([orderRow(order, 5, 5)]);
  await receiver.until(() => receiver.taken().some(({ subjectversion }) => subjectversion === 5));
  await eventually(async () => (await view()).delivery.delivered === before.delivery.delivered + 1);
  assert.equal(receiver.taken().filter(({ subjectversion }) => subjectversion === 5).length, 1);
  assert.deepEqual(await world.database.run(holders), [{ holder: "own_awake", webhooks: 1 }]);
  await receiver.close();
});

test("what did not fit its schema is checked anew when it is replayed: bad again, or to everybody, marked", async () => {
  const { receiver } = await subscribe();
  await world.deliver();
  const [order, other] = [newOrderId(3), newOrderId(4)];
  const good = orderRow(order, 2, 2);
  await world.publish([orderRow(order, 1, 1)]);
  await append(world.database, [{ ...orderRow(other, 1, 1), doc: { id: other, wrong: true } }]);
  const [bad] = await eventually(async () => {
    const found = await world.webhooks.deadLetters(null, { ...open, subscriber: "schema" }, newest);
    return found.length > 0 && found;
  });
  assert.equal((await world.webhooks.deadLetters("cli_b", {}, newest)).length, 0, "not another client's");
  await world.publish([orderRow(order, 3, 3)]);
  // Its writer's schema was too strict at the time: a later release takes it.
  await world.database.run(
    statement(
      "",
      `insert into dead_letters (subscriber, client_id, event_id, subject, reason, event, attempts)
       values ('schema', 'cli_a', $1, $2, 'too strict', $3::json, 1)`,
    ),
    [`${order}.2.order.status_changed`, order, JSON.stringify(good)],
  );
  assert.equal(await world.webhooks.replayAll(null, { subscriber: "schema" }, 100), 2);
  await receiver.until(() => receiver.taken().some(({ replay }) => replay));
  const versions = receiver.taken().map(({ subjectversion, replay }) => [subjectversion, replay ?? false]);
  assert.deepEqual(versions.slice(0, 3), [
    [1, false],
    [3, false],
    [2, true],
  ]);
  const again = await eventually(async () => {
    const found = await world.webhooks.deadLetters(null, { ...open, subscriber: "schema" }, newest);
    return found.length > 0 && found;
  });
  assert.deepEqual([again.length, again[0]!.eventId], [1, bad!.eventId]);
  const { findings } = await runCheck({ database: world.database, out: () => undefined });
  const order5 = findings.find(({ name }) =>
    name.startsWith("an order's events are on the bus in version order"),
  );
  assert.equal(order5?.violationCount, 0);
  await receiver.close();
});

test("the check finds a webhook that is ahead of the bus, and an event that is both pending and a dead letter", async () => {
  const { receiver, id } = await subscribe();
  const damage = [
    "update webhook_progress set position = 1000000",
    `insert into webhook_pending (webhook_id, event_id, position, subject, type, replay, attempts, next_at, event)
     select id, 'evt', 1, 'ord_1', 'order.created', false, 1, now(), '{}' from webhooks`,
    `insert into dead_letters (subscriber, event_id, subject, reason, event, attempts)
     select id, 'evt', 'ord_1', 'answered 500', '{}', 15 from webhooks`,
  ];
  for (const sql of damage) await world.database.run(statement("", sql));
  const { findings, notes } = await runCheck({ database: world.database, out: () => undefined });
  const about = findings.flatMap(({ invariant, violations }) =>
    violations.filter(({ subject }) => subject === id).map(() => invariant),
  );
  assert.deepEqual(about, ["I5", "I5"]);
  assert.ok(notes.some((note) => note.includes(id) && note.includes("1 wait to be tried again")));
  await receiver.close();
});
