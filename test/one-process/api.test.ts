import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";
import type { Channel, SlotView } from "../../src/capacity/api.ts";
import type { OrderDecision } from "../../src/orchestration/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import type { PlatformEvent } from "../../src/relay/api.ts";
import { aChannel, anOrder, type Call, clientOf, readStream } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

type Kitchen = Channel & { callbackSecret: string };
type Page<T> = { items: T[]; nextCursor: string | null };

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
/** One slot over the coming day, so that every order of these tests falls into it. */
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 10_000 };

let platform: TestPlatform;
let admin: Call;
let cal: Call;
let calKey: string;
let kitchen: Kitchen;

before(async () => {
  platform = await startPlatform();
  admin = clientOf(platform.url, platform.apiKey);
  calKey = (await platform.app.keys.create("cal", ["orders:read", "orders:write"])).key;
  cal = clientOf(platform.url, calKey);
  kitchen = await addKitchen();
});
after(() => platform.stop());

async function addKitchen(change: object = {}, capacity = slot.capacity): Promise<Kitchen> {
  const { body, status, text } = await admin<Kitchen>("POST", "/v1/channels", aChannel({ ...change }));
  assert.equal(status, 201, text);
  const put = await admin("PUT", `/v1/channels/${body.id}/capacity`, { slots: [{ ...slot, capacity }] });
  assert.equal(put.status, 200, put.text);
  return body;
}

async function place(change: Record<string, unknown> = {}, headers: Record<string, string> = {}) {
  const answer = await cal<OrderView>("POST", "/v1/orders", anOrder(change), headers);
  assert.equal(answer.status, 201, answer.text);
  return answer.body;
}

function report(
  order: OrderView,
  kind: string,
  change: { id?: string; key?: string; channel?: Kitchen } = {},
) {
  const channel = change.channel ?? kitchen;
  const leg = order.legs[0];
  const body = JSON.stringify({
    callbackId: change.id ?? `${order.id}-${kind}`,
    attemptKey: change.key ?? `${order.id}.${leg?.leg}.${leg?.attempt}`,
    kind,
    at: new Date().toISOString(),
  });
  const at = new Date();
  const anonymous = clientOf(platform.url, null);
  return anonymous<{ result: string }>("POST", `/v1/channels/${channel.id}/callbacks`, body, {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(channel.callbackSecret).sign("msg_1", at, body),
  });
}

const reservedAt = async ({ id }: Channel): Promise<number> => {
  const { body } = await admin<{ slots: SlotView[] }>(
    "GET",
    `/v1/channels/${id}/capacity?from=${slot.start}`,
  );
  return body.slots.reduce((sum, { reserved }) => sum + reserved, 0);
};

/** The read model follows within moments: asks until it does, for five seconds at most. */
async function eventually<T>(ask: () => Promise<T>, isThere: (answer: T) => boolean): Promise<T> {
  const untilMs = Date.now() + 5_000;
  for (;;) {
    const answer = await ask();
    if (isThere(answer) || Date.now() > untilMs) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("an order is confirmed at once, read as it was told, and its decision is kept", async () => {
  const order = await place({ externalId: "api-1" });
  assert.equal(order.status, "confirmed");
  const read = await cal<OrderView>("GET", `/v1/orders/${order.id}`);
  assert.deepEqual(read.body, order);
  assert.equal(read.headers.get("etag"), `"${order.version}"`);
  const { body } = await cal<{ decisions: OrderDecision[] }>("GET", `/v1/orders/${order.id}/decision`);
  const [decision] = body.decisions;
  assert.equal(decision?.chosen?.channelId, order.channel?.id);
  assert.equal(decision?.policy, "default@1");
  assert.match(decision?.summary ?? "", /was chosen by the routing policy default@1/);
  assert.deepEqual(decision?.attempt, {
    leg: 1,
    attempt: 1,
    at: order.createdAt,
    channelId: order.channel?.id,
    booking: "booked",
  });
});

test("a client that has just written reads its own write, a hundred times", async () => {
  for (let index = 0; index < 100; index += 1) {
    const order = await place();
    const { body } = await cal<OrderView>("GET", `/v1/orders/${order.id}`);
    assert.ok(body.version >= order.version);
  }
});

test("fifty connections with one key make one order, and all fifty get it", async () => {
  const body = anOrder();
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      cal<OrderView>("POST", "/v1/orders", body, { "idempotency-key": "fifty" }),
    ),
  );
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [201]);
  assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1);
  assert.equal(answers.filter((answer) => answer.headers.get("idempotency-replayed") === null).length, 1);
  const changed = await cal("POST", "/v1/orders", anOrder({ customerId: "else" }), {
    "idempotency-key": "fifty",
  });
  assert.equal(changed.body.code, "idempotency_key_reused");
});

