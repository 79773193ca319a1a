import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel } from "../../src/capacity/api.ts";
import type { LedgerEntry } from "../../src/channels/api.ts";
import { createSigner } from "../../src/channels/signature.ts";
import { startSimulator } from "../../src/channels/simulator/simulator.ts";
import { runCheck } from "../../src/check/check.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { createLog } from "../../src/platform/log.ts";
import type { DifferenceView } from "../../src/reconciliation/api.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

/** What partners have against what we have, over HTTP; each look comes a second after the one before. */

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 10_000 };

let platform: TestPlatform;
let admin: Call;
let world: Call;
const partners: (Channel & { callbackSecret: string })[] = [];

before(async () => {
  platform = await startPlatform({
    simulator: true,
    env: { RECONCILE_EVERY_SECONDS: "1", ANSWER_WITHIN_MS: "8000" },
  });
  admin = clientOf(platform.url, platform.apiKey);
  world = clientOf(platform.simulatorUrl, null);
  await addPartner("east");
  await addPartner("west");
});
after(() => platform.stop());

async function addPartner(name: string): Promise<void> {
  const type = "external_partner";
  const made = await admin<Channel & { callbackSecret: string }>(
    "POST",
    "/v1/channels",
    aChannel({ name, type, endpoint: platform.simulatorUrl }),
  );
  const { id } = made.body;
  const endpoint = `${platform.simulatorUrl}/channels/${id}`;
  await admin("PATCH", `/v1/channels/${id}`, { endpoint });
  await admin("PUT", `/v1/channels/${id}/capacity`, { slots: [slot] });
  await platform.introduce(id);
  await world("PUT", `/control/channels/${id}`, {
    behaviour: { callbacks: "manual", latencyMs: { min: 0, max: 2 } },
  });
  partners.push({ ...made.body, endpoint });
}

async function place(): Promise<OrderView> {
  const placed = await admin<OrderView>("POST", "/v1/orders", anOrder());
  assert.equal(placed.status, 201, placed.text);
  return placed.body;
}

const keyOf = (order: OrderView): string => `${order.id}.1.${order.legs[0]!.attempt}`;
const partnerOf = (order: OrderView) => partners.find(({ id }) => id === order.channel!.id)!;

/** It happens there, and its report does not get through: it is signed with a wrong secret. */
async function happensUnheard(order: OrderView, kind: string): Promise<void> {
  const { id, callbackSecret } = partnerOf(order);
  const wrong = `whsec_${Buffer.alloc(24).toString("base64")}`;
  await world("PUT", `/control/channels/${id}`, { secret: wrong });
  const report = { channelId: id, attemptKey: keyOf(order), kind, at: iso(Date.now()) };
  await world("POST", "/control/report", report);
  await world("PUT", `/control/channels/${id}`, { secret: callbackSecret });
}

/** A booking that nobody of us asked for. */
async function bookBehindOurBack(key: string, { id, endpoint, callbackSecret }: (typeof partners)[number]) {
  const orderId = key.split(".")[0]!;
  const window = { start: iso(Date.now() + hourMs), end: iso(Date.now() + 2 * hourMs) };
  const body = JSON.stringify({
    call: "book",
    channelId: id,
    key,
    orderId,
    notAfter: iso(Date.now() + 60_000),
    items: [],
    units: 1,
    currency: "AED",
    promised: window,
    priority: "standard",
    delivery: { location: { lat: 25, lng: 55 } },
  });
  const headers = createSigner(callbackSecret).sign("msg_1", Date.now(), body);
  const booked = await fetch(`${endpoint}/book`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });
  assert.equal(booked.status, 200, await booked.text());
}

async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  const untilMs = Date.now() + 15_000;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    assert.ok(Date.now() < untilMs, JSON.stringify(answer));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const differences = async (query: string): Promise<DifferenceView[]> =>
  (await admin<{ items: DifferenceView[] }>("GET", `/v1/differences?${query}`)).body.items;
const differenceOf = (key: string, query = "settled=true") =>
  until(
    async () => (await differences(query)).find((one) => one.key === key) ?? null,
    (found) => found !== null,
  );
const stateAt = async (key: string): Promise<string | undefined> =>
  (await world<{ items: LedgerEntry[] }>("GET", "/control/ledger?limit=5000")).body.items.find(
    (entry) => entry.key === key,
  )?.state;

test("an order whose partner gave it back without our hearing goes to another one", async () => {
  const order = await place();
  await happensUnheard(order, "refused");
  const moved = await until(
    async () => (await admin<OrderView>("GET", `/v1/orders/${order.id}`)).body,
    ({ legs, status }) => status === "confirmed" && legs[0]?.attempt === 2,
  );
  assert.notEqual(moved.channel!.id, order.channel!.id);
  const found = await differenceOf(keyOf(order));
  assert.deepEqual([found!.kind, found!.repair, found!.settledAt !== null], ["missing", "reroute", true]);
});

