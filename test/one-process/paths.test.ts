import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel, ChannelType } from "../../src/capacity/api.ts";
import type { LedgerEntry } from "../../src/channels/api.ts";
import type { BehaviourPatch } from "../../src/channels/simulator/behaviour.ts";
import { runCheck } from "../../src/check/check.ts";
import type { OrderDecision } from "../../src/orchestration/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

/** An order's ways beside the straight one, over HTTP, with the simulator as the world. */

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 10_000 };

let platform: TestPlatform;
let operator: Call;
let client: Call;
let world: Call;
const channels: Record<string, Channel & { callbackSecret: string }> = {};

before(async () => {
  platform = await startPlatform({ simulator: true, env: { ANSWER_WITHIN_MS: "8000" } });
  const keyOf = async (name: string, scopes: Parameters<typeof platform.app.keys.create>[1]) =>
    clientOf(platform.url, (await platform.app.keys.create(name, scopes)).key);
  operator = await keyOf("operations", ["orders:operate", "orders:read"]);
  client = await keyOf("cal", ["orders:read", "orders:write"]);
  world = clientOf(platform.simulatorUrl, null);
  await addChannel("east", "external_partner");
  await addChannel("west", "external_partner");
  await addChannel("kitchen", "internal_kitchen");
});
after(() => platform.stop());

async function addChannel(name: string, type: ChannelType): Promise<void> {
  const admin = clientOf(platform.url, platform.apiKey);
  const endpoint = type === "external_partner" ? { endpoint: platform.simulatorUrl } : {};
  const made = await admin<Channel & { callbackSecret: string }>(
    "POST",
    "/v1/channels",
    aChannel({ name, type, ...endpoint }),
  );
  assert.equal(made.status, 201, made.text);
  const { id } = made.body;
  channels[name] = made.body;
  if (type === "external_partner") {
    const put = await admin("PATCH", `/v1/channels/${id}`, {
      endpoint: `${platform.simulatorUrl}/channels/${id}`,
    });
    assert.equal(put.status, 200, put.text);
  }
  await admin("PUT", `/v1/channels/${id}/capacity`, { slots: [slot] });
  await platform.introduce(id);
  await behave(id, { callbacks: "manual", latencyMs: { min: 0, max: 2 } });
}

async function behave(id: string, behaviour: BehaviourPatch): Promise<void> {
  const put = await world("PUT", `/control/channels/${id}`, { behaviour });
  assert.equal(put.status, 200, put.text);
}

async function place(type: ChannelType = "external_partner"): Promise<OrderView> {
  const { body, status, text } = await client<OrderView>(
    "POST",
    "/v1/orders",
    anOrder({ routing: { channelTypes: [type] } }),
  );
  assert.equal(status, 201, text);
  return body;
}

const keyOf = (order: OrderView): string => `${order.id}.1.${order.legs[0]!.attempt}`;

/** The channel's staff says that this happened; answers what the platform made of it. */
async function report(order: OrderView, kind: string): Promise<string> {
  const one = { channelId: order.channel!.id, attemptKey: keyOf(order), kind, at: iso(Date.now()) };
  const { body } = await world<{ results: { kind: string; result?: string }[] }>(
    "POST",
    "/control/report",
    one,
  );
  return JSON.stringify(body.results[0]);
}

/** It happens, and the platform does not hear of it: the report is signed with a secret that is not the channel's. */
async function happensUnheard(order: OrderView, kind: string): Promise<void> {
  const { id } = order.channel!;
  const { callbackSecret } = Object.values(channels).find((channel) => channel.id === id)!;
  await world("PUT", `/control/channels/${id}`, { secret: `whsec_${Buffer.alloc(24).toString("base64")}` });
  await report(order, kind);
  await world("PUT", `/control/channels/${id}`, { secret: callbackSecret });
}

const read = async (order: OrderView): Promise<OrderView> =>
  (await client<OrderView>("GET", `/v1/orders/${order.id}`)).body;

