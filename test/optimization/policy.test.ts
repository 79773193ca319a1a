import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ChannelRoom, channelTypes } from "../../src/capacity/api.ts";
import { distance } from "../../src/capacity/distance.ts";
import {
  compilePolicy,
  defaultPolicy,
  isInside,
  type PolicyRules,
  type Rule,
} from "../../src/capacity/policy.ts";
import { evaluate, type Wish } from "../../src/capacity/ranking.ts";
import { createBook } from "../../src/optimization/policy-book.ts";
import { checkPolicy, conflictOf } from "../../src/optimization/policy-check.ts";
import { place, room, window } from "../orchestration/world.ts";

const nowMs = Date.parse(window.start) - 3_600_000;
const weights = { cost: 1, time: 1, quality: 0.5, capacity: 0.25 };

const wish = (rules: PolicyRules, changes: Partial<Wish> = {}): Wish => ({
  location: place,
  windowStartMs: Date.parse(window.start),
  windowEndMs: Date.parse(window.end),
  vehicle: null,
  units: 1,
  currency: "AED",
  channelTypes: null,
  maxCostMinor: null,
  excluded: [],
  policy: compilePolicy("test@1", rules),
  facts: { items: [{ sku: "meal-1", quantity: 1 }], priority: "standard", metadata: {} },
  ...changes,
});

const kitchen = room("chn_kitchen", { quality: 0.8 }, { sellable: 10, reserved: 0 });
const store = room(
  "chn_store",
  {
    type: "dark_store",
    quality: 0.7,
    costModel: { currency: "AED", baseMinor: 900, perKmMinor: 100, perUnitMinor: 0 },
  },
  { sellable: 10, reserved: 0 },
);
const network = [kitchen, store];

const idsOf = (
  rules: readonly Rule[],
  changes: Partial<Wish> = {},
  rooms: readonly ChannelRoom[] = network,
) => evaluate(wish({ weights, rules }, changes), rooms, nowMs).candidates.map(({ channel }) => channel.id);

test("only and never leave who they say, and name the rule where they exclude", () => {
  const channels = { types: ["dark_store" as const] };
  assert.deepEqual(idsOf([{ name: "cold chain", channels, effect: "only" }]), ["chn_store"]);
  assert.deepEqual(idsOf([{ name: "no stores", channels, effect: "never" }]), ["chn_kitchen"]);
  const rules: Rule[] = [{ name: "no stores", channels: { ids: ["chn_store"] }, effect: "never" }];
  const { excluded, near } = evaluate(wish({ weights, rules }), network, nowMs);
  assert.deepEqual([...excluded], [["rule:no stores", 1]]);
  assert.deepEqual(
    near.map(({ channel, why }) => [channel.id, why]),
    [["chn_store", "rule:no stores"]],
  );
});

test("a rule is about the orders that fit all of its conditions, and no others", () => {
  const facts = {
    items: [
      { sku: "meal-7", quantity: 1 },
      { sku: "ice-cream", quantity: 1 },
    ],
    priority: "express",
    metadata: { customerTier: "gold", tags: ["frozen", "gift"] },
  };
  const applies = (when: NonNullable<Rule["when"]>) =>
    idsOf([{ name: "r", when, channels: { types: ["dark_store"] }, effect: "never" }], { facts }).length ===
    1;
  assert.ok(applies({ skus: ["ice-cream"] }) && applies({ skus: ["x", "meal-*"] }));
  assert.ok(!applies({ skus: ["ice"] }) && !applies({ skus: ["drink-*"] }));
  assert.ok(applies({ tags: ["cold", "frozen"] }) && !applies({ tags: ["cold"] }));
  assert.ok(applies({ customerTiers: ["gold"] }) && !applies({ customerTiers: ["silver"] }));
  assert.ok(applies({ priorities: ["express"] }) && !applies({ priorities: ["bulk"] }));
  assert.ok(applies({ zone: { centre: place, radiusMeters: 10 } }));
  assert.ok(!applies({ zone: { centre: { lat: 25.2, lng: 55.3 }, radiusMeters: 1_000 } }));
  assert.ok(!applies({ tags: ["frozen"], priorities: ["bulk"] }), "all must hold");
});

