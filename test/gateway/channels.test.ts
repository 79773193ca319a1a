import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";
import type { Channel } from "../../src/capacity/api.ts";
import { aChannel, anOrder, type Call, clientOf } from "./client.ts";
import { keyOf, startFakeWorld } from "./world.ts";

type Created = Channel & { callbackSecret: string };

let world: Awaited<ReturnType<typeof startFakeWorld>>;
let call: Call;

before(async () => {
  world = await startFakeWorld();
  call = clientOf(world.url, keyOf.channels!);
});
after(() => world.stop());

const create = (change: object = {}) => call<Created>("POST", "/v1/channels", aChannel({ ...change }));

test("a channel is made with defaults for what was left out, and its secret is shown once", async () => {
  const { status, headers, body } = await create();
  assert.equal(status, 201);
  assert.equal(headers.get("location"), `/v1/channels/${body.id}`);
  assert.match(body.callbackSecret, /^whsec_/);
  const { callbackSecret, ...channel } = body;
  assert.deepEqual(
    [channel.quality, channel.preparationMinutes, channel.bookTimeoutMs, channel.maxConcurrentCalls],
    [0.8, 15, 2_000, 16],
  );
  const read = await call<Channel>("GET", `/v1/channels/${body.id}`);
  assert.deepEqual(read.body, channel);
  assert.equal(read.text.includes(callbackSecret), false);
  assert.equal(read.headers.get("etag"), '"1"');
});

test("partners and networks are made with their addresses", async () => {
  const partner = await create({ type: "external_partner", endpoint: "http://127.0.0.1:9/p" });
  assert.equal(partner.body.endpoint, "http://127.0.0.1:9/p");
  const partners = [{ id: "a", name: "A", endpoint: "https://a.example/p" }];
  const network = await create({ type: "partner_network", partners });
  assert.deepEqual(network.body.partners, partners);
  const twice = await create({ type: "partner_network", partners: [...partners, ...partners] });
  assert.equal(twice.body.errors?.[0]?.pointer, "/partners");
});

test("a change is guarded by If-Match when it is given", async () => {
  const { id } = (await create()).body;
  const change = (patch: object, tag?: string) =>
    call<Channel>("PATCH", `/v1/channels/${id}`, patch, tag === undefined ? {} : { "if-match": tag });
  assert.equal((await change({ quality: 0.5 })).body.quality, 0.5);
  assert.equal((await change({ quality: 0.6 }, '"2"')).headers.get("etag"), '"3"');
  for (const tag of ['"2"', "3", '"x"']) {
    const { status, body } = await change({ quality: 0.7 }, tag);
    assert.equal(status, 412);
    assert.equal(body.code, "version_conflict");
  }
  assert.equal((await change({ quality: 0.7 }, "*")).status, 200);
  assert.equal((await change({})).body.code, "validation_failed");
  assert.equal((await change({ type: "dark_store" })).body.errors?.[0]?.pointer, "/type");
  assert.equal((await change({ endpoint: "http://127.0.0.1:1" })).body.errors?.[0]?.pointer, "/endpoint");
});

test("pause and resume", async () => {
  const { id } = (await create()).body;
  assert.equal((await call<Channel>("POST", `/v1/channels/${id}/pause`)).body.status, "paused");
  assert.equal((await call<Channel>("POST", `/v1/channels/${id}/resume`)).body.status, "active");
});

