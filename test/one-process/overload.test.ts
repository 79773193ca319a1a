import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel } from "../../src/capacity/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 100_000 };

let platform: TestPlatform;
let admin: Call;

// Batches of four: intake is slow enough for a queue to form, on any machine.
before(async () => {
  platform = await startPlatform({
    simulator: true,
    env: { MAX_BATCH_ORDERS: "4", ANSWER_WITHIN_MS: "20000", MAX_QUEUED_ORDERS: "4000" },
  });
  admin = clientOf(platform.url, platform.apiKey);
  await addChannel(aChannel());
});
after(() => platform.stop());

async function addChannel(channel: object): Promise<Channel> {
  const { body, status, text } = await admin<Channel>("POST", "/v1/channels", channel);
  assert.equal(status, 201, text);
  await platform.introduce(body.id);
  const put = await admin("PUT", `/v1/channels/${body.id}/capacity`, { slots: [slot] });
  assert.equal(put.status, 200, put.text);
  return body;
}

const newClient = async (name: string): Promise<Call> =>
  clientOf(platform.url, (await platform.app.keys.create(name, ["orders:read", "orders:write"])).key);

interface Timed {
  status: number;
  ms: number;
}

async function timed(call: Call, priority: string): Promise<Timed> {
  const startMs = performance.now();
  const { status } = await call("POST", "/v1/orders", anOrder({ priority }));
  return { status, ms: performance.now() - startMs };
}

interface Flood {
  results: { status: number; problem?: { code: string } }[];
  ms: number;
}

async function flood(call: Call, count: number, change: object = {}): Promise<Flood> {
  const startMs = performance.now();
  const orders = Array.from({ length: count }, () => anOrder({ ...change }));
  const { body, status, text } = await call<Pick<Flood, "results">>("POST", "/v1/orders/batch", { orders });
  assert.equal(status, 200, text);
  return { results: body.results, ms: performance.now() - startMs };
}

const confirmed = ({ results }: Flood): number => results.filter(({ status }) => status === 201).length;

test("a flood takes its own share: a quiet client is served as if it were not there, the flooder is refused early", async () => {
  const [loud, quiet] = [await newClient("loud"), await newClient("quiet")];
  await flood(loud, 300); // so that the rate is known
  let over = false;
  const flooding = flood(loud, 1_500).finally(() => {
    over = true;
  });
  const refused: Awaited<ReturnType<Call>>[] = [];
  const served: Timed[] = [];
  while (!over) {
    served.push(await timed(quiet, "standard"));
    const answer = await loud("POST", "/v1/orders", anOrder({ priority: "bulk" }));
    if (answer.status !== 201) refused.push(answer);
  }
  const { ms, results } = await flooding;
  assert.equal(confirmed({ ms, results }), 1_500, "what was taken is confirmed");
  assert.ok(served.every(({ status }) => status === 201));
  const worst = Math.max(...served.map((each) => each.ms));
  assert.ok(worst < ms / 3, `the quiet client waited ${worst} ms at worst, the flood took ${ms} ms`);
  for (const { status, headers, body } of refused) {
    assert.equal(status, 503);
    assert.equal(body.code, "overloaded");
    assert.ok(Number(headers.get("retry-after")) >= 1);
  }
  assert.equal((await timed(loud, "bulk")).status, 201, "when it is over, everything is as before");
});

test("express goes before bulk, also within one client", async () => {
  const both = await newClient("both");
  const bulk = flood(both, 1_000, { priority: "bulk" });
  const express: Timed[] = [];
  for (let count = 0; count < 5; count += 1) express.push(await timed(both, "express"));
  const { ms } = await bulk;
  assert.ok(express.every(({ status }) => status === 201));
  const worst = Math.max(...express.map((each) => each.ms));
  assert.ok(worst < ms / 3, `express took ${worst} ms at worst, the bulk orders ${ms} ms`);
});

test("the queue is bounded: what is beyond it is refused one by one, the rest is confirmed", async () => {
  const huge = await newClient("huge");
  const whole = await flood(huge, 4_999);
  const refused = whole.results.filter(({ status }) => status === 503);
  assert.equal(confirmed(whole) + refused.length, 4_999);
  assert.ok(confirmed(whole) >= 4_000);
  assert.ok(refused.every(({ problem }) => problem?.code === "overloaded"));
});

test("a partner that is slow holds up its own orders only: they are stored, 202, and confirmed later", async () => {
  const call = await newClient("patient");
  const partner = await addChannel(
    aChannel({
      type: "external_partner",
      name: "Slow Bistro",
      endpoint: `${platform.simulatorUrl}/channels/soon`,
      bookTimeoutMs: 10_000,
    }),
  );
  await admin("PATCH", `/v1/channels/${partner.id}`, {
    endpoint: `${platform.simulatorUrl}/channels/${partner.id}`,
  });
  const tell = await fetch(`${platform.simulatorUrl}/control/channels/${partner.id}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ behaviour: { latencyMs: { min: 4_000, max: 4_000 }, callbacks: "off" } }),
  });
  assert.equal(tell.status, 200);
  const slow = (headers: Record<string, string>) =>
    call<OrderView>(
      "POST",
      "/v1/orders",
      anOrder({ routing: { channelTypes: ["external_partner"] } }),
      headers,
    );
  const stored = await Promise.all(Array.from({ length: 20 }, () => slow({ prefer: "respond-async" })));
  for (const { status, headers } of stored) {
    assert.equal(status, 202);
    assert.equal(headers.get("retry-after"), "1");
  }
  const others = await flood(call, 20, { routing: { channelTypes: ["internal_kitchen"] } });
  assert.equal(confirmed(others), 20, "the kitchen's orders are confirmed meanwhile");
  const statusOf = async ({ body }: { body: OrderView }) =>
    (await call<OrderView>("GET", `/v1/orders/${body.id}`)).body.status;
  assert.ok(
    (await Promise.all(stored.map(statusOf))).includes("reserved"),
    "the partner has not answered yet",
  );
  for (const order of stored)
    while ((await statusOf(order)) !== "confirmed") await new Promise((resolve) => setTimeout(resolve, 50));
});