test("metadata of any shape is no error: it only does not fit", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom("tags", "customerTier", "x"), fc.jsonValue()), (metadata) => {
      const facts = { items: [], priority: "standard", metadata };
      const rules: Rule[] = [
        { name: "tags", when: { tags: ["¤"] }, channels: { types: ["dark_store"] }, effect: "never" },
        {
          name: "tier",
          when: { customerTiers: ["¤"] },
          channels: { types: ["dark_store"] },
          effect: "never",
        },
      ];
      assert.equal(idsOf(rules, { facts }).length, 2);
    }),
  );
});

test("prefer and avoid move a channel up and down, also beyond all that its cost says", () => {
  assert.deepEqual(idsOf([]), ["chn_kitchen", "chn_store"]);
  const channels = { types: ["dark_store" as const] };
  assert.deepEqual(idsOf([{ name: "r", channels, effect: "prefer", by: 100 }]), ["chn_store", "chn_kitchen"]);
  assert.deepEqual(idsOf([{ name: "r", channels, effect: "avoid", by: 100 }]), ["chn_kitchen", "chn_store"]);
});

test("a score falls as the penalty grows, whatever rules add", () => {
  const by = fc.double({ min: 0.001, max: 10, noNaN: true });
  const scoreAt = (rules: readonly Rule[]) =>
    evaluate(wish({ weights, rules }), [kitchen], nowMs).candidates[0]!.score;
  fc.assert(
    fc.property(by, by, (one, other) => {
      const [less, more] = [Math.min(one, other), Math.max(one, other) + 0.001];
      const prefer = (amount: number): Rule => ({ name: "p", effect: "prefer", by: amount });
      const avoid = (amount: number): Rule => ({ name: "a", effect: "avoid", by: amount });
      assert.ok(scoreAt([prefer(more)]) > scoreAt([prefer(less)]));
      assert.ok(scoreAt([prefer(less)]) > scoreAt([]));
      assert.ok(scoreAt([]) > scoreAt([avoid(less)]));
      assert.ok(scoreAt([avoid(less)]) > scoreAt([avoid(more)]));
    }),
  );
});

test("limits of a policy exclude, each with its reason", () => {
  const reasons = (limits: PolicyRules["limits"], changes: Partial<Wish> = {}) => [
    ...evaluate(wish({ weights, ...(limits ? { limits } : {}) }, changes), [kitchen], nowMs).excluded.keys(),
  ];
  assert.deepEqual(reasons({}), []);
  assert.deepEqual(reasons({ maxCostMinor: 100 }), ["cost"]);
  assert.deepEqual(reasons({ maxCostMinor: 100_000 }, { maxCostMinor: 1 }), ["cost"]);
  assert.deepEqual(reasons({ maxDistanceMeters: 10 }), ["distance"]);
  assert.deepEqual(reasons({ maxEtaMinutes: 0 }), ["eta"]);
  assert.deepEqual(reasons({ channelTypes: ["dark_store"] }), ["channel_type"]);
  assert.deepEqual(reasons({ vehicles: ["van"] }), ["vehicle"]);
  assert.deepEqual(reasons({ vehicles: ["van"] }, { vehicle: "bike" }), ["vehicle"]);
});

test("what a full slot hides is not called too slow: it may get room again", () => {
  const [slot] = kitchen.slots;
  const hourMs = 3_600_000;
  const slots = [
    { ...slot!, id: "slt_0", endMs: slot!.startMs + hourMs, sellable: 0 },
    { ...slot!, id: "slt_1", startMs: slot!.startMs + hourMs },
  ];
  const { excluded } = evaluate(
    wish({ weights, limits: { maxEtaMinutes: 10 } }),
    [{ ...kitchen, slots }],
    nowMs,
  );
  assert.deepEqual([...excluded], [["full", 1]]);
});