test("a place that no channel serves is 409 with the nearest reason, and the order is kept as failed", async () => {
  const far = anOrder();
  far.delivery.location = { lat: -33.9, lng: 18.4 };
  const { status, body } = await cal<{ order: OrderView }>("POST", "/v1/orders", far);
  assert.equal(status, 409);
  assert.equal(body.code, "order_unfulfillable");
  assert.equal(body.order.reason?.code, "not_serviceable");
  assert.equal(body.detail, body.order.reason?.detail);
  assert.equal((await cal<OrderView>("GET", `/v1/orders/${body.order.id}`)).body.status, "failed");
});

test("a window in the past is refused and leaves nothing behind: the key is free", async () => {
  const late = anOrder({ externalId: "late-1" });
  late.delivery.window = { start: iso(Date.now() - 5 * hourMs), end: iso(Date.now() - 4 * hourMs) };
  const refused = await cal("POST", "/v1/orders", late);
  assert.equal(refused.body.code, "window_in_past");
  await place({ externalId: "late-1" });
});

test("in a batch the good orders go through, whatever the others are", async () => {
  const twice = anOrder({ externalId: "batch-1" });
  const { body } = await cal<{ results: { status: number; order?: OrderView; replayed?: boolean }[] }>(
    "POST",
    "/v1/orders/batch",
    { orders: [twice, "nonsense", anOrder({ currency: "ZZZ" }), twice, anOrder({ items: [] }), anOrder()] },
  );
  assert.deepEqual(
    body.results.map(({ status }) => status),
    [201, 400, 400, 201, 400, 201],
  );
  assert.equal(body.results[0]?.order?.id, body.results[3]?.order?.id);
  const stored = await cal<OrderView>("GET", `/v1/orders/${body.results[5]?.order?.id}`);
  assert.equal(stored.status, 200);
});

test("an order is followed from its first event to the door, by callbacks that come twice and out of order", async () => {
  const order = await place();
  const url = `${platform.url}/v1/orders/${order.id}/stream`;
  const following = readStream(url, calKey, { enough: () => false });
  assert.equal((await report(order, "preparing")).body.result, "applied");
  assert.equal((await report(order, "preparing")).body.result, "duplicate");
  assert.equal((await report(order, "dispatched")).body.result, "applied");
  assert.equal((await report(order, "ready")).body.result, "ignored");
  assert.equal((await report(order, "delivered")).body.result, "applied");
  const { events, ended } = await following;
  assert.equal(ended, true);
  const last = events.at(-1)!;
  assert.equal((last.data.data.order as OrderView).status, "delivered");

  const versions = [...new Set(events.map(({ data }) => data.subjectversion))];
  assert.deepEqual(
    versions,
    Array.from({ length: last.data.subjectversion }, (_, index) => index + 1),
  );
  const { body } = await cal<Page<PlatformEvent>>("GET", `/v1/orders/${order.id}/events`);
  assert.deepEqual(
    body.items.map(({ id }) => id),
    events.map(({ data }) => (data as unknown as PlatformEvent).id),
  );
  const again = await readStream(url, calKey, { lastEventId: last.id, enough: () => false });
  assert.equal(again.status, 204);
});

test("a callback of an attempt that was never made is 404", async () => {
  const order = await place();
  const unknown = await report(order, "preparing", { key: `${order.id}.1.99` });
  assert.equal(unknown.body.code, "attempt_unknown");
  assert.equal(unknown.status, 404);
});

