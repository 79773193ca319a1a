import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";
import type { Channel, StockItem } from "../../src/capacity/api.ts";
import { runCheck } from "../../src/check/check.ts";
import type { DecisionView } from "../../src/optimization/decision.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

/** Stock over HTTP, on the real database. Every test has a place of its own, so that orders go to its channels only. */
let platform: TestPlatform;
let call: Call;

before(async () => {
  platform = await startPlatform();
  call = clientOf(platform.url, platform.apiKey);
});
after(() => platform.stop());

const hourMs = 3_600_000;
const iso = (ms: number) => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 1_000 };
type Store = Channel & { callbackSecret: string };

let places = 0;
const nextPlace = () => {
  places += 1;
  return { lat: -40 + places, lng: 20 };
};

async function makeStore(stock: Record<string, number>, fields: object = {}): Promise<Store> {
  const made = await call<Store>(
    "POST",
    "/v1/channels",
    aChannel({ type: "dark_store", tracksStock: true, location: nextPlace(), ...fields }),
  );
  assert.equal(made.status, 201, made.text);
  const { id } = made.body;
  const slots = await call("PUT", `/v1/channels/${id}/capacity`, { slots: [slot] });
  assert.equal(slots.status, 200, slots.text);
  if (Object.keys(stock).length > 0) {
    const items = Object.entries(stock).map(([sku, quantity]) => ({ sku, quantity }));
    const put = await call("PUT", `/v1/channels/${id}/stock`, { items });
    assert.equal(put.status, 200, put.text);
  }
  return made.body;
}

type Basket = Record<string, number>;
const itemsOf = (basket: Basket) =>
  Object.entries(basket).map(([sku, quantity]) => ({ sku, quantity, unitPriceMinor: 100 }));

function place(store: Channel, basket: Basket, through: Call = call) {
  const window = { start: iso(Date.now() + 2 * hourMs), end: iso(Date.now() + 4 * hourMs) };
  const order = anOrder({ items: itemsOf(basket), delivery: { location: store.location, window } });
  return through<OrderView>("POST", "/v1/orders", order);
}

/** `quantity` and `reserved` of each SKU. */
async function shelf(store: Channel): Promise<Record<string, string>> {
  const { body, status, text } = await call<{ items: StockItem[] }>("GET", `/v1/channels/${store.id}/stock`);
  assert.equal(status, 200, text);
  return Object.fromEntries(
    body.items.map(({ sku, quantity, reserved }) => [sku, `${quantity}-${reserved}`]),
  );
}

async function report(store: Store, { id, legs: [leg] }: OrderView, kind: string): Promise<void> {
  const attemptKey = `${id}.${leg!.leg}.${leg!.attempt}`;
  const at = new Date();
  const body = JSON.stringify({ callbackId: `${id}-${kind}`, attemptKey, kind, at: at.toISOString() });
  const answer = await fetch(`${platform.url}/v1/channels/${store.id}/callbacks`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "webhook-id": `${id}-${kind}`,
      "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
      "webhook-signature": new Webhook(store.callbackSecret).sign(`${id}-${kind}`, at, body),
    },
    body,
  });
  assert.equal(answer.status, 200, await answer.text());
}

test("an order takes of the stock with its units; cancelled it gives it back, on its way it has used it", async () => {
  const store = await makeStore({ apple: 5, bread: 5, milk: 5 });
  const first = await place(store, { apple: 2, bread: 1 });
  assert.equal(first.status, 201, first.text);
  const second = await place(store, { apple: 3 });
  assert.equal(second.status, 201, second.text);
  assert.deepEqual(await shelf(store), { apple: "5-5", bread: "5-1", milk: "5-0" });
  assert.equal((await call("POST", `/v1/orders/${first.body.id}/cancel`)).status, 200);
  assert.deepEqual(await shelf(store), { apple: "5-3", bread: "5-0", milk: "5-0" });
  await report(store, second.body, "preparing");
  assert.deepEqual(await shelf(store), { apple: "5-3", bread: "5-0", milk: "5-0" });
  await report(store, second.body, "dispatched");
  assert.deepEqual(await shelf(store), { apple: "2-0", bread: "5-0", milk: "5-0" });
  await report(store, second.body, "delivered");
  assert.deepEqual(await shelf(store), { apple: "2-0", bread: "5-0", milk: "5-0" });
});

