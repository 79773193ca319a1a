import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import type { ChannelRoom } from "../../src/capacity/api.ts";
import { defaultPolicy } from "../../src/capacity/policy.ts";
import type { Wish } from "../../src/capacity/ranking.ts";
import { type Quote, quote } from "../../src/optimization/quote.ts";
import { route } from "../../src/optimization/route.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { place, room, window } from "../orchestration/world.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const nowMs = Date.parse(window.start) - hourMs;

const wishFor = (units: number): Wish => ({
  location: place,
  windowStartMs: Date.parse(window.start),
  windowEndMs: Date.parse(window.end),
  vehicle: null,
  units,
  currency: "AED",
  channelTypes: null,
  maxCostMinor: null,
  excluded: [],
  policy: defaultPolicy,
  facts: { items: [{ sku: "meal-1", quantity: 1 }], priority: "standard", metadata: {} },
});

/** Channels near and far, of two types, with room in some of the coming slots. */
const networks = fc
  .array(
    fc.record({
      type: fc.constantFrom("internal_kitchen" as const, "dark_store" as const),
      lat: fc.double({ min: 24.9, max: 25.3, noNaN: true }),
      health: fc.constantFrom("up" as const, "down" as const),
      free: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 8 }),
      offHours: fc.integer({ min: -2, max: 2 }),
      cutOffMinutes: fc.option(fc.integer({ min: 0, max: 180 }), { nil: undefined }),
      perItemMinutes: fc.integer({ min: 0, max: 40 }),
    }),
    { maxLength: 4 },
  )
  .map((list): ChannelRoom[] =>
    list.map(({ type, lat, health, free, offHours, cutOffMinutes, perItemMinutes }, index) => ({
      rules: {
        ...(cutOffMinutes === undefined ? {} : { cutOffMinutes }),
        preparation: { baseMinutes: 10, perItemMinutes },
      },
      channel: room(
        `chn_${index}`,
        { type, health, location: { lat, lng: 55.14 } },
        { sellable: 1, reserved: 0 },
      ).channel,
      slots: free.map((sellable, slot) => ({
        id: `slt_${index}_${slot}`,
        startMs: nowMs + (slot + offHours) * hourMs,
        endMs: nowMs + (slot + 1 + offHours) * hourMs,
        sellable,
        reserved: 0,
      })),
    })),
  );

test("a quote says deliverable exactly when routing would find a channel, and its best option is that channel", () => {
  fc.assert(
    fc.property(networks, fc.integer({ min: 1, max: 5 }), (network, units) => {
      const quoted = quote(wishFor(units), network, nowMs);
      const [routed] = route([wishFor(units)], network, { method: "weighted", nowMs, turn: { next: 0 } });
      assert.equal(quoted.deliverable, routed!.kind === "route");
      assert.equal(quoted.reason === null, quoted.deliverable);
      if (routed!.kind === "route")
        assert.equal(quoted.options[0]?.channelId, routed!.route.candidate.channel.id);
      else assert.deepEqual(quoted.options, []);
      if (routed!.kind === "never") assert.equal(quoted.reason?.code, routed!.code);
      const types = quoted.options.map(({ channelType }) => channelType);
      assert.equal(new Set(types).size, types.length);
    }),
  );
});

test("next slots are the earliest with room that can still be made, each the cheapest of its time", () => {
  fc.assert(
    fc.property(networks, fc.integer({ min: 1, max: 5 }), (network, units) => {
      const wish = wishFor(units);
      const { nextSlots } = quote(wish, network, nowMs);
      // By brute force: each slot by itself as the window.
      const all = network.flatMap((one) =>
        one.slots.flatMap((slot) => {
          if (slot.endMs <= wish.windowStartMs) return [];
          const alone = { ...wish, windowStartMs: slot.startMs, windowEndMs: slot.endMs };
          const [routed] = route([alone], [{ ...one, slots: [slot] }], {
            method: "weighted",
            nowMs,
            turn: { next: 0 },
          });
          return routed!.kind === "route"
            ? [{ start: slot.startMs, cost: routed!.route.candidate.costMinor }]
            : [];
        }),
      );
      const starts = [...new Set(all.map(({ start }) => start))].sort((a, b) => a - b).slice(0, 5);
      assert.deepEqual(
        nextSlots.map(({ start }) => Date.parse(start)),
        starts,
      );
      for (const { start, costMinor } of nextSlots) {
        const costs = all.filter((one) => one.start === Date.parse(start)).map(({ cost }) => cost);
        assert.equal(costMinor, Math.min(...costs));
      }
    }),
  );
});