test("a cancelled order gives its capacity back, once", async () => {
  const own = await addKitchen({ name: "Cancelling", quality: 1 }, 10);
  const far = anOrder();
  const order = await place({
    delivery: { ...far.delivery },
    items: [{ sku: "a", quantity: 3, unitPriceMinor: 1 }],
  });
  const holder = order.channel?.id === own.id ? own : kitchen;
  const before = await reservedAt(holder);
  const cancelled = await cal<OrderView>("POST", `/v1/orders/${order.id}/cancel`);
  assert.equal(cancelled.status, 200);
  assert.equal(cancelled.body.status, "cancelled");
  assert.equal(await reservedAt(holder), before - 3);
  assert.equal((await cal("POST", `/v1/orders/${order.id}/cancel`)).status, 200);
  assert.equal(await reservedAt(holder), before - 3);
  const { body } = await cal<OrderView>("GET", `/v1/orders/${order.id}`);
  assert.equal(body.status, "cancelled");
  await admin("POST", `/v1/channels/${own.id}/pause`);
});

test("what was dispatched can't be cancelled any more", async () => {
  const order = await place();
  const channel = order.channel!.id === kitchen.id ? kitchen : undefined;
  assert.ok(channel, "the only active kitchen");
  await report(order, "dispatched");
  const { status, body } = await cal("POST", `/v1/orders/${order.id}/cancel`);
  assert.equal(status, 409);
  assert.equal(body.code, "transition_refused");
});

test("capacity can't be cut below what is reserved, and says so", async () => {
  await place();
  const { status, body } = await admin("PUT", `/v1/channels/${kitchen.id}/capacity`, {
    slots: [{ ...slot, capacity: 0 }],
  });
  assert.equal(status, 409);
  assert.equal(body.code, "capacity_below_reserved");
  const middle = { start: iso(Date.parse(slot.start) + hourMs), end: slot.end, capacity: 1 };
  const overlap = await admin("PUT", `/v1/channels/${kitchen.id}/capacity`, { slots: [middle] });
  assert.equal(overlap.body.code, "slots_overlap");
});

test("respond-async is answered as soon as it is stored, and the order goes its way", async () => {
  const { status, headers, body } = await cal<OrderView>("POST", "/v1/orders", anOrder(), {
    prefer: "respond-async",
  });
  assert.equal(status, 202);
  assert.equal(headers.get("preference-applied"), "respond-async");
  const { events } = await readStream(`${platform.url}/v1/orders/${body.id}/stream`, calKey, {
    enough: (seen) => seen.some(({ data }) => (data.data.order as OrderView).status === "confirmed"),
  });
  assert.ok(events.length > 0);
});

test("lists filter and page through every order once, new to old", async () => {
  const customerId = "cus_list";
  const placed: string[] = [];
  for (let index = 0; index < 7; index += 1) placed.push((await place({ customerId })).id);
  const query = `/v1/orders?customerId=${customerId}&limit=3`;
  const whole = `/v1/orders?customerId=${customerId}`;
  await eventually(
    () => cal<Page<OrderView>>("GET", whole),
    ({ body }) => body.items.length === placed.length,
  );
  const seen: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const { body }: { body: Page<OrderView> } = await cal<Page<OrderView>>(
      "GET",
      query + (cursor && `&cursor=${cursor}`),
    );
    seen.push(...body.items.map(({ id }) => id));
    cursor = body.nextCursor;
  }
  assert.deepEqual(seen, placed.toReversed());

  const count = async (filter: string) =>
    (await cal<Page<OrderView>>("GET", `${whole}&${filter}`)).body.items.length;
  assert.equal(await count("status=confirmed"), 7);
  assert.equal(await count("status=failed"), 0);
  assert.equal(await count(`channelId=${kitchen.id}`), 7);
  assert.equal(await count("channelId=chn_none"), 0);
  assert.equal(await count(`from=${iso(Date.now() - hourMs)}&to=${iso(Date.now() + hourMs)}`), 7);
  assert.equal(await count(`from=${iso(Date.now() + hourMs)}`), 0);
});

