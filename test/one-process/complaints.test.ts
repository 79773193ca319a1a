import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel } from "../../src/capacity/api.ts";
import type { PerformanceAnswer } from "../../src/gateway/schemas-performance.ts";
import type { Complaint, OrderView } from "../../src/orchestration/order.ts";
import { statement } from "../../src/platform/database.ts";
import type { PlatformEvent } from "../../src/relay/api.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

/** Complaints over HTTP, on the real database. */

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 10_000 };

let platform: TestPlatform;
let admin: Call;
let client: Call;
let stranger: Call;
let kitchen: Channel;

before(async () => {
  platform = await startPlatform();
  admin = clientOf(platform.url, platform.apiKey);
  const as = async (name: string) =>
    clientOf(platform.url, (await platform.app.keys.create(name, ["orders:read", "orders:write"])).key);
  client = await as("cal");
  stranger = await as("other");
  kitchen = (await admin<Channel>("POST", "/v1/channels", aChannel())).body;
  await admin("PUT", `/v1/channels/${kitchen.id}/capacity`, { slots: [slot] });
});
after(() => platform.stop());

async function delivered(): Promise<OrderView> {
  const delivery = { ...anOrder().delivery, instructions: "leave at the desk" };
  const { body } = await client<OrderView>("POST", "/v1/orders", anOrder({ delivery }));
  const by = { actor: `channel:${kitchen.id}`, source: null };
  const said = {
    channelId: kitchen.id,
    callbackId: body.id,
    attemptKey: `${body.id}.1.1`,
    at: iso(Date.now()),
  };
  await platform.app.orchestration.callbacks([{ ...said, kind: "delivered", by }]);
  return (await client<OrderView>("GET", `/v1/orders/${body.id}`)).body;
}

const complain = (call: Call, id: string, body: unknown, key?: string) =>
  call<OrderView>("POST", `/v1/orders/${id}/complaints`, body, key ? { "idempotency-key": key } : {});

const secret = "it was cold, says Mr Secret of Marina Walk 12";

test("a complaint is a version of the order, with its event, its journal row and its channel; the words are kept apart", async () => {
  const order = await delivered();
  const made = await complain(client, order.id, { kind: "quality", text: secret });
  assert.equal(made.status, 200, made.text);
  assert.deepEqual([made.body.status, made.body.version], ["delivered", order.version + 1]);
  const [one] = made.body.complaints!;
  assert.partialDeepStrictEqual(one, { kind: "quality", channelId: kitchen.id });
  const list = await client<{ items: (Complaint & { text?: string })[] }>(
    "GET",
    `/v1/orders/${order.id}/complaints`,
  );
  assert.deepEqual(list.body.items, [{ ...one, text: secret }]);
  const { body } = await client<{ items: PlatformEvent[] }>("GET", `/v1/orders/${order.id}/events`);
  const last = body.items.at(-1)!;
  assert.deepEqual([last.type, last.subjectversion], ["order.updated", made.body.version]);
  assert.deepEqual(last.data.changed, ["complaints"]);
  const said = statement(
    "",
    `select count(*) as said from (select entries from journal union all select events from event_log
       union all select events from outbox union all select state from orders union all select state from order_views) all_of
     where entries like '%Secret%'`,
  );
  assert.deepEqual(await platform.database.run(said), [{ said: 0 }]);
  const journal = statement("", "select entries from journal where order_id = $1 order by id desc limit 1");
  const [row] = await platform.database.run<{ entries: string }>(journal, [order.id]);
  assert.partialDeepStrictEqual(JSON.parse(row!.entries), [{ complaint: "quality", channel: kitchen.id }]);
  // The rest of the personal data is as it was, and the words are not among it.
  const shown = await client<OrderView>("GET", `/v1/orders/${order.id}`);
  assert.match(shown.text, /leave at the desk/);
  assert.doesNotMatch(shown.text, /Secret/);
});

test("the same key, and without one the same words, is the same complaint; another body with the key is refused", async () => {
  const { id } = await delivered();
  const body = { kind: "late", text: "an hour" };
  const [first, again] = [
    await complain(client, id, body, "key-1"),
    await complain(client, id, body, "key-1"),
  ];
  assert.deepEqual([again.status, again.body.version], [200, first.body.version]);
  const other = await complain(client, id, { ...body, text: "two hours" }, "key-1");
  assert.deepEqual([other.status, other.body.code], [422, "idempotency_key_reused"]);
  const words = await Promise.all(Array.from({ length: 5 }, () => complain(client, id, { kind: "courier" })));
  assert.deepEqual(new Set(words.map(({ status }) => status)), new Set([200]));
  const { body: now } = await client<OrderView>("GET", `/v1/orders/${id}`);
  assert.deepEqual(
    now.complaints!.map(({ kind }) => kind),
    ["late", "courier"],
  );
});

test("complaints are counted by kind against the channel, and lower its quality", async () => {
  const path = `/v1/channels/${kitchen.id}/performance`;
  for (let round = 0; ; round += 1) {
    const { body, text } = await admin<PerformanceAnswer>("GET", path);
    const { quality = 0, late = 0, courier = 0 } = body.complaints;
    if (quality > 0.99 && late > 0.99 && courier > 0.99) {
      const part = body.quality.parts.find(({ name }) => name === "complaints")!;
      assert.ok(part.share < body.quality.prior && body.punctuality.share === 1, text);
      return;
    }
    assert.ok(round < 1_000, `never: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

test("what can't be complained of, and by whom, is refused", async () => {
  const { id } = await delivered();
  const refused = async (answer: ReturnType<typeof complain>) => {
    const { status, body } = await answer;
    return [status, body.code];
  };
  assert.deepEqual(await refused(complain(stranger, id, { kind: "late" })), [404, "order_not_found"]);
  assert.deepEqual(await refused(complain(client, "ord_nonsense", { kind: "late" })), [
    404,
    "order_not_found",
  ]);
  assert.equal((await stranger("GET", `/v1/orders/${id}/complaints`)).status, 404);
  for (const bad of [
    {},
    { kind: "boring" },
    { kind: "late", text: "" },
    { kind: "late", text: "x".repeat(2_001) },
    { kind: "late", text: "a\u0000b" },
    { kind: "late", leg: 0 },
    { kind: "late", more: 1 },
  ])
    assert.deepEqual(
      await refused(complain(client, id, bad)),
      [400, "validation_failed"],
      JSON.stringify(bad),
    );
  const leg = await refused(complain(client, id, { kind: "late", leg: 7 }));
  assert.deepEqual(leg, [409, "transition_refused"]);
  const nowhere = anOrder({ delivery: { ...anOrder().delivery, location: { lat: -60, lng: 0 } } });
  const failed = (await client<{ order: OrderView }>("POST", "/v1/orders", nowhere)).body.order;
  assert.deepEqual(await refused(complain(client, failed.id, { kind: "late" })), [409, "transition_refused"]);
  for (let n = 0; n < 20; n += 1)
    assert.equal((await complain(client, id, { kind: "other", text: String(n) })).status, 200);
  const many = await refused(complain(client, id, { kind: "other", text: "one more" }));
  assert.deepEqual(many, [409, "transition_refused"]);
});