test("a polygon holds what is inside it, whichever way round it is drawn", () => {
  const square = [
    { lat: 25, lng: 55 },
    { lat: 25, lng: 56 },
    { lat: 26, lng: 56 },
    { lat: 26, lng: 55 },
  ];
  const degrees = (min: number, max: number) => fc.double({ min, max, noNaN: true });
  fc.assert(
    fc.property(degrees(24, 27), degrees(54, 57), (lat, lng) => {
      const expected = lat > 25 && lat < 26 && lng > 55 && lng < 56;
      fc.pre([25, 26].every((edge) => lat !== edge) && [55, 56].every((edge) => lng !== edge));
      for (const polygon of [square, square.toReversed()])
        assert.equal(isInside({ polygon }, { lat, lng }), expected);
    }),
  );
});

test("a circle holds what is within its radius", () => {
  const centre = { lat: 25.1, lng: 55.2 };
  fc.assert(
    fc.property(
      fc.double({ min: 1, max: 50_000, noNaN: true }),
      fc.double({ min: -0.3, max: 0.3, noNaN: true }),
      (radiusMeters, off) => {
        const there = { lat: centre.lat + off, lng: centre.lng };
        assert.equal(isInside({ centre, radiusMeters }, there), distance(centre, there) <= radiusMeters);
      },
    ),
  );
});

test("what can't be used is refused, and where it is wrong is named", () => {
  const pointers = (policy: PolicyRules) => checkPolicy(policy).map(({ pointer }) => pointer);
  const only = (types: Rule["channels"], when?: Rule["when"]): Rule => ({
    name: `only ${JSON.stringify([types, when])}`,
    effect: "only",
    ...(types ? { channels: types } : {}),
    ...(when ? { when } : {}),
  });
  assert.deepEqual(pointers({ weights }), []);
  assert.deepEqual(pointers({ weights: { ...weights, cost: Number.NaN } }), ["/weights/cost"]);
  assert.deepEqual(pointers({ weights: { ...weights, time: -1 } }), ["/weights/time"]);
  assert.deepEqual(pointers({ weights: { ...weights, time: Number.POSITIVE_INFINITY } }), ["/weights/time"]);
  assert.deepEqual(pointers({ weights: { cost: 0, time: 0, quality: 0, capacity: 0 } }), ["/weights"]);
  assert.deepEqual(pointers({ weights, limits: { channelTypes: ["kiosk" as never] } }), [
    "/limits/channelTypes",
  ]);
  assert.deepEqual(pointers({ weights, limits: { channelTypes: [] } }), ["/limits/channelTypes"]);
  assert.deepEqual(pointers({ weights, limits: { maxCostMinor: Number.NaN } }), ["/limits/maxCostMinor"]);
  assert.deepEqual(pointers({ weights, limits: { maxEtaMinutes: -5 } }), ["/limits/maxEtaMinutes"]);
  const prefer: Rule = { name: "p", effect: "prefer" };
  assert.deepEqual(pointers({ weights, rules: [prefer] }), ["/rules/0/by"]);
  assert.deepEqual(pointers({ weights, rules: [{ ...prefer, by: Number.NaN }] }), ["/rules/0/by"]);
  assert.deepEqual(pointers({ weights, rules: [{ ...only({ types: ["dark_store"] }), by: 1 }] }), [
    "/rules/0/by",
  ]);
  assert.deepEqual(
    pointers({
      weights,
      rules: [
        { ...prefer, by: 1 },
        { ...prefer, by: 2 },
      ],
    }),
    ["/rules/1/name"],
  );
  assert.deepEqual(pointers({ weights, rules: [only(undefined)] }), ["/rules/0/channels"]);
  const flat = { polygon: [place, place] };
  assert.deepEqual(pointers({ weights, rules: [{ ...prefer, by: 1, when: { zone: flat } }] }), [
    "/rules/0/when/zone/polygon",
  ]);
  const stores = only({ types: ["dark_store"] });
  const kitchens = only({ types: ["internal_kitchen"] });
  assert.deepEqual(
    pointers({ weights, rules: [stores, kitchens] }),
    ["/rules/1"],
    "two that exclude each other",
  );
  assert.deepEqual(pointers({ weights, limits: { channelTypes: ["internal_kitchen"] }, rules: [stores] }), [
    "/rules/0",
  ]);
  const never: Rule = { name: "n", effect: "never", channels: { types: [...channelTypes] } };
  assert.deepEqual(pointers({ weights, rules: [never] }), ["/rules/0"]);
  const goldToStores = only({ types: ["dark_store"] }, { customerTiers: ["gold"] });
  assert.deepEqual(pointers({ weights, rules: [kitchens, goldToStores] }), ["/rules/1"]);
  assert.deepEqual(pointers({ weights, rules: [goldToStores] }), []);
});