test("capacity is set and read; its windows must be the right way round", async () => {
  const { id } = (await create()).body;
  const slot = { start: "2030-01-01T12:00:00+04:00", end: "2030-01-01T10:00:00Z", capacity: 40 };
  const put = await call<{ slots: { start: string }[] }>("PUT", `/v1/channels/${id}/capacity`, {
    slots: [slot],
  });
  assert.equal(put.body.slots[0]!.start, "2030-01-01T08:00:00.000Z");
  const read = await call<{ slots: object[] }>(
    "GET",
    `/v1/channels/${id}/capacity?from=2030-01-01T00:00:00Z`,
  );
  assert.deepEqual(read.body.slots, put.body.slots);
  const reversed = { slots: [slot, { ...slot, end: slot.start }] };
  const refused = await call("PUT", `/v1/channels/${id}/capacity`, reversed);
  assert.equal(refused.body.code, "window_reversed");
  assert.equal(refused.body.errors?.[0]?.pointer, "/slots/1/end");
  const less = await call("PUT", `/v1/channels/${id}/capacity`, { slots: [{ ...slot, capacity: 0 }] });
  assert.equal(less.status, 409);
  assert.equal(less.body.code, "capacity_below_reserved");
  const wide = `/v1/channels/${id}/capacity?from=2030-01-01T00:00:00Z&to=2031-01-01T00:00:00Z`;
  assert.equal((await call("GET", wide)).body.code, "validation_failed");
});

test("the list of channels has cursors", async () => {
  const first = await call<{ items: Channel[]; nextCursor: string }>("GET", "/v1/channels?limit=1");
  const second = await call<{ items: Channel[] }>(
    "GET",
    `/v1/channels?limit=1&cursor=${first.body.nextCursor}`,
  );
  assert.ok(first.body.items[0]!.id < second.body.items[0]!.id);
  assert.equal((await call("GET", "/v1/channels?cursor=zzz")).body.code, "cursor_invalid");
});

async function callback(
  { id, callbackSecret }: Created,
  report: object,
  change: { headers?: Record<string, string>; at?: Date; sent?: object } = {},
) {
  const text = JSON.stringify(report);
  const at = change.at ?? new Date();
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(callbackSecret).sign("msg_1", at, text),
    ...change.headers,
  };
  const anonymous = clientOf(world.url, null);
  const sent = change.sent === undefined ? text : JSON.stringify(change.sent);
  return anonymous("POST", `/v1/channels/${id}/callbacks`, sent, headers);
}

test("a signed callback is taken without an API key and told what was done with it", async () => {
  const channel = (await create()).body;
  const order = await clientOf(world.url, keyOf.write!)<{ id: string }>("POST", "/v1/orders", anOrder());
  const report = {
    callbackId: "c-1",
    attemptKey: `${order.body.id}.1.1`,
    kind: "preparing",
    at: "2030-01-01T08:00:00Z",
  };
  const { status, body } = await callback(channel, report);
  assert.equal(status, 200);
  assert.deepEqual(body, { result: "applied", detail: "done" });
  const unknown = await callback(channel, { ...report, attemptKey: "ord_01kq5g3v9te3h8m8h8m8h8m8h8.1.1" });
  assert.equal(unknown.status, 404);
  assert.equal(unknown.body.code, "attempt_unknown");
  assert.equal((await callback(channel, { ...report, kind: "eaten" })).body.errors?.[0]?.pointer, "/kind");
});

test("a callback with a bad, missing, old or another channel's signature is 401, whatever is in it", async () => {
  const channel = (await create()).body;
  const other = (await create()).body;
  const report = { callbackId: "c-1", attemptKey: "x", kind: "preparing", at: "2030-01-01T08:00:00Z" };
  const refused = [
    await callback(channel, report, { headers: { "webhook-signature": "v1,AAAA" } }),
    await callback(channel, report, { headers: { "webhook-signature": "" } }),
    await callback(channel, report, { headers: { "webhook-timestamp": "soon" } }),
    await callback(channel, report, { at: new Date(Date.now() - 3_600_000) }),
    await callback(channel, report, { sent: { ...report, kind: "delivered" } }),
    await callback({ ...channel, callbackSecret: other.callbackSecret }, report),
    await clientOf(world.url, keyOf.all!)("POST", `/v1/channels/${channel.id}/callbacks`, { nonsense: 1 }),
  ];
  for (const { status, body } of refused) {
    assert.equal(body.code, "signature_invalid");
    assert.equal(status, 401);
  }
  const nowhere = await callback({ ...channel, id: "chn_01kq5g3v9te3h8m8h8m8h8m8h8" }, report);
  assert.equal(nowhere.body.code, "channel_not_found");
});
