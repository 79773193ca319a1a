import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { compilePolicy, defaultPolicy } from "../../src/capacity/policy.ts";
import { createReplay, type PastOrder } from "../../src/optimization/replay.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import type { PolicyResults, Simulation } from "../../src/orchestration/trials.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { place, room, window } from "../orchestration/world.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

const nowMs = Date.parse(window.start) - 3_600_000;
const weights = { cost: 1, time: 1, quality: 0.5, capacity: 0.25 };

const past = fc.record({
  units: fc.integer({ min: 1, max: 3 }),
  at: fc.option(fc.integer({ min: 0, max: 1 }), { nil: null }),
  policy: fc.constantFrom(
    defaultPolicy,
    compilePolicy("other@1", {
      weights,
      rules: [{ name: "r", effect: "prefer", by: 9, channels: { ids: ["chn_1"] } }],
    }),
  ),
});

test("a replay oversells nothing, counts every order once, and tells all that moved", () => {
  fc.assert(
    fc.property(
      fc.array(past, { maxLength: 15 }),
      fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 2, maxLength: 2 }),
      (list, spare) => {
        const orders = list.map(
          ({ units, at, policy }, index): PastOrder => ({
            id: `ord_${index}`,
            currency: "AED",
            placedMs: nowMs,
            wish: {
              location: place,
              windowStartMs: Date.parse(window.start),
              windowEndMs: Date.parse(window.end),
              vehicle: null,
              units,
              currency: "AED",
              channelTypes: null,
              maxCostMinor: null,
              excluded: [],
              policy,
              facts: { items: [], priority: "standard", metadata: {} },
            },
            got:
              at === null
                ? null
                : {
                    channelId: `chn_${at}`,
                    costMinor: 900,
                    promisedStartMs: Date.parse(window.start),
                    slots: [
                      { slotId: room(`chn_${at}`, {}, { sellable: 0, reserved: 0 }).slots[0]!.id, units },
                    ],
                  },
          }),
        );
        const network = [0, 1].map((index) => {
          const held = list.reduce((sum, one) => sum + (one.at === index ? one.units : 0), 0);
          return room(`chn_${index}`, {}, { sellable: held + spare[index]!, reserved: held });
        });
        const replay = createReplay(network, orders);
        replay.add(orders);
        const { recorded, simulated, movedOrders, moves } = replay.report();
        assert.equal(recorded.served, list.filter(({ at }) => at !== null).length);
        for (const { served, unserved, channels } of [recorded, simulated]) {
          assert.equal(served + unserved, list.length);
          assert.equal(
            channels.reduce((sum, { orders: count }) => sum + count, 0),
            served,
          );
        }
        assert.ok((simulated.fullestSlotPercent ?? 0) <= 100);
        assert.equal(moves.length, movedOrders);
        for (const { from, to } of moves) assert.notEqual(from, to);
      },
    ),
  );
});

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();

let platform: TestPlatform;
let admin: Call;
let cal: Call;
let calId: string;
let kitchenId: string;
let storeId: string;
let orders: readonly OrderView[];

before(async () => {
  platform = await startPlatform();
  admin = clientOf(platform.url, platform.apiKey);
  const { key, clientId } = await platform.app.keys.create("cal", ["orders:read", "orders:write"]);
  [cal, calId] = [clientOf(platform.url, key), clientId];
  kitchenId = await addChannel(1_000);
  storeId = await addChannel(10, {
    type: "dark_store",
    costModel: { currency: "AED", baseMinor: 2_000, perKmMinor: 50, perUnitMinor: 10 },
  });
  orders = await Promise.all(Array.from({ length: 8 }, (_, index) => order(cal, `cus_${index}`)));
});
after(() => platform.stop());

async function addChannel(capacity: number, change: Record<string, unknown> = {}): Promise<string> {
  const { body } = await admin<{ id: string }>("POST", "/v1/channels", aChannel(change));
  const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity };
  assert.equal((await admin("PUT", `/v1/channels/${body.id}/capacity`, { slots: [slot] })).status, 200);
  return body.id;
}

async function order(as: Call, customerId: string): Promise<OrderView> {
  const { status, text, body } = await as<OrderView>("POST", "/v1/orders", anOrder({ customerId }));
  assert.equal(status, 201, text);
  return body;
}

const simulate = (id: string, body: object) =>
  admin<Simulation>("POST", `/v1/routing-policies/${id}/simulate`, { ...body, to: iso(Date.now() + 1_000) });

test("the policy that orders went by moves none of them and comes to what was recorded", async () => {
  const { status, body, text } = await simulate("default", {});
  assert.equal(status, 200, text);
  assert.deepEqual([body.policy, body.orders, body.movedOrders], ["default@1", 8, 0]);
  assert.deepEqual(body.simulated, body.recorded);
  assert.deepEqual(body.recorded.meanCostMinor, { AED: orders[0]!.costMinor });
});