test("a SKU in several lines of an order counts as one", async () => {
  const store = await makeStore({ apple: 3 });
  const twice = (quantity: number) => ({
    items: [...itemsOf({ apple: quantity }), ...itemsOf({ apple: quantity })],
    delivery: {
      location: store.location,
      window: { start: iso(Date.now() + 2 * hourMs), end: iso(Date.now() + 4 * hourMs) },
    },
  });
  assert.equal((await call("POST", "/v1/orders", anOrder(twice(2)))).status, 202);
  assert.equal((await call("POST", "/v1/orders", anOrder(twice(1)))).status, 201);
  assert.deepEqual(await shelf(store), { apple: "3-2" });
});

test("what no channel carries fails at once; what is out of stock waits, and is taken once it is there", async () => {
  const store = await makeStore({ apple: 1 });
  const never = await place(store, { caviar: 1 });
  assert.equal(never.status, 409, never.text);
  assert.match(never.text, /none carries all of its items/);
  const waiting = await place(store, { apple: 2 });
  assert.equal(waiting.status, 202, waiting.text);
  const { body } = await call<{ decisions: DecisionView[] }>("GET", `/v1/orders/${waiting.body.id}/decision`);
  assert.equal(body.decisions[0]?.excluded.find(({ reason }) => reason === "stock")?.channels, 1);
  await call("PUT", `/v1/channels/${store.id}/stock`, { items: [{ sku: "apple", quantity: 2 }] });
  const stream = await fetch(`${platform.url}/v1/orders/${waiting.body.id}/stream`, {
    headers: { authorization: `Bearer ${platform.apiKey}` },
  });
  for await (const chunk of stream.body!) if (Buffer.from(chunk).includes('"confirmed"')) break;
  assert.deepEqual(await shelf(store), { apple: "2-2" });
});

test("the safety stock is not sold", async () => {
  const store = await makeStore({});
  await call("PUT", `/v1/channels/${store.id}/stock`, { items: [{ sku: "apple", quantity: 3, safety: 2 }] });
  assert.equal((await place(store, { apple: 2 })).status, 202);
  assert.equal((await place(store, { apple: 1 })).status, 201);
});

test("another channel takes what one has not", async () => {
  const location = nextPlace();
  await makeStore({ apple: 1 }, { location, costModel: { ...aChannel().costModel, baseMinor: 0 } });
  const other = await makeStore({ apple: 9 }, { location });
  const { body, status } = await place(other, { apple: 2 });
  assert.deepEqual([status, body.channel?.id], [201, other.id]);
});

test("of concurrent orders for the last units, through two processes, exactly as many are confirmed", async () => {
  const store = await makeStore({ apple: 3, bread: 100 });
  const second = await startPlatform({ databaseUrl: platform.databaseUrl, env: { ANSWER_WITHIN_MS: "300" } });
  const through = [call, clientOf(second.url, platform.apiKey)];
  const placed = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      place(store, { [index % 3 === 0 ? "bread" : "apple"]: 1 }, through[index % 2]),
    ),
  );
  const confirmed = placed.filter(({ status }) => status === 201).map(({ body }) => body.items[0]!.sku);
  assert.deepEqual(
    ["apple", "bread"].map((sku) => confirmed.filter((one) => one === sku).length),
    [3, 14],
  );
  assert.deepEqual(await shelf(store), { apple: "3-3", bread: "100-14" });
  await second.stop();
});

test("a process that starts knows the stock that is there", async () => {
  const store = await makeStore({ apple: 1 });
  const later = await startPlatform({ databaseUrl: platform.databaseUrl });
  const through = clientOf(later.url, platform.apiKey);
  assert.equal((await place(store, { apple: 1 }, through)).status, 201);
  await later.stop();
});

