import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel } from "../../src/capacity/api.ts";
import type { BehaviourPatch } from "../../src/channels/simulator/behaviour.ts";
import type { PerformanceAnswer } from "../../src/gateway/schemas-performance.ts";
import type { CallbackKind } from "../../src/orchestration/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { analystName } from "../../src/performance/analyst.ts";
import { rebuildTallies } from "../../src/performance/store.ts";
import { statement } from "../../src/platform/database.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

/** What channels do is measured from events and calls, over HTTP with the simulator as the world, by one process and by two. */

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 10_000 };

let platform: TestPlatform;
let admin: Call;
let world: Call;

before(async () => {
  platform = await startPlatform({ simulator: true, env: { ANSWER_WITHIN_MS: "8000" } });
  admin = clientOf(platform.url, platform.apiKey);
  world = clientOf(platform.simulatorUrl, null);
});
after(() => platform.stop());

async function addChannel(change: Record<string, unknown>): Promise<Channel> {
  const made = await admin<Channel>("POST", "/v1/channels", aChannel({ quality: 0.6, ...change }));
  assert.equal(made.status, 201, made.text);
  const { id, type } = made.body;
  if (type === "external_partner") {
    const endpoint = `${platform.simulatorUrl}/channels/${id}`;
    await admin("PATCH", `/v1/channels/${id}`, { endpoint });
    await platform.introduce(id);
    await behave(id, { callbacks: "off", latencyMs: { min: 0, max: 2 } });
  }
  await admin("PUT", `/v1/channels/${id}/capacity`, { slots: [slot] });
  return made.body;
}

const addPartner = (name: string, change: Record<string, unknown> = {}) =>
  addChannel({ name, type: "external_partner", endpoint: platform.simulatorUrl, ...change });

const behave = (id: string, behaviour: BehaviourPatch) =>
  world("PUT", `/control/channels/${id}`, { behaviour });

const place = (call: Call, type: Channel["type"]) =>
  call<OrderView>("POST", "/v1/orders", anOrder({ routing: { channelTypes: [type] } }));

/** The channel reports of the order's only leg; each report is a commit, and so a row of the bus, of its own. */
async function report(order: OrderView, kinds: readonly CallbackKind[], through = platform): Promise<void> {
  const [leg] = order.legs;
  for (const kind of kinds) {
    const callbackId = `${order.id}-${kind}`;
    const attemptKey = `${order.id}.1.${leg!.attempt}`;
    const by = { actor: `channel:${leg!.channel.id}`, source: null };
    const said = { channelId: leg!.channel.id, callbackId, attemptKey, kind, at: iso(Date.now()), by };
    const [answer] = await through.app.orchestration.callbacks([said]);
    assert.equal(answer!.kind, "applied", JSON.stringify(answer));
    await new Promise((resolve) => setTimeout(resolve, 2)); // the next millisecond: what takes no time is not measured
  }
}

const wholeWay = ["preparing", "ready", "dispatched", "delivered"] as const;
/** Decayed for seconds by a half-life of a week. */
const about = (count: number, wanted: number) => Math.abs(count - wanted) < 0.01 * Math.max(1, wanted);