test("a booking that we gave up and the partner still has is cancelled", async () => {
  const order = await place();
  const [away] = partners.filter(({ id }) => id !== order.channel!.id);
  // As after a repair of the database by hand: an attempt that is over here, and was never cancelled there.
  const key = `${order.id}.1.7`;
  const text = `insert into attempts (order_id, leg, attempt, channel_id, slot_id, units, held, booking, made_at)
    select $1, 1, 7, channel_id, id, 1, false, 'cancelled', now() from slots where channel_id = $2`;
  await platform.database.run({ name: "", text }, [order.id, away!.id]);
  await bookBehindOurBack(key, away!);
  await until(
    () => stateAt(key),
    (state) => state === "cancelled",
  );
  const found = await differenceOf(key);
  assert.deepEqual([found!.kind, found!.repair], ["unowned", "cancel"]);
  assert.equal(await stateAt(keyOf(order)), "booked");
});

test("a booking of an attempt that we never made is shown, and not touched", async () => {
  const order = await place();
  const key = `${order.id}.1.9`;
  await bookBehindOurBack(key, partnerOf(order));
  const found = await differenceOf(key, "");
  assert.deepEqual([found!.kind, found!.repair, found!.settledAt], ["unknown", null, null]);
  assert.equal(await stateAt(key), "booked");
  // The gauge follows at the end of the round that stored it.
  await until(
    async () => (await clientOf(platform.url, null)("GET", "/metrics")).text,
    (text) =>
      /uoop_booking_differences_open [1-9]/.test(text) &&
      /uoop_booking_differences_total\{kind="unknown",repaired="false"\} [1-9]/.test(text),
  );
});

test("an order that was forced to its end, and whose food the partner still has, is shown until it is gone", async () => {
  const order = await place();
  await happensUnheard(order, "dispatched");
  const act = (action: string) => admin("POST", `/v1/orders/${order.id}/${action}`, { reason: "test" });
  assert.equal((await act("force-cancel")).body.status, "stuck");
  assert.equal((await act("force-cancel")).body.status, "cancelled");
  const found = await differenceOf(keyOf(order), "");
  assert.equal(found!.kind, "unowned");
  assert.match(found!.detail, /too_late/);
});

test("differences are for operators, by channel, page by page", async () => {
  const { key } = await platform.app.keys.create("cal", ["orders:read", "orders:write"]);
  assert.equal((await clientOf(platform.url, key)("GET", "/v1/differences")).body.code, "forbidden");
  const all = await differences("settled=true&limit=100");
  assert.ok(all.length >= 4);
  for (const { id } of partners) {
    const some = await differences(`settled=true&channelId=${id}`);
    assert.deepEqual(
      some,
      all.filter(({ channelId }) => channelId === id),
    );
  }
  const first = await admin<{ items: DifferenceView[]; nextCursor: string }>(
    "GET",
    "/v1/differences?settled=true&limit=2",
  );
  const rest = await differences(`settled=true&limit=100&cursor=${first.body.nextCursor}`);
  assert.deepEqual(
    [...first.body.items, ...rest].map(({ id }) => id),
    all.map(({ id }) => id),
  );
});

test("hundreds of bookings that are right are compared, and nothing is found", async () => {
  const orders = await Promise.all(Array.from({ length: 300 }, place));
  const keys = new Set(orders.map(keyOf));
  const compared = async () => {
    const { values } = await platform.app.metrics.bookingsCompared.get();
    return values.reduce((sum, { value }) => sum + value, 0);
  };
  const from = await compared();
  await until(compared, (now) => now >= from + 600);
  assert.deepEqual(
    (await differences("settled=true&limit=500")).filter(({ key }) => keys.has(key)),
    [],
  );
});

test("a partner that has forgotten its bookings: their orders go to others, and it will not take them any more", async (t) => {
  const order = await place();
  const left = partnerOf(order);
  // It comes back with an empty ledger, at another address.
  const empty = await startSimulator({ port: 0, log: createLog("silent") });
  t.after(() => empty.close());
  const { id, callbackSecret: secret } = left;
  await clientOf(empty.url, null)("PUT", `/control/channels/${id}`, {
    secret,
    behaviour: { callbacks: "manual" },
  });
  const endpoint = `${empty.url}/channels/${id}`;
  await admin("PATCH", `/v1/channels/${id}`, { endpoint });
  const older = "update attempts set made_at = now() - interval '5 minutes' where order_id = $1";
  await platform.database.run({ name: "", text: older }, [order.id]);
  // Others of its bookings are asked after in the same way; this test waits for this one.
  const moved = await until(
    async () => (await admin<OrderView>("GET", `/v1/orders/${order.id}`)).body,
    ({ legs, status }) => status === "confirmed" && legs[0]?.attempt === 2,
  );
  assert.notEqual(moved.channel!.id, id);
  assert.equal(moved.legs.length, 1);
  await assert.rejects(() => bookBehindOurBack(keyOf(order), { ...left, endpoint }), /409/);
});

test("after all of this every invariant holds", async () => {
  const report = await runCheck({ database: platform.database, out: () => undefined });
  assert.deepEqual(
    report.findings.filter(({ violationCount }) => violationCount > 0),
    [],
  );
});
