import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { statement } from "../../src/platform/database.ts";
import type { DeadLetter, Ping, Webhook as View } from "../../src/webhooks/api.ts";
import { type Answer, aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";
import { startReceiver } from "./receiver.ts";
import { eventually } from "./world.ts";

type Made = View & { secret: string };
interface List<T> {
  items: T[];
  nextCursor: string | null;
}

let platform: TestPlatform;
let admin: Call;
let mine: Call;
let others: Call;
before(async () => {
  platform = await startPlatform({ env: { WEBHOOK_TARGETS: "any" } });
  admin = clientOf(platform.url, platform.apiKey);
  const scopes = ["orders:read", "orders:write", "webhooks:write"] as const;
  mine = clientOf(platform.url, (await platform.app.keys.create("mine", scopes)).key);
  others = clientOf(platform.url, (await platform.app.keys.create("others", scopes)).key);
  const { body } = await admin<{ id: string }>(
    "POST",
    "/v1/channels",
    aChannel({ serviceRadiusMeters: 50_000 }),
  );
  const start = new Date().toISOString();
  const end = new Date(Date.now() + 72 * 3_600_000).toISOString();
  await admin("PUT", `/v1/channels/${body.id}/capacity`, { slots: [{ start, end, capacity: 1_000 }] });
});
after(() => platform.stop());

test("an order that is placed over HTTP comes to its client's webhook, and to an operator's, and to nobody else's", async () => {
  const receivers = await Promise.all([startReceiver(), startReceiver(), startReceiver()]);
  const [own, operators, foreign] = await Promise.all(
    [mine, admin, others].map((call, index) =>
      call<Made>("POST", "/v1/webhooks", { url: receivers[index]!.url }),
    ),
  );
  assert.deepEqual([own!.status, own!.body.everything, operators!.body.everything], [201, false, true]);
  const order = await mine<{ id: string; version: number }>("POST", "/v1/orders", anOrder());
  assert.equal(order.status, 201);
  for (const [index, made] of [own, operators].entries()) {
    const receiver = receivers[index]!;
    const last = () => receiver.taken().at(-1);
    await receiver.until(
      () => last()?.subject === order.body.id && last()?.subjectversion === order.body.version,
    );
    for (const { body, headers } of receiver.got)
      new Webhook(made!.body.secret).verify(body, headers as Record<string, string>);
  }
  assert.equal(receivers[2]!.got.length, 0);
  const seen = await eventually(async () => {
    const { body } = await mine<View>("GET", `/v1/webhooks/${own!.body.id}`);
    return body.delivery.lagEvents === 0 && body;
  });
  assert.ok(!("secret" in seen));
  assert.equal(seen.delivery.successRate, 1);
  assert.equal(seen.delivery.delivered, receivers[0]!.taken().length);
  const metrics = (await admin("GET", "/metrics")).text;
  assert.match(
    metrics,
    new RegExp(`uoop_webhook_events_total{webhook="${own!.body.id}",outcome="delivered"} `),
  );
  for (const [call, made] of [
    [mine, own],
    [admin, operators],
    [others, foreign],
  ] as const)
    assert.equal((await call("DELETE", `/v1/webhooks/${made!.body.id}`)).status, 204);
  for (const each of receivers) await each.close();
});

test("a webhook is its client's own: others see and change nothing of it, an operator all", async () => {
  const { body: made, headers } = await mine<Made>("POST", "/v1/webhooks", { url: "http://127.0.0.1:1/" });
  const path = `/v1/webhooks/${made.id}`;
  for (const [method, at, body] of [
    ["GET", path, undefined],
    ["PATCH", path, { description: "theirs" }],
    ["DELETE", path, undefined],
    ["POST", `${path}/pause`, undefined],
    ["POST", `${path}/ping`, undefined],
    ["POST", `${path}/rotate-secret`, {}],
  ] as const) {
    const answer = await others(method, at, body);
    assert.deepEqual([answer.status, answer.body.code], [404, "webhook_not_found"], `${method} ${at}`);
  }
  assert.equal((await others<List<View>>("GET", "/v1/webhooks")).body.items.length, 0);
  const reader = clientOf(platform.url, (await platform.app.keys.create("mine", ["orders:read"])).key);
  assert.equal((await reader("GET", "/v1/webhooks")).status, 403);

  const etag = headers.get("etag")!;
  const patched = await admin<View>(
    "PATCH",
    path,
    { description: "new", types: ["order.created"] },
    { "if-match": etag },
  );
  assert.deepEqual([patched.body.description, patched.body.types], ["new", ["order.created"]]);
  assert.equal(
    (await mine("PATCH", path, { types: null }, { "if-match": etag })).body.code,
    "version_conflict",
  );
  assert.equal((await mine<View>("PATCH", path, { types: null })).body.types, null);
  const paused = await mine<View>("POST", `${path}/pause`);
  assert.deepEqual([paused.body.status, paused.body.pausedReason], ["paused", "Paused by its owner"]);
  assert.equal((await mine<View>("POST", `${path}/resume`)).body.status, "active");
  assert.equal((await mine("DELETE", path)).status, 204);
  assert.equal((await mine("GET", path)).status, 404);
});

test("webhooks are listed in pages, and a client may have a hundred", async () => {
  const call = clientOf(platform.url, (await platform.app.keys.create("many", ["webhooks:write"])).key);
  const all = await Promise.all(
    Array.from({ length: 103 }, () => call<Made>("POST", "/v1/webhooks", { url: "http://127.0.0.1:1/" })),
  );
  const made = all.filter(({ status }) => status === 201);
  assert.equal(made.length, 100);
  assert.equal(all.find(({ status }) => status !== 201)?.body.code, "webhook_limit_reached");
  const found: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: Answer<List<View>> = await call<List<View>>(
      "GET",
      `/v1/webhooks?limit=30${cursor && `&cursor=${cursor}`}`,
    );
    found.push(...page.body.items.map(({ id }) => id));
    cursor = page.body.nextCursor;
  }
  assert.deepEqual(found, made.map(({ body }) => body.id).sort());
  for (const id of found) await call("DELETE", `/v1/webhooks/${id}`);
});

