import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { unfold } from "../../src/bus/events.ts";
import type { PlatformEvent } from "../../src/relay/api.ts";
import { channelRow, count, newOrderId, orderRow } from "../events/sample.ts";
import { type Answer, type Receiver, startReceiver } from "./receiver.ts";
import { eventually, mortal, seeded, settings, startWorld, type World } from "./world.ts";

const seed = Number(process.env.WEBHOOK_SEED ?? Date.now() % 2 ** 31);
const ownA = { clientId: "cli_a", everything: false };

let world: World;
before(async () => {
  world = await startWorld();
});
afterEach(() => world.clear());
after(() => world.stop());

const idsOf = (events: readonly { id: string }[]) => events.map(({ id }) => id);

/** First deliveries of each subject come in version order; repeats may come at any time. */
function assertInOrder(events: readonly PlatformEvent[], what: string): void {
  const seen = new Set<string>();
  const reached = new Map<string, number>();
  for (const { id, subject, subjectversion } of events) {
    if (seen.has(id)) continue;
    seen.add(id);
    const before = reached.get(subject) ?? 0;
    assert.ok(subjectversion >= before, `${what}: ${id} after version ${before}`);
    reached.set(subject, subjectversion);
  }
}

test("an event comes signed as Standard Webhooks says, and after a rotation either secret verifies it", async () => {
  const receiver = await startReceiver();
  const { webhook, secret } = await world.webhooks.create({ ...settings, url: receiver.url }, ownA);
  await world.deliver();
  const row = orderRow(newOrderId(), 1, 1);
  await world.publish([row]);
  await receiver.until(() => receiver.got.length === 1);
  const [first] = receiver.got;
  const headers = first!.headers as Record<string, string>;
  assert.deepEqual(new Webhook(secret).verify(first!.body, headers), unfold(row)[0]);
  assert.throws(() => new Webhook(secret).verify(first!.body.replace("received", "delivered"), headers));
  assert.doesNotMatch(headers["webhook-id"]!, /\./);

  const rotated = await world.webhooks.rotateSecret(webhook.id, null, 60_000);
  assert.notEqual(rotated.secret, secret);
  // Whoever delivers hears of the new secret a moment later; until then the old one, which is still good, signs alone.
  const signatures = () => String(receiver.got.at(-1)!.headers["webhook-signature"]);
  for (let sent = 2; !/ v1,/.test(signatures()); sent += 1) {
    await world.publish([orderRow(newOrderId(), 1, 1)]);
    await receiver.until(() => receiver.got.length >= sent);
  }
  const both = receiver.got.at(-1)!;
  for (const each of [secret, rotated.secret])
    new Webhook(each).verify(both.body, both.headers as Record<string, string>);

  await world.webhooks.rotateSecret(webhook.id, null, 0);
  await receiver.close();
});

test("a webhook gets its client's events of its types, in lists where it wants them, and an operator's gets everything", async () => {
  const [typed, listed, operators] = await Promise.all([startReceiver(), startReceiver(), startReceiver()]);
  await world.webhooks.create({ ...settings, url: typed.url, types: ["order.created"] }, ownA);
  await world.webhooks.create({ ...settings, url: listed.url, maxEventsPerRequest: 100 }, ownA);
  await world.webhooks.create({ ...settings, url: operators.url }, { clientId: "cli_b", everything: true });
  const rows = [orderRow(newOrderId(), 1, 4), orderRow(newOrderId(), 1, 4, "cli_b"), channelRow(1)];
  await world.publish(rows);
  await world.deliver();
  const events = rows.flatMap((row) => unfold(row));
  await operators.until(() => operators.taken().length === events.length);
  await listed.until(() => listed.taken().length === 5);
  await typed.until(() => typed.taken().length === 1);
  assert.deepEqual(new Set(idsOf(operators.taken())), new Set(idsOf(events)));
  assert.deepEqual(listed.taken(), events.slice(0, 5));
  assert.equal(listed.got.length, 1);
  assert.ok(listed.got[0]!.body.startsWith("["));
  assert.deepEqual(idsOf(typed.taken()), [events[0]!.id]);
  for (const each of [typed, listed, operators]) await each.close();
});