test("a policy that is only tried moves orders as far as there is room, costs what it costs, and writes nothing", async () => {
  const rules = [{ name: "stores", channels: { types: ["dark_store"] }, effect: "only" }];
  const { body } = await simulate("trial", { policy: { weights, rules } });
  assert.equal(body.policy, "trial@draft");
  // Ten units of room, two an order.
  assert.deepEqual([body.simulated.served, body.simulated.unserved, body.movedOrders], [5, 3, 8]);
  assert.deepEqual(
    body.simulated.channels.map(({ channelId, orders: count }) => [channelId, count]),
    [[storeId, 5]],
  );
  assert.equal(body.simulated.fullestSlotPercent, 100);
  assert.ok(body.simulated.meanCostMinor.AED! > body.recorded.meanCostMinor.AED!);
  assert.deepEqual(body.moves[0], {
    orderId: body.moves[0]!.orderId,
    from: kitchenId,
    to: storeId,
    costChangeMinor: 1_500,
  });
  assert.equal((await admin("GET", "/v1/routing-policies/trial")).body.code, "policy_not_found");
  const { body: capacity } = await admin<{ slots: { reserved: number }[] }>(
    "GET",
    `/v1/channels/${storeId}/capacity`,
  );
  assert.equal(capacity.slots[0]?.reserved, 0);
});

test("a simulation is bounded, also to a client's orders, and says when there were more", async () => {
  const { body } = await simulate("default", { maxOrders: 3 });
  assert.deepEqual([body.orders, body.limited], [3, true]);
  assert.equal((await simulate("default", { clientId: "cli_nobody" })).body.orders, 0);
  assert.equal((await simulate("default", { clientId: calId })).body.orders, 8);
});

test("an experiment's results stand beside those of the policy that it takes a share of", async () => {
  const experiment = { of: "default", percent: 50, by: "customer" };
  const rules = [{ name: "stores", channels: { types: ["dark_store"] }, effect: "only" }];
  assert.equal((await admin("PUT", "/v1/routing-policies/half", { weights, rules, experiment })).status, 200);
  const placed: OrderView[] = [];
  for (let index = 0; placed.filter(({ channel }) => channel?.id === storeId).length < 3; index += 1) {
    placed.push(await order(cal, `other_${index}`));
  }
  const path = `/v1/routing-policies/half/results?to=${iso(Date.now() + 1_000)}`;
  const { status, body, text } = await admin<PolicyResults>("GET", path);
  assert.equal(status, 200, text);
  assert.equal(body.limited, false);
  const [byDefault, byHalf] = body.results;
  assert.deepEqual([byDefault!.policy, byHalf!.policy], ["default@1", "half@1"]);
  assert.equal(byHalf!.orders, 3);
  assert.equal(byDefault!.orders, orders.length + placed.length - 3);
  assert.equal(byHalf!.confirmedShare, 1);
  assert.equal(byHalf!.onTimeShare, null, "none was delivered yet");
  assert.equal(byHalf!.meanCostMinor.AED! - byDefault!.meanCostMinor.AED!, 1_500);
  assert.ok(Math.abs(byHalf!.meanPromiseMinutes!) < 1);
  const ofBase = await admin<PolicyResults>("GET", path.replace("half", "default"));
  assert.deepEqual(ofBase.body.results, body.results);
});

test("orders that were cancelled or found nobody are counted as that", async () => {
  const [first] = orders;
  assert.equal((await admin("POST", `/v1/orders/${first!.id}/cancel`)).status, 200);
  const far = { ...anOrder().delivery, location: { lat: 24, lng: 54 } };
  assert.equal((await admin("POST", "/v1/orders", anOrder({ delivery: far }))).status, 409);
  const path = `/v1/routing-policies/default/results?to=${iso(Date.now() + 1_000)}`;
  const { body } = await admin<PolicyResults>("GET", path);
  const failed = body.results.reduce((sum, one) => sum + one.failed, 0);
  assert.deepEqual([body.results[0]!.cancelled, failed], [1, 1]);
  assert.equal((await simulate("default", {})).body.recorded.unserved, 1);
});

test("bad requests for simulations and results are refused with what is wrong", async () => {
  const bad: [object, string][] = [
    [{ policy: { weights: { cost: 0, time: 0, quality: 0, capacity: 0 } } }, "validation_failed"],
    [{ policy: {} }, "validation_failed"],
    [{ maxOrders: 0 }, "validation_failed"],
    [{ maxOrders: 100_000 }, "validation_failed"],
    [{ from: "2020-01-01T00:00:00Z" }, "validation_failed"],
    [{ from: "9999-01-01T00:00:00Z" }, "window_reversed"],
    [{ version: 99 }, "policy_not_found"],
  ];
  for (const [body, code] of bad)
    assert.equal((await simulate("default", body)).body.code, code, JSON.stringify(body));
  const results = (query: string) => admin("GET", `/v1/routing-policies/default/results?${query}`);
  assert.equal((await results("from=2030-01-01T00:00:00Z")).body.code, "window_reversed");
  assert.equal((await results("from=2020-01-01T00:00:00Z")).body.code, "validation_failed");
  assert.equal((await admin("GET", "/v1/routing-policies/nobody/results")).body.code, "policy_not_found");
  assert.equal((await cal("GET", "/v1/routing-policies/default/results")).status, 403);
});