test("a ping is sent at once, signed, and its answer is told", async () => {
  let status = 204;
  const receiver = await startReceiver(() => status);
  const { body: made } = await mine<Made>("POST", "/v1/webhooks", { url: receiver.url });
  await mine("POST", `/v1/webhooks/${made.id}/pause`);
  const { body } = await mine<Ping>("POST", `/v1/webhooks/${made.id}/ping`);
  assert.deepEqual([body.delivered, body.status, body.reason], [true, 204, null]);
  const [got] = receiver.got;
  const event = new Webhook(made.secret).verify(got!.body, got!.headers as Record<string, string>);
  assert.deepEqual(
    [(event as { type: string }).type, (event as { subject: string }).subject],
    ["ping", made.id],
  );
  status = 302;
  const refused = await mine<Ping>("POST", `/v1/webhooks/${made.id}/ping`);
  assert.deepEqual([refused.body.delivered, refused.body.status], [false, 302]);
  await mine("DELETE", `/v1/webhooks/${made.id}`);
  await receiver.close();
});

test("a dead letter shows what was wrong, only to whose it is, and is sent again when asked, once, and marked", async () => {
  let bad = true;
  const receiver = await startReceiver(() => (bad ? 500 : 200));
  const { body: made } = await mine<Made>("POST", "/v1/webhooks", {
    url: receiver.url,
    types: ["order.created"],
  });
  await mine("POST", `/v1/webhooks/${made.id}/pause`);
  const orders = await Promise.all(
    [1, 2, 3].map(() => mine<{ id: string }>("POST", "/v1/orders", anOrder())),
  );
  // As the deliverer leaves them once it has given up: tested with it in retries.test.ts.
  const bury = `insert into dead_letters (subscriber, client_id, event_id, event_type, subject, reason, event, attempts)
    select $1, $2, $3 || '.1.order.created', 'order.created', $3, 'answered 500', $4::json, 15`;
  for (const { body } of orders) {
    const event = {
      id: `${body.id}.1.order.created`,
      type: "order.created",
      subject: body.id,
      subjectversion: 1,
    };
    await platform.database.run(statement("", bury), [
      made.id,
      made.clientId,
      body.id,
      JSON.stringify(event),
    ]);
  }
  const path = `/v1/dead-letters?subscriber=${made.id}`;
  assert.equal((await others<List<DeadLetter>>("GET", path)).body.items.length, 0);
  const { body: listed } = await mine<List<DeadLetter>>("GET", `${path}&replayed=false&limit=2`);
  assert.deepEqual(
    listed.items.map(({ subject, reason, attempts }) => [subject, reason, attempts]),
    [2, 1].map((index) => [orders[index]!.body.id, "answered 500", 15]),
  );
  const rest = await mine<List<DeadLetter>>(
    "GET",
    `${path}&replayed=false&limit=2&cursor=${listed.nextCursor}`,
  );
  assert.deepEqual(
    [rest.body.items.map(({ subject }) => subject), rest.body.nextCursor],
    [[orders[0]!.body.id], null],
  );
  const [newest] = listed.items;
  assert.equal(
    (await others("POST", `/v1/dead-letters/${newest!.id}/replay`)).body.code,
    "dead_letter_not_found",
  );
  bad = false;
  await mine("POST", `/v1/webhooks/${made.id}/resume`);
  const first = await mine<DeadLetter>("POST", `/v1/dead-letters/${newest!.id}/replay`);
  assert.deepEqual([first.status, first.body.replayedAt !== null], [202, true]);
  const again = await mine<DeadLetter>("POST", `/v1/dead-letters/${newest!.id}/replay`);
  assert.deepEqual(again.body, first.body);
  const all = await mine<{ replayed: number }>("POST", "/v1/dead-letters/replay", { subscriber: made.id });
  assert.deepEqual([all.status, all.body.replayed], [202, 2]);
  // Each once, as far as the webhook can tell: a repeat has the same id.
  const replays = () =>
    new Set(
      receiver
        .taken()
        .filter(({ replay }) => replay)
        .map(({ id }) => id),
    );
  await receiver.until(() => replays().size === 3);
  await eventually(async () => {
    const { body } = await mine<View>("GET", `/v1/webhooks/${made.id}`);
    return body.delivery.pendingEvents === 0 && body.delivery.lagEvents === 0;
  });
  assert.equal(replays().size, 3);
  await mine("DELETE", `/v1/webhooks/${made.id}`);
  assert.equal((await mine<List<DeadLetter>>("GET", path)).body.items.length, 0);
  await receiver.close();
});