test(`some subscribers fail one call in ten, one is dead for a while, the process dies in between: nothing is missing, orders keep their order (seed ${seed})`, async () => {
  const random = seeded(seed);
  let dead = true;
  const flaky = (): Answer =>
    random() < 0.1 ? [500, 503, 404, "never" as const][Math.floor(random() * 4)]! : 200;
  const receivers = await Promise.all([
    startReceiver(),
    startReceiver(flaky),
    startReceiver(flaky),
    startReceiver(flaky),
    startReceiver(() => (dead ? 503 : 200)),
  ]);
  const made = await Promise.all(
    receivers.map(({ url }, index) =>
      world.webhooks.create({ ...settings, url, maxEventsPerRequest: index === 3 ? 10 : 1 }, ownA),
    ),
  );
  const orders = Array.from({ length: 60 }, (_, index) => newOrderId(index));
  const ways = [1, 2, 3, 4, 5].map((version) => orders.map((id) => orderRow(id, version, version)));
  const events = ways.flat().flatMap((row) => unfold(row));
  const dying = mortal(world.database);
  const limits = { timeoutMs: 100, maxHeldEvents: 50 };
  await world.deliver({ database: dying, random }, limits);
  await world.publish(ways.slice(0, 3).flat());
  await receivers[1]!.until(() => receivers[1]!.taken().length > 60);
  dying.kill();
  await world.deliver({ random }, limits);
  await world.publish(ways.slice(3).flat());
  await receivers[0]!.until(() => new Set(idsOf(receivers[0]!.taken())).size === events.length);
  const downView = await eventually(async () => {
    const view = await world.webhooks.get(made[4]!.webhook.id, null);
    return view.delivery.state === "down" && view;
  });
  assert.ok(downView.delivery.lagEvents > 0 && downView.delivery.lastError === "answered 503");
  dead = false;
  for (const [index, receiver] of receivers.entries()) {
    await receiver.until(() => new Set(idsOf(receiver.taken())).size === events.length);
    assertInOrder(receiver.taken(), `subscriber ${index}`);
  }
  for (const { webhook } of made) {
    const { delivery } = await eventually(async () => {
      const view = await world.webhooks.get(webhook.id, null);
      return view.delivery.lagEvents === 0 && view.delivery.pendingEvents === 0 && view;
    });
    assert.equal(delivery.state, "ok");
  }
  assert.equal(await count(world.database, "webhook_pending"), 0);
  assert.equal(await count(world.database, "dead_letters"), 0);
  for (const each of receivers) await each.close();
});

test("a slow webhook and a dead one hold up nobody else, and hold a bounded number of events", async () => {
  const slow = await startReceiver(() => "never");
  const dead: Receiver = await startReceiver();
  await dead.close();
  const fast = await startReceiver();
  const [slowOne] = await Promise.all([
    world.webhooks.create({ ...settings, url: slow.url }, ownA),
    world.webhooks.create({ ...settings, url: dead.url }, ownA),
    world.webhooks.create({ ...settings, url: fast.url }, ownA),
  ]);
  await world.deliver({}, { timeoutMs: 30_000, maxHeldEvents: 20 });
  const rows = Array.from({ length: 300 }, () => orderRow(newOrderId(), 1, 1));
  await world.publish(rows);
  await fast.until(() => fast.taken().length === rows.length);
  assert.equal(slow.got.length, settings.maxConcurrentRequests);
  const { delivery } = await world.webhooks.get(slowOne!.webhook.id, null);
  assert.ok(delivery.lagEvents >= rows.length, "what it has not answered is not passed");
  for (const each of [slow, fast]) await each.close();
});