async function until(
  id: string,
  holds: (now: PerformanceAnswer) => boolean,
  call = admin,
): Promise<PerformanceAnswer> {
  for (let round = 0; round < 1_000; round += 1) {
    const { body } = await call<PerformanceAnswer>("GET", `/v1/channels/${id}/performance`);
    if (holds(body)) return body;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return assert.fail(`never: ${(await call("GET", `/v1/channels/${id}/performance`)).text}`);
}

test("a channel of which nothing is known keeps the quality that operations set", async () => {
  const { id } = await addChannel({ name: "new", type: "dark_store" });
  const { body } = await admin<PerformanceAnswer>("GET", `/v1/channels/${id}/performance`);
  assert.equal(body.quality.score, 0.6);
  assert.deepEqual([body.asked.acceptance, body.punctuality.share, body.booking.p95Ms], [null, null, null]);
  assert.deepEqual([body.health.is, body.health.reasons], ["up", []]);
});

test("a partner that does well is measured, rated above what operations set, and routing sees it", async () => {
  const { id } = await addPartner("good");
  for (let n = 0; n < 5; n += 1) {
    const { body } = await place(admin, "external_partner");
    assert.equal(body.channel?.id, id);
    await report(body, wholeWay);
  }
  const now = await until(
    id,
    ({ booking, punctuality }) => about(punctuality.onTime, 5) && about(booking.count, 5),
  );
  assert.ok(about(now.asked.accepted, 5) && now.asked.acceptance === 1);
  assert.ok(about(now.preparation.count, 5) && now.preparation.meanMinutes! > 0);
  assert.ok(about(now.way.count, 5) && now.booking.meanMs! >= 0 && about(now.booking.prompt, 5));
  assert.ok(now.quality.score > 0.6 && now.quality.score < 1);
  assert.equal(now.quality.prior, 0.6);
  await platform.app.performance.refresh();
  const seen = platform.app.capacity.network().find(({ channel }) => channel.id === id)!;
  assert.ok(Math.abs(seen.channel.quality - now.quality.score) < 0.001);
  // The channel itself is as operations made it.
  assert.equal((await admin<Channel>("GET", `/v1/channels/${id}`)).body.quality, 0.6);
  await admin("POST", `/v1/channels/${id}/pause`);
});

test("refusals, given back orders and shut doors are the channel's that did it, and lower its score", async () => {
  const bad = await addPartner("bad", {
    quality: 0.9,
    costModel: { currency: "AED", baseMinor: 0, perKmMinor: 0, perUnitMinor: 0 },
  });
  const other = await addPartner("other");
  await behave(bad.id, { refuseRate: 1 });
  const refused = await place(admin, "external_partner");
  assert.equal(refused.body.channel?.id, other.id);
  await behave(bad.id, { refuseRate: 0 });
  const given = await place(admin, "external_partner");
  assert.equal(given.body.channel?.id, bad.id);
  await report(given.body, ["refused"]);
  const shut = await place(admin, "external_partner");
  await report(shut.body, ["preparing", "ready", "dispatched", "undelivered"]);
  const now = await until(bad.id, ({ doorShut }) => about(doorShut, 1));
  assert.ok(about(now.asked.refused, 1) && about(now.asked.accepted, 2) && about(now.givenBack, 1));
  assert.ok(now.quality.score < 0.9);
  assert.ok((await until(other.id, ({ asked }) => asked.accepted > 0.9)).asked.refused === 0);
  for (const { id } of [bad, other]) await admin("POST", `/v1/channels/${id}/pause`);
});

const stored = async () =>
  platform.database.run<{ id: string; orders: string | null }>(
    statement("", "select channel_id as id, orders from channel_performance order by 1"),
  );

async function measuredAll(): Promise<void> {
  const places = statement(
    "",
    `select (select next_position - 1 from event_log_head) as head, (select count(*) from outbox) as waiting,
       (select position from bus_consumers where name = '${analystName}') as position`,
  );
  for (let round = 0; round < 1_000; round += 1) {
    const [at] = await platform.database.run<{ head: number; position: number; waiting: number }>(places);
    if (at!.waiting === 0 && at!.head === at!.position) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail("the analyst never caught up");
}

test("two processes measure each order once, and what is measured anew from the event log is the same to the bit", async () => {
  const kitchen = await addChannel({ name: "kitchen" });
  const second = await startPlatform({ databaseUrl: platform.databaseUrl });
  const processes = [platform, second];
  const orders: OrderView[] = [];
  for (let n = 0; n < 20; n += 1) {
    const through = processes[n % 2]!;
    const call = clientOf(through.url, through.apiKey);
    const { body } = await place(call, "internal_kitchen");
    orders.push(body);
    await report(body, wholeWay, processes[(n + 1) % 2]!);
  }
  await until(kitchen.id, ({ punctuality }) => about(punctuality.onTime, orders.length));
  await measuredAll();
  const first = await stored();
  assert.ok(about((await until(kitchen.id, () => true)).punctuality.onTime, orders.length));
  await second.stop();
  await rebuildTallies(platform.database, analystName);
  await until(kitchen.id, ({ punctuality }) => about(punctuality.onTime, orders.length));
  await measuredAll();
  assert.deepEqual(await stored(), first);
});

test("a process that starts goes on from what was measured", async () => {
  const kitchen = (await admin<{ items: Channel[] }>("GET", "/v1/channels")).body.items.find(
    ({ name }) => name === "kitchen",
  )!;
  const again = await startPlatform({ databaseUrl: platform.databaseUrl });
  const score = (app: TestPlatform) =>
    app.app.capacity.network().find(({ channel }) => channel.id === kitchen.id)!.channel.quality;
  await platform.app.performance.refresh();
  assert.ok(score(again) > 0.6 && Math.abs(score(again) - score(platform)) < 0.002);
  await again.stop();
});

const health = async ({ id }: Channel) =>
  (await admin<PerformanceAnswer>("GET", `/v1/channels/${id}/performance`)).body.health;

test("a partner of which many calls fail is degraded until they don't, and an operator's word stands above", async () => {
  const partner = await addPartner("failing");
  const calls = (count: number, failed: boolean) => {
    for (let n = 0; n < count; n += 1)
      platform.app.performance.noteCall({ channelId: partner.id, call: "book", ms: 5, failed });
  };
  calls(15, false);
  calls(15, true);
  await platform.app.performance.refresh();
  const degraded = await health(partner);
  assert.deepEqual([degraded.is, degraded.setByOperator], ["degraded", false]);
  assert.match(degraded.reasons[0]!, /^50 % of its calls/);
  const set = await admin<Channel>("PATCH", `/v1/channels/${partner.id}`, { health: "up" });
  assert.deepEqual([set.body.health, set.body.healthSet], ["up", true]);
  await platform.app.performance.refresh();
  assert.deepEqual([(await health(partner)).is, (await health(partner)).setByOperator], ["up", true]);
  await admin("PATCH", `/v1/channels/${partner.id}`, { health: "degraded" });
  calls(200, false);
  await platform.app.performance.refresh();
  const mended = await health(partner);
  assert.deepEqual([mended.is, mended.reasons, mended.setByOperator], ["up", [], false]);
});

test("a kitchen whose orders miss their windows is degraded, before they are delivered", async () => {
  const late = await addChannel({
    name: "late",
    location: { lat: 10, lng: 10 },
    preparationMinutes: 0,
    costModel: { currency: "AED", baseMinor: 0, perKmMinor: 0, perUnitMinor: 0 },
  });
  const window = { start: iso(Date.now() - 1_000), end: iso(Date.now() + 4_000) };
  const placed = await Promise.all(
    Array.from({ length: 12 }, () =>
      admin("POST", "/v1/orders", anOrder({ delivery: { location: late.location, window } })),
    ),
  );
  assert.deepEqual(new Set(placed.map(({ status }) => status)), new Set([201]));
  const now = await until(late.id, ({ health: { is } }) => is === "degraded");
  assert.match(now.health.reasons[0]!, /100 % of its orders/);
  assert.ok(now.punctuality.share === null, "none of them has come to its end");
});

test("a channel that does not exist, an id that is none and a key without the scope are refused", async () => {
  const none = await admin("GET", "/v1/channels/chn_00000000000000000000000000/performance");
  assert.deepEqual([none.status, none.body.code], [404, "channel_not_found"]);
  const nonsense = await admin("GET", "/v1/channels/%00/performance");
  assert.equal(nonsense.status, 404);
  const { key } = await platform.app.keys.create("hooks", ["webhooks:write"]);
  const forbidden = await clientOf(platform.url, key)("GET", `/v1/channels/chn_x/performance`);
  assert.deepEqual([forbidden.status, forbidden.body.code], [403, "forbidden"]);
});
