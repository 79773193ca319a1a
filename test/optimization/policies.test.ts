import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { PolicyView } from "../../src/optimization/api.ts";
import type { OrderDecision } from "../../src/orchestration/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { statement } from "../../src/platform/database.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const weights = { cost: 1, time: 1, quality: 0.5, capacity: 0.25 };
const onlyStores = {
  weights,
  rules: [{ name: "stores only", channels: { types: ["dark_store"] }, effect: "only" }],
};

let platform: TestPlatform;
let admin: Call;
let calId: string;
let cal: Call;
let kitchenId: string;
let storeId: string;

before(async () => {
  platform = await startPlatform();
  admin = clientOf(platform.url, platform.apiKey);
  const { key, clientId } = await platform.app.keys.create("cal", ["orders:read", "orders:write"]);
  [cal, calId] = [clientOf(platform.url, key), clientId];
  kitchenId = await addChannel();
  storeId = await addChannel({
    type: "dark_store",
    name: "Far store",
    costModel: { currency: "AED", baseMinor: 2_000, perKmMinor: 50, perUnitMinor: 10 },
  });
});
after(() => platform.stop());

async function addChannel(change: Record<string, unknown> = {}): Promise<string> {
  const { body } = await admin<{ id: string }>("POST", "/v1/channels", aChannel(change));
  const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 10_000 };
  assert.equal((await admin("PUT", `/v1/channels/${body.id}/capacity`, { slots: [slot] })).status, 200);
  return body.id;
}

const put = (id: string, body: unknown, headers: Record<string, string> = {}) =>
  admin<PolicyView>("PUT", `/v1/routing-policies/${id}`, body, headers);

async function place(change: Record<string, unknown> = {}, as: Call = cal): Promise<OrderView> {
  const { status, text, body } = await as<OrderView>("POST", "/v1/orders", anOrder(change));
  assert.equal(status, 201, text);
  return body;
}

async function decisionOf(order: OrderView): Promise<OrderDecision> {
  const { body } = await admin<{ decisions: OrderDecision[] }>("GET", `/v1/orders/${order.id}/decision`);
  return body.decisions[0]!;
}

test("before anybody wrote a policy there is default@1, as it always was", async () => {
  const { body } = await admin<{ items: PolicyView[] }>("GET", "/v1/routing-policies");
  assert.deepEqual(
    body.items.map(({ id, version }) => `${id}@${version}`),
    ["default@1"],
  );
  assert.deepEqual(body.items[0]!.weights, weights);
  assert.equal((await decisionOf(await place())).policy, "default@1");
});

test("a client's policy decides where its orders go from the next one on, and each order remembers which version it was", async () => {
  const made = await put("stores", { ...onlyStores, clients: [calId] });
  assert.equal(made.status, 200, made.text);
  assert.equal(made.headers.get("etag"), '"1"');
  const order = await place();
  assert.equal(order.channel?.id, storeId);
  const decision = await decisionOf(order);
  assert.equal(decision.policy, "stores@1");
  assert.deepEqual(decision.excluded, [
    {
      reason: "rule:stores only",
      channels: 1,
      text: 'is excluded by the rule "stores only" of the routing policy',
    },
  ]);
  assert.equal(decision.nearestExcluded[0]?.name, "Marina Kitchen");
  assert.equal((await place({}, admin)).channel?.id, kitchenId, "others' orders go by the default");
  assert.equal((await put("stores", { weights, clients: [calId] })).body.version, 2);
  const next = await place();
  assert.deepEqual([next.channel?.id, (await decisionOf(next)).policy], [kitchenId, "stores@2"]);
});

test("every version stays to be read, and the same again makes no new one", async () => {
  assert.equal((await put("kept", onlyStores)).body.version, 1);
  assert.equal((await put("kept", onlyStores)).body.version, 1);
  assert.equal((await put("kept", { weights })).body.version, 2);
  const { body } = await admin<{ items: PolicyView[] }>("GET", "/v1/routing-policies/kept/versions");
  assert.deepEqual(
    body.items.map(({ version }) => version),
    [2, 1],
  );
  const old = await admin<PolicyView>("GET", "/v1/routing-policies/kept?version=1");
  assert.deepEqual(old.body.rules, onlyStores.rules);
  assert.equal((await admin("GET", "/v1/routing-policies/kept?version=3")).body.code, "policy_not_found");
  assert.equal((await admin("GET", "/v1/routing-policies/never/versions")).body.code, "policy_not_found");
});