test("a changed order takes and gives back the difference, and stays as it was where there is not enough", async () => {
  const store = await makeStore({ apple: 4, bread: 4 });
  const { body: order } = await place(store, { apple: 3 });
  const change = (basket: Basket) =>
    call<OrderView>("PATCH", `/v1/orders/${order.id}`, { items: itemsOf(basket) });
  assert.equal((await change({ apple: 4 })).status, 200);
  assert.deepEqual(await shelf(store), { apple: "4-4", bread: "4-0" });
  const more = await change({ apple: 5 });
  assert.equal(more.body.code, "change_refused", more.text);
  assert.equal((await change({ apple: 1, bread: 3 })).status, 200, "as many units, of others");
  assert.deepEqual(await shelf(store), { apple: "4-1", bread: "4-3" });
  assert.equal((await change({ bread: 4 })).status, 200);
  assert.deepEqual(await shelf(store), { apple: "4-0", bread: "4-4" });
  await report(store, order, "delivered");
  assert.deepEqual(await shelf(store), { apple: "4-0", bread: "0-0" });
});

test("an order that moves gives its stock back where it was", async () => {
  const location = nextPlace();
  const from = await makeStore({ apple: 2 }, { location });
  const { body: order } = await place(from, { apple: 2 });
  const to = await makeStore({ apple: 9 }, { location });
  const moved = await call<OrderView>("PATCH", `/v1/orders/${order.id}`, { items: itemsOf({ apple: 5 }) });
  assert.equal(moved.body.channel?.id, to.id, moved.text);
  assert.deepEqual([await shelf(from), await shelf(to)], [{ apple: "2-0" }, { apple: "9-5" }]);
  const back = await call<OrderView>("POST", `/v1/orders/${order.id}/reroute`, { reason: "a broken fridge" });
  assert.equal(back.body.code, "no_other_channel", back.text);
});

test("adjustments count once, however often they are sent", async () => {
  const store = await makeStore({ apple: 10 });
  const path = `/v1/channels/${store.id}/stock`;
  const adjust = (by: number, key?: string) =>
    call("PUT", path, { items: [{ sku: "apple", adjust: by }] }, key ? { "idempotency-key": key } : {});
  assert.equal((await adjust(-3)).status, 400, "without a key");
  const sent = await Promise.all(["a", "a", "a", "b"].map((key) => adjust(-3, key)));
  assert.deepEqual(
    sent.map(({ status }) => status),
    [200, 200, 200, 200],
  );
  assert.deepEqual(await shelf(store), { apple: "4-0" });
  assert.equal((await adjust(-2, "a")).body.code, "idempotency_key_reused");
  const less = await adjust(-5, "c");
  assert.equal(less.body.code, "stock_refused", less.text);
  assert.match(less.body.errors?.[0]?.message ?? "", /would be -1/);
  assert.equal((await adjust(-4, "c")).status, 200, "what was refused has used no key");
});

test("less than is reserved is refused whole, or keeps what is reserved and sells no more", async () => {
  const store = await makeStore({ apple: 5 });
  const { body: order } = await place(store, { apple: 4 });
  const path = `/v1/channels/${store.id}/stock`;
  const items = [
    { sku: "bread", quantity: 7 },
    { sku: "apple", quantity: 3 },
  ];
  const refused = await call("PUT", path, { items });
  assert.deepEqual([refused.status, refused.body.errors?.[0]?.pointer], [409, "/items/1"]);
  assert.deepEqual(await shelf(store), { apple: "5-4" });
  assert.equal((await call("PUT", `${path}?whenReserved=keep`, { items })).status, 200);
  assert.deepEqual(await shelf(store), { apple: "3-4", bread: "7-0" });
  assert.equal((await place(store, { apple: 1 })).status, 202);
  await report(store, order, "dispatched");
  assert.deepEqual(await shelf(store), { apple: "0-0", bread: "7-0" });
});