test("a client sees and follows its own orders only, an admin all", async () => {
  const otherKey = (await platform.app.keys.create("other", ["orders:read", "orders:write"])).key;
  const other = clientOf(platform.url, otherKey);
  const mine: string[] = [];
  const following = readStream(`${platform.url}/v1/events/stream?types=order.created`, otherKey, {
    enough: (seen) => seen.length === 1,
    onOpen: () => {
      const placing = async () => {
        await place();
        mine.push((await other<OrderView>("POST", "/v1/orders", anOrder())).body.id);
      };
      placing().catch(assert.ifError);
    },
  });
  const { events } = await following;
  assert.deepEqual(
    events.map(({ data }) => data.subject),
    mine,
  );
  assert.equal((await cal("GET", `/v1/orders/${mine[0]}`)).body.code, "order_not_found");
  assert.equal((await admin("GET", `/v1/orders/${mine[0]}`)).status, 200);
});

test("a stream resumed after any event gives exactly the rest", async () => {
  const url = `${platform.url}/v1/events/stream`;
  const orders = [await place(), await place()];
  const { body } = await admin<Page<PlatformEvent>>("GET", `/v1/orders/${orders[1]!.id}/events`);
  const lastId = body.items.at(-1)!.id;
  const isLast = (seen: readonly { data: object }[]) =>
    seen.some(({ data }) => (data as PlatformEvent).id === lastId);
  const all = await readStream(url, platform.apiKey, { lastEventId: "0", enough: isLast });
  const middle = Math.floor(all.events.length / 2);
  const rest = await readStream(url, platform.apiKey, {
    lastEventId: all.events[middle]!.id,
    enough: isLast,
  });
  const expected = all.events.slice(middle + 1).map(({ id }) => id);
  assert.deepEqual(rest.events.map(({ id }) => id).slice(0, expected.length), expected);
});

test("personal data is in the order for those who may read it, and in no event or list", async () => {
  const contact = { name: "Nobody Else", phone: "+971 50 000 0000" };
  const base = anOrder();
  const order = await place({ customerId: "cus_private", delivery: { ...base.delivery, contact } });
  const read = await cal<{ delivery: { contact: object } }>("GET", `/v1/orders/${order.id}`);
  assert.deepEqual(read.body.delivery.contact, contact);
  const events = await cal("GET", `/v1/orders/${order.id}/events`);
  const list = await cal("GET", "/v1/orders?customerId=cus_private");
  assert.equal((events.text + list.text).includes("Nobody Else"), false);
});

test("a revoked key opens nothing any more", async () => {
  const { key, id } = await platform.app.keys.create("gone", ["admin"]);
  const gone = clientOf(platform.url, key);
  assert.equal((await gone("GET", "/v1/orders")).status, 200);
  await platform.app.keys.revoke(id);
  assert.equal((await gone("GET", "/v1/orders")).status, 401);
});

test("health, metrics, rankings, and a docs page that loads nothing from elsewhere", async () => {
  const anonymous = clientOf(platform.url, null);
  assert.equal((await anonymous("GET", "/health/live")).status, 200);
  assert.equal((await anonymous("GET", "/health/ready")).status, 200);
  const { text } = await anonymous("GET", "/metrics");
  assert.match(text, /uoop_http_request_seconds_count\{method="POST",route="\/v1\/orders",status="201"\} \d/);
  const query = `lat=25.08&lng=55.14&slot=${iso(Date.now() + hourMs)}`;
  const { body } = await cal<Page<{ channelId: string }>>("GET", `/v1/channels/rankings?${query}`);
  assert.equal(body.items[0]?.channelId, kitchen.id);

  const page = await anonymous("GET", "/docs/");
  const links = [...page.text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link]) => link!);
  assert.deepEqual(links, ["js/scalar.js"]);
  assert.match(page.headers.get("content-security-policy")!, /default-src 'self'/);
  assert.equal((await anonymous("GET", "/docs")).headers.get("location"), "/docs/");
  assert.ok((await anonymous("GET", "/docs/js/scalar.js")).text.length > 1_000_000);
});