test("a change is only made from the version that it says", async () => {
  await put("guarded", { weights });
  const late = await put("guarded", onlyStores, { "if-match": '"7"' });
  assert.deepEqual([late.status, late.body.code], [412, "version_conflict"]);
  assert.equal((await put("guarded", onlyStores, { "if-match": '"1"' })).body.version, 2);
  const answers = await Promise.all(
    [1, 2, 3, 4].map((cost) => put("guarded", { weights: { ...weights, cost } }, { "if-match": '"2"' })),
  );
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
});

test("the audit trail has who changed a policy to what", async () => {
  await put("audited", { weights, description: "for the audit" });
  const rows = await platform.database.run<{ actor: string; entries: string }>(
    statement("test_policy_journal", "select actor, entries from journal where order_id = 'policy:audited'"),
  );
  assert.equal(rows.length, 1);
  assert.match(rows[0]!.actor, /^operator:key_/);
  assert.match(rows[0]!.entries, /for the audit/);
});

test("bad policies are refused with the field that is wrong", async () => {
  const rule = { name: "r", channels: { types: ["dark_store"] }, effect: "only" };
  const zoned = (zone: unknown) => ({ weights, rules: [{ ...rule, when: { zone } }] });
  const bad: [string, unknown, string][] = [
    ["no weights", {}, "/weights"],
    ["a weight below 0", { weights: { ...weights, cost: -1 } }, "/weights/cost"],
    ["NaN, which JSON writes as null", { weights: { ...weights, cost: Number.NaN } }, "/weights/cost"],
    ["all weights 0", { weights: { cost: 0, time: 0, quality: 0, capacity: 0 } }, "/weights"],
    ["a type that there is not", { weights, limits: { channelTypes: ["kiosk"] } }, "/limits/channelTypes/0"],
    ["an unknown field", { weights, limit: {} }, "/limit"],
    [
      "limits that contradict rules",
      { weights, limits: { channelTypes: ["internal_kitchen"] }, rules: [rule] },
      "/rules/0",
    ],
    ["prefer without how much", { weights, rules: [{ name: "r", effect: "prefer" }] }, "/rules/0/by"],
    ["a circle without a radius", zoned({ centre: { lat: 1, lng: 1 } }), "/rules/0/when/zone/radiusMeters"],
    [
      "a polygon of two corners",
      zoned({
        polygon: [
          { lat: 1, lng: 1 },
          { lat: 2, lng: 1 },
        ],
      }),
      "/rules/0/when/zone",
    ],
    ["a client that there is not", { weights, clients: ["cli_nobody"] }, "/clients"],
    [
      "more than all orders",
      { weights, experiment: { of: "default", percent: 101, by: "order" } },
      "/experiment/percent",
    ],
  ];
  for (const [name, body, pointer] of bad) {
    const { status, body: problem, text } = await put("bad", body);
    assert.equal(status, 400, `${name}: ${text}`);
    assert.ok(
      problem.errors?.some((error) => error.pointer.startsWith(pointer)),
      `${name}: ${text}`,
    );
  }
  assert.equal((await put("Bad%20Name", { weights })).body.code, "validation_failed");
  assert.equal((await admin("GET", "/v1/routing-policies/bad")).status, 404);
  const taken = await put("thief", { weights, clients: [calId] });
  assert.deepEqual([taken.status, taken.body.code], [409, "policy_conflict"]);
  assert.equal((await cal("GET", "/v1/routing-policies")).status, 403);
});

test("policies are there after a restart, and another process sees a change", async () => {
  const second = await startPlatform({ databaseUrl: platform.databaseUrl });
  try {
    const there = clientOf(second.url, second.apiKey);
    const { body } = await there<PolicyView>("GET", "/v1/routing-policies/stores");
    assert.equal(body.version, 2);
    const key = { clientId: calId, customerId: "cus_1", orderId: "ord_1" };
    assert.equal(second.app.policies.policyFor(key).id, "stores@2");
    await put("stores", { ...onlyStores, clients: [calId] });
    while (second.app.policies.policyFor(key).id !== "stores@3") {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } finally {
    await second.stop();
  }
});
