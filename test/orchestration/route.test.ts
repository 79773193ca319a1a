import assert from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import type { ChannelRoom } from "../../src/capacity/api.ts";
import { distance } from "../../src/capacity/distance.ts";
import { defaultPolicy } from "../../src/capacity/policy.ts";
import { evaluate, type Wish } from "../../src/capacity/ranking.ts";
import { type RouteOptions, route } from "../../src/optimization/route.ts";
import { place, room, window } from "./world.ts";

const nowMs = Date.parse(window.start) - 3_600_000;
const options = (): RouteOptions => ({ method: "weighted", nowMs, turn: { next: 0 } });

const wish = (changes: Partial<Wish> = {}): Wish => ({
  location: place,
  windowStartMs: Date.parse(window.start),
  windowEndMs: Date.parse(window.end),
  vehicle: null,
  units: 1,
  currency: "AED",
  channelTypes: null,
  maxCostMinor: null,
  excluded: [],
  policy: defaultPolicy,
  facts: { items: [{ sku: "meal-1", quantity: 1 }], priority: "standard", metadata: {} },
  ...changes,
});

const rooms = fc
  .array(
    fc.record({
      lat: fc.double({ min: 25, max: 25.2, noNaN: true }),
      lng: fc.double({ min: 55, max: 55.3, noNaN: true }),
      sellable: fc.integer({ min: 0, max: 6 }),
      quality: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  .map((list): ChannelRoom[] =>
    list.map(({ lat, lng, quality, sellable }, index) =>
      room(
        `chn_${index}`,
        { location: { lat, lng }, quality, serviceRadiusMeters: 15_000 },
        { sellable, reserved: 0 },
      ),
    ),
  );
const wishes = fc.array(
  fc.integer({ min: 1, max: 3 }).map((units) => wish({ units })),
  { minLength: 1, maxLength: 8 },
);

test("no batch is given more of a slot than it has", () => {
  fc.assert(
    fc.property(wishes, rooms, (batch, network) => {
      const taken = new Map<string, number>();
      route(batch, network, options()).forEach((answer, index) => {
        if (answer.kind !== "route") return;
        const { slot } = answer.route.candidate;
        taken.set(slot.id, (taken.get(slot.id) ?? 0) + batch[index]!.units);
      });
      for (const { slots } of network) assert.ok((taken.get(slots[0]!.id) ?? 0) <= slots[0]!.sellable);
    }),
  );
});

test("an order that says best_each has the best score that any channel with room could give it", () => {
  fc.assert(
    fc.property(wishes, rooms, (batch, network) => {
      route(batch, network, options()).forEach((answer, index) => {
        if (answer.kind !== "route" || answer.route.decision.method !== "best_each") return;
        const alone = evaluate(batch[index]!, network, nowMs).candidates;
        assert.strictEqual(
          answer.route.candidate.score,
          Math.max(...alone.map((candidate) => candidate.score)),
        );
      });
    }),
  );
});

test("an order is left without a channel only when no room is left that fits", () => {
  fc.assert(
    fc.property(wishes, rooms, (batch, network) => {
      const taken = new Map<string, number>();
      const answers = route(batch, network, options());
      answers.forEach((answer, index) => {
        if (answer.kind === "route") {
          const { id } = answer.route.candidate.slot;
          taken.set(id, (taken.get(id) ?? 0) + batch[index]!.units);
        }
      });
      answers.forEach((answer, index) => {
        if (answer.kind === "route") return;
        assert.deepStrictEqual(evaluate(batch[index]!, network, nowMs, taken).candidates, []);
      });
    }),
  );
});

test("round robin takes channels in turn", () => {
  const network = [0, 1, 2].map((n) => room(`chn_${n}`, {}, { sellable: 10, reserved: 0 }));
  const answers = route(
    [1, 2, 3, 4].map(() => wish()),
    network,
    { ...options(), method: "round_robin" },
  );
  assert.deepStrictEqual(
    answers.map((answer) => answer.kind === "route" && answer.route.candidate.channel.id),
    ["chn_0", "chn_1", "chn_2", "chn_0"],
  );
});

test("each hard limit excludes, and the reason says which", () => {
  const near = room("chn_0", {}, { sellable: 5, reserved: 0 });
  const reasonOf = (changes: Partial<Wish>, network = [near]) => {
    const [answer] = route([wish(changes)], network, options());
    return answer?.kind === "never" ? answer.code : answer?.kind;
  };
  assert.strictEqual(reasonOf({}), "route");
  assert.strictEqual(reasonOf({ location: { lat: 24, lng: 54 } }), "not_serviceable");
  assert.strictEqual(reasonOf({ vehicle: "van" }), "not_serviceable");
  assert.strictEqual(reasonOf({ currency: "USD" }), "not_serviceable");
  assert.strictEqual(reasonOf({ channelTypes: ["dark_store"] }), "not_serviceable");
  assert.strictEqual(reasonOf({ maxCostMinor: 1 }), "too_expensive");
  assert.strictEqual(reasonOf({ excluded: ["chn_0"] }), "refused_by_channels");
  assert.strictEqual(reasonOf({ windowStartMs: 0, windowEndMs: 1 }), "no_slot");
  assert.strictEqual(reasonOf({ units: 6 }), "none_now");
  const soon = { ...near, slots: [{ ...near.slots[0]!, startMs: nowMs, endMs: nowMs + 60_000 }] };
  assert.strictEqual(reasonOf({ windowStartMs: nowMs, windowEndMs: nowMs + 60_000 }, [soon]), "too_late");
});

test("a place that nobody serves is told the nearest channel and how far it is", () => {
  const network = [room("chn_0", { name: "Marina" }, { sellable: 5, reserved: 0 })];
  const [answer] = route([wish({ location: { lat: 25.5, lng: 55.14 } })], network, options());
  assert.ok(answer?.kind === "never");
  assert.match(answer.detail, /the nearest, Marina, is 46\.7 km away and serves 20\.0 km/);
});

test("distance is the great circle: Dubai to Abu Dhabi is 122 km (to 1 %)", () => {
  const km = distance({ lat: 25.2048, lng: 55.2708 }, { lat: 24.4539, lng: 54.3773 }) / 1_000;
  assert.ok(Math.abs(km - 122.6) < 1.3, `${km}`);
});