async function until(order: OrderView, holds: (view: OrderView) => boolean): Promise<OrderView> {
  for (let round = 0; round < 400; round += 1) {
    const view = await read(order);
    if (holds(view)) return view;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return assert.fail(`never: ${JSON.stringify(await read(order))}`);
}

async function bookingsOf(order: OrderView): Promise<string[]> {
  const { body } = await world<{ items: LedgerEntry[] }>("GET", "/control/ledger?limit=5000");
  return body.items
    .filter(({ key, state }) => key.startsWith(order.id) && state === "booked")
    .map(({ key, channelId }) => `${key}@${channelId}`);
}

const act = (order: OrderView, action: string, body: unknown = { reason: "the oven broke" }) =>
  operator<OrderView>("POST", `/v1/orders/${order.id}/${action}`, body);

test("an operator gives an order to another channel: its old booking is gone, the new one is the only one", async () => {
  const order = await place();
  const { status, body, text } = await act(order, "reroute");
  assert.equal(status, 200, text);
  assert.equal(body.status, "confirmed");
  assert.notEqual(body.channel!.id, order.channel!.id);
  assert.deepEqual(await bookingsOf(order), [`${keyOf(body)}@${body.channel!.id}`]);
  const { body: told } = await client<{ decisions: OrderDecision[] }>(
    "GET",
    `/v1/orders/${order.id}/decision`,
  );
  assert.deepEqual(
    told.decisions.map(({ attempt }) => [attempt!.attempt, attempt!.channelId, attempt!.booking]),
    [
      [2, body.channel!.id, "booked"],
      [1, order.channel!.id, "cancelled"],
    ],
  );
});

test("operators' actions are for operators, and want a reason", async () => {
  const order = await place();
  for (const action of ["reroute", "retry", "force-cancel"]) {
    const denied = await client("POST", `/v1/orders/${order.id}/${action}`, { reason: "mine" });
    assert.equal(denied.body.code, "forbidden");
    assert.equal((await act(order, action, {})).body.code, "validation_failed");
    assert.equal((await act(order, action, { reason: "" })).body.code, "validation_failed");
  }
  assert.equal((await act(order, "retry")).body.code, "transition_refused");
  assert.deepEqual(await read(order), order);
});

test("where nobody else could take it, a reroute is refused and says why", async () => {
  const { status, body } = await act(await place("internal_kitchen"), "reroute");
  assert.equal(status, 409);
  assert.equal(body.code, "no_other_channel");
});

test("a cancel that comes too late is 409, and the order goes on to the door", async () => {
  const order = await place();
  await happensUnheard(order, "dispatched");
  const { status, body } = await client<{ order: OrderView }>("POST", `/v1/orders/${order.id}/cancel`);
  assert.equal(status, 409);
  assert.equal(body.code, "transition_refused");
  assert.equal(body.order.status, "confirmed");
  assert.deepEqual(await bookingsOf(order), [`${keyOf(order)}@${order.channel!.id}`]);
  assert.match(await report(order, "delivered"), /taken/);
  assert.equal((await read(order)).status, "delivered");
});

test("a channel's rules say until when it takes a cancellation, and its fee is on the order", async () => {
  const admin = clientOf(platform.url, platform.apiKey);
  const cancellation = { until: "preparing", feeMinor: 700, freeMinutesBefore: 10_000 };
  const patched = await admin<Channel>("PATCH", `/v1/channels/${channels.kitchen!.id}`, { cancellation });
  assert.deepEqual(patched.body.cancellation, cancellation);
  const order = await place("internal_kitchen");
  await report(order, "preparing");
  const { status, body } = await client<OrderView>("POST", `/v1/orders/${order.id}/cancel`);
  assert.equal(status, 200);
  assert.equal(body.cancellationFeeMinor, 700);
  assert.equal(body.costMinor, order.costMinor);

  const ready = await place("internal_kitchen");
  await report(ready, "ready");
  const late = await client("POST", `/v1/orders/${ready.id}/cancel`);
  assert.equal(late.status, 409);
  assert.equal((await read(ready)).status, "ready");
});

test("what a partner says that a cancellation costs goes before its rules", async () => {
  for (const name of ["east", "west"]) await behave(channels[name]!.id, { cancelFeeMinor: 250 });
  const order = await place();
  const { body } = await client<OrderView>("POST", `/v1/orders/${order.id}/cancel`);
  assert.equal(body.cancellationFeeMinor, 250);
  for (const name of ["east", "west"]) await behave(channels[name]!.id, { cancelFeeMinor: 0 });
});

test("an order that its partner gives back after confirming goes to another one, with one booking", async () => {
  const order = await place();
  await report(order, "preparing");
  await report(order, "refused");
  const again = await until(order, ({ status }) => status === "confirmed");
  assert.notEqual(again.channel!.id, order.channel!.id);
  assert.equal(again.legs[0]!.attempt, 2);
  assert.deepEqual(await bookingsOf(order), [`${keyOf(again)}@${again.channel!.id}`]);
});

test("a door that stayed shut ends the order undelivered, with the partner's words", async () => {
  const order = await place();
  await report(order, "dispatched");
  await report(order, "undelivered");
  const ended = await read(order);
  assert.equal(ended.status, "undelivered");
  assert.equal(ended.reason?.code, "not_at_home");
  assert.equal((await client("POST", `/v1/orders/${order.id}/cancel`)).status, 409);
});

test("an operator's cancel that its channel refuses is stuck; forced, it ends; delivered after all, the report is ignored", async () => {
  const order = await place();
  await happensUnheard(order, "dispatched");
  const stuck = await act(order, "force-cancel");
  assert.equal(stuck.status, 202, stuck.text);
  assert.equal(stuck.body.status, "stuck");
  const again = await act(order, "retry");
  assert.equal(again.body.status, "stuck");
  const forced = await act(order, "force-cancel");
  assert.equal(forced.status, 200, forced.text);
  assert.equal(forced.body.status, "cancelled");
  assert.match(await report(order, "delivered"), /ignored|taken/);
  assert.equal((await read(order)).status, "cancelled");
});

test("a stuck order whose channel reports it delivered is delivered", async () => {
  const order = await place();
  await happensUnheard(order, "dispatched");
  assert.equal((await act(order, "force-cancel")).body.status, "stuck");
  await report(order, "delivered");
  const delivered = await read(order);
  assert.equal(delivered.status, "delivered");
  assert.equal(delivered.reason?.code, "too_late_to_undo");
});

const patch = (order: OrderView, body: unknown, headers: Record<string, string> = {}) =>
  client<OrderView>("PATCH", `/v1/orders/${order.id}`, body, headers);
const later = { start: iso(Date.now() + 6 * hourMs), end: iso(Date.now() + 8 * hourMs) };

test("a changed window, place, address and items of a partner's order: one booking, and the events tell what changed", async () => {
  const order = await place();
  const items = [{ sku: "meal-9", quantity: 3, unitPriceMinor: 100 }];
  const address = { line1: "New Street 9", city: "Dubai", countryCode: "AE" };
  const location = { lat: 25.078, lng: 55.141 };
  const { status, body, text } = await patch(
    order,
    { items, delivery: { window: later, location, address } },
    { "if-match": `"${order.version}"` },
  );
  assert.equal(status, 200, text);
  assert.equal(body.status, "confirmed");
  assert.deepEqual([body.items, body.delivery.window, body.delivery.location], [items, later, location]);
  assert.deepEqual(await bookingsOf(order), [`${keyOf(body)}@${body.channel!.id}`]);
  const shown = await client<{ delivery: { address: object } }>("GET", `/v1/orders/${order.id}`);
  assert.deepEqual(shown.body.delivery.address, address);
  const events = await client<{ items: { type: string; data: { changed?: string[] } }[] }>(
    "GET",
    `/v1/orders/${order.id}/events`,
  );
  assert.deepEqual(
    events.body.items.filter(({ type }) => type === "order.updated").map(({ data }) => data.changed),
    [["items", "delivery.window", "delivery.location", "delivery.address"]],
  );
  assert.ok(!events.text.includes("New Street"));
  const listed = await client<{ items: OrderView[] }>("GET", "/v1/orders?limit=1");
  assert.equal(listed.status, 200);
});

test("a change that can't be is a problem with its reason, and the order is as it was", async () => {
  const order = await place("internal_kitchen");
  const never = { start: iso(Date.now() + 90 * hourMs), end: iso(Date.now() + 91 * hourMs) };
  const refused = await patch(order, { delivery: { window: never } });
  assert.deepEqual([refused.status, refused.body.code], [409, "change_refused"]);
  const conflict = await patch(order, { delivery: { window: later } }, { "if-match": '"1"' });
  assert.deepEqual([conflict.status, conflict.body.code], [412, "version_conflict"]);
  const reversedWindow = { start: later.end, end: later.start };
  assert.equal((await patch(order, { delivery: { window: reversedWindow } })).body.code, "window_reversed");
  for (const body of [{}, { delivery: {} }, { status: "delivered" }, { items: [] }, { currency: "EUR" }])
    assert.equal((await patch(order, body)).body.code, "validation_failed", JSON.stringify(body));
  assert.deepEqual(await read(order), order);
  await report(order, "preparing");
  assert.equal((await patch(order, { delivery: { window: later } })).body.code, "transition_refused");
});

test("a partner whose old booking has left keeps the order: the change is 409, its room is free again", async () => {
  const order = await place();
  await happensUnheard(order, "dispatched");
  const refused = await patch(order, { delivery: { window: later } });
  assert.deepEqual([refused.status, refused.body.code], [409, "change_refused"], refused.text);
  assert.deepEqual(await bookingsOf(order), [`${keyOf(order)}@${order.channel!.id}`]);
  await report(order, "delivered");
  assert.equal((await read(order)).status, "delivered");
});

test("after all of this every invariant holds", async () => {
  const report = await runCheck({ database: platform.database, out: () => undefined });
  assert.deepEqual(
    report.findings.filter(({ violationCount }) => violationCount > 0),
    [],
  );
});