test("a table sets many SKUs at once; what is wrong in it is said by line", async () => {
  const store = await makeStore({});
  const path = `/v1/channels/${store.id}/stock`;
  const csv = { "content-type": "text/csv" };
  const rows = Array.from(
    { length: 1_500 },
    (_, index) => `sku-${String(index).padStart(4, "0")},${index},1`,
  );
  const put = await call("PUT", path, `\ufeffsku,quantity,safety\r\n${rows.join("\r\n")}\r\n`, csv);
  assert.equal(put.status, 200, put.text);
  const seen: string[] = [];
  for (let cursor = ""; ; ) {
    const page = await call<{ items: StockItem[]; nextCursor: string | null }>(
      "GET",
      `${path}?limit=500${cursor && `&cursor=${cursor}`}`,
    );
    seen.push(...page.body.items.map(({ sku, quantity, safety }) => `${sku},${quantity},${safety}`));
    if (page.body.nextCursor === null) break;
    cursor = page.body.nextCursor;
  }
  assert.deepEqual(seen, rows);
  const wrong = async (text: string) => {
    const { status, body } = await call("PUT", path, text, csv);
    assert.equal(status, 400, text);
    return body.errors?.map(({ message }) => message).join("; ") ?? body.detail ?? "";
  };
  assert.match(
    await wrong("sku,quantity\na,1\n\nb,many"),
    /line 4: quantity must be a whole number, not many/,
  );
  assert.match(await wrong("quantity\n1"), /line 1: the column sku is missing/);
  assert.match(await wrong("sku,quantity,colour\na,1,red"), /line 1: there is no column colour/);
  assert.match(await wrong('sku,quantity\n"a,1'), /is no CSV/);
  assert.match(await wrong("sku,quantity\na,1,2"), /is no CSV/);
  assert.match(await wrong(""), /line 1: the column sku is missing/);
  assert.equal((await call("POST", "/v1/orders", "a,b", csv)).body.code, "media_type_unsupported");
});

test("bad requests are refused, by field", async () => {
  const store = await makeStore({ apple: 1 });
  const path = `/v1/channels/${store.id}/stock`;
  const put = (items: unknown, on = path) => call("PUT", on, { items });
  for (const items of [
    [],
    [{ sku: "a" }],
    [{ sku: "a", quantity: 1, adjust: 1 }],
    [{ sku: "a", quantity: -1 }],
    [{ sku: "a", quantity: 1.5 }],
    [{ sku: "", quantity: 1 }],
    [{ sku: "a\u0000", quantity: 1 }],
    Array.from({ length: 5_001 }, (_, index) => ({ sku: `s${index}`, quantity: 1 })),
  ])
    assert.equal((await put(items)).body.code, "validation_failed", JSON.stringify(items).slice(0, 60));
  const twice = await put([
    { sku: "a", quantity: 1 },
    { sku: "a", quantity: 2 },
  ]);
  assert.deepEqual([twice.status, twice.body.errors?.[0]?.pointer], [409, "/items/1/sku"]);
  const nowhere = "/v1/channels/chn_01kq5g3v9te3h8m8h8m8h8m8h8/stock";
  assert.equal((await put([{ sku: "a", quantity: 1 }], nowhere)).body.code, "channel_not_found");
  assert.equal((await call("GET", nowhere)).body.code, "channel_not_found");
  for (const cursor of ["x", "W10", Buffer.from('["chn_1","a"]').toString("base64url")])
    assert.equal((await call("GET", `${path}?cursor=${cursor}`)).body.code, "cursor_invalid");
});

test("a channel that begins or ceases to track its stock keeps its books right", async () => {
  const store = await makeStore({ apple: 5 }, { tracksStock: false });
  const untracked = await place(store, { apple: 9 });
  assert.equal(untracked.status, 201, untracked.text);
  const track = (tracksStock: boolean) => call("PATCH", `/v1/channels/${store.id}`, { tracksStock });
  await track(true);
  const tracked = await place(store, { apple: 4 });
  assert.deepEqual(await shelf(store), { apple: "5-4" });
  await call("PATCH", `/v1/orders/${untracked.body.id}`, { items: itemsOf({ apple: 1 }) });
  assert.deepEqual(await shelf(store), { apple: "5-5" });
  await track(false);
  for (const { body } of [untracked, tracked]) await call("POST", `/v1/orders/${body.id}/cancel`);
  assert.deepEqual(await shelf(store), { apple: "5-0" });
});

test("after all of this every invariant holds", async () => {
  const { findings } = await runCheck({ database: platform.database, out: () => undefined });
  assert.deepEqual(
    findings.flatMap(({ name, violations }) => violations.map(({ what }) => `${name}: ${what}`)),
    [],
  );
  assert.ok(findings.some(({ name, checked }) => name.includes("SKU") && checked > 0));
});