const view = (id: string, changes: object = {}) => ({
  id,
  version: 1,
  weights,
  updatedAt: "2026-11-24T00:00:00.000Z",
  updatedBy: "test",
  ...changes,
});
const experiment = (of: string, percent: number, by: "customer" | "order" = "customer") => ({
  experiment: { of, percent, by },
});

test("policies that can't stand beside each other are refused", () => {
  const cal = view("cal", { clients: ["cli_a"] });
  const half = view("half", experiment("default", 60));
  assert.equal(conflictOf("cal", cal, []), null);
  assert.match(conflictOf("other", view("other", { clients: ["cli_a"] }), [cal])!, /has the policy cal/);
  assert.match(conflictOf("default", view("default", { clients: ["cli_a"] }), [])!, /for all clients/);
  assert.equal(conflictOf("half", half, []), null);
  assert.match(conflictOf("x", view("x", experiment("nobody", 1)), [half])!, /no policy nobody/);
  assert.match(conflictOf("x", view("x", experiment("half", 1)), [half])!, /is an experiment itself/);
  assert.match(conflictOf("x", view("x", experiment("default", 41)), [half])!, /101 %/);
  assert.match(conflictOf("x", view("x", experiment("default", 1, "order")), [half])!, /draw by customer/);
  assert.match(
    conflictOf("cal", view("cal", experiment("default", 1)), [view("y", experiment("cal", 1))])!,
    /takes a share of cal/,
  );
});

test("an experiment gets its share of the orders, a customer is always on the same side, and growing it moves nobody back", () => {
  const bookAt = (percent: number) =>
    createBook([view("default"), view("trial", experiment("default", percent))]);
  const idOf = (percent: number) => {
    const book = bookAt(percent);
    return (customer: number, order: number) =>
      book.policyFor({ clientId: "cli_a", customerId: `cus_${customer}`, orderId: `ord_${order}` }).id;
  };
  const [at20, at50] = [idOf(20), idOf(50)];
  let taken = 0;
  for (let customer = 0; customer < 20_000; customer += 1) {
    const mine = at20(customer, 1);
    assert.equal(at20(customer, 2), mine);
    if (mine === "trial@1") {
      taken += 1;
      assert.equal(at50(customer, 1), "trial@1");
    }
  }
  // Five standard deviations of a binomial are 283 of 20,000 at 20 %.
  assert.ok(Math.abs(taken - 4_000) < 283, `${taken} of 20,000`);
  assert.equal(idOf(0)(1, 1), "default@1");
  assert.equal(idOf(100)(1, 1), "trial@1");
});

test("a client's orders go by its policy, others' by the default, and experiments take of whom they say", () => {
  const book = createBook([
    view("cal", { clients: ["cli_a"], version: 3 }),
    view("trial", experiment("cal", 100, "order")),
    view("resting", experiment("default", 0)),
  ]);
  const idFor = (clientId: string) => book.policyFor({ clientId, customerId: "cus_1", orderId: "ord_1" }).id;
  assert.equal(idFor("cli_a"), "trial@1");
  assert.equal(idFor("cli_b"), "default@1");
  assert.equal(book.policyFor({ clientId: "cli_b", customerId: "", orderId: "" }), defaultPolicy);
});