let platform: TestPlatform;
let admin: Call;
let channelId: string;

before(async () => {
  platform = await startPlatform();
  admin = clientOf(platform.url, platform.apiKey);
  channelId = (await admin<{ id: string }>("POST", "/v1/channels", aChannel())).body.id;
  const slots = [0, 2, 4].map((hours) => ({
    start: iso(Date.now() + hours * hourMs),
    end: iso(Date.now() + (hours + 2) * hourMs),
    capacity: hours === 0 ? 1 : 5,
  }));
  assert.equal((await admin("PUT", `/v1/channels/${channelId}/capacity`, { slots })).status, 200);
});
after(() => platform.stop());

const askFor = (change: Record<string, unknown> = {}) =>
  admin<Quote>("POST", "/v1/quotes", { ...anOrder(), ...change });

test("a quote is what an order then gets: channel, cost and promise; and asking held nothing", async () => {
  const { status, body, text } = await askFor();
  assert.equal(status, 200, text);
  const { body: capacity } = await admin<{ slots: { reserved: number }[] }>(
    "GET",
    `/v1/channels/${channelId}/capacity`,
  );
  assert.ok(capacity.slots.every(({ reserved }) => reserved === 0));
  assert.equal(body.deliverable, true);
  assert.equal(body.policy, "default@1");
  const order = await admin<OrderView>("POST", "/v1/orders", anOrder());
  assert.equal(body.options[0]?.channelId, order.body.channel?.id);
  assert.equal(body.options[0]?.costMinor, order.body.costMinor);
  assert.equal(body.nextSlots.length, 2, "those from the window's start on");
});

test("what can't be delivered is told why, and what is short", async () => {
  const items = [{ sku: "meal-1", quantity: 6, unitPriceMinor: 1 }];
  const many = (await askFor({ items })).body;
  assert.deepEqual([many.deliverable, many.reason?.code], [false, "no_capacity"]);
  assert.equal(many.short?.unitsWanted, 6);
  assert.ok(many.short!.unitsFree > 0 && many.short!.unitsFree < 6);
  assert.deepEqual(many.nextSlots, [], "no slot ever has six");
  const far = { ...anOrder().delivery, location: { lat: 24, lng: 54 } };
  assert.equal((await askFor({ delivery: far })).body.reason?.code, "not_serviceable");
  const past = { ...anOrder().delivery, window: { start: iso(0), end: iso(1) } };
  const { reason } = (await askFor({ delivery: past })).body;
  assert.deepEqual(reason, { code: "too_late", detail: "The window has passed." });
  assert.equal((await askFor({ routing: { maxCostMinor: 1 } })).body.reason?.code, "too_expensive");
});

test("bad requests for quotes are refused with the field that is wrong", async () => {
  const window = { start: iso(2), end: iso(1) };
  const bad: [Record<string, unknown>, string][] = [
    [{ items: [] }, "validation_failed"],
    [{ currency: "ABC" }, "currency_unknown"],
    [{ delivery: { ...anOrder().delivery, window } }, "window_reversed"],
    [{ externalId: "x" }, "validation_failed"],
    [{ delivery: { location: { lat: 91, lng: 0 }, window } }, "validation_failed"],
  ];
  for (const [change, code] of bad)
    assert.equal((await askFor(change)).body.code, code, JSON.stringify(change));
});
