import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type DecisionRecord, exclusionText, explain } from "../../src/optimization/decision.ts";

const names: Record<string, string> = { chn_a: "Marina", chn_b: "Creek", chn_c: "Deira" };
const channel = (id: string) => (names[id] === undefined ? undefined : { name: names[id] });

const record: DecisionRecord = {
  policy: "default@1",
  method: "best_each",
  chosen: 0,
  candidates: [
    ["chn_a", 0.55, 900, 20, 40, 90, 0],
    ["chn_b", 0.44, 1_200, 15, 80, 90, 0],
  ],
  excluded: { radius: 3, "rule:cold chain": 1 },
  near: [["chn_c", "radius", 4_200]],
};

test("a support agent reads who was chosen, why the others lost, and who could not serve it", () => {
  const view = explain(record, channel);
  assert.equal(
    view.summary,
    "Marina was chosen by the routing policy default@1: every order that was routed with it could have its best channel, so no other choice is better. 2 channels could serve it, 4 could not.",
  );
  assert.deepEqual(view.chosen, { channelId: "chn_a", name: "Marina", score: 0.55 });
  assert.deepEqual(
    view.candidates.map(({ name, why }) => [name, why]),
    [
      ["Marina", "chosen"],
      [
        "Creek",
        "it scores lower: dearer by 300 minor units, its slot is fuller (80 % against 40 %) (though sooner by 5 min)",
      ],
    ],
  );
  assert.deepEqual(view.excluded, [
    { reason: "radius", channels: 3, text: "does not deliver so far" },
    {
      reason: "rule:cold chain",
      channels: 1,
      text: 'is excluded by the rule "cold chain" of the routing policy',
    },
  ]);
  assert.deepEqual(view.nearestExcluded, [
    { channelId: "chn_c", name: "Deira", distanceMeters: 4_200, why: "does not deliver so far" },
  ]);
});

test("when room was short the better one says where its room went; in turn, whose turn it was; with nobody, that there was nobody", () => {
  const whyOf = (change: Partial<DecisionRecord>) =>
    explain({ ...record, ...change }, channel).candidates.map(({ why }) => why);
  assert.match(
    whyOf({ chosen: 1, method: "greedy" })[0]!,
    /scores higher, but its room went to other orders/,
  );
  assert.equal(whyOf({ method: "round_robin" })[1], "it was not its turn");
  assert.match(whyOf({ chosen: null })[1]!, /its room went to other orders/);
  const nobody = explain({ ...record, chosen: null, candidates: [] }, channel);
  assert.equal(
    nobody.summary,
    "No channel was chosen (routing policy default@1): none could serve it, 4 could not.",
  );
  assert.equal(nobody.chosen, null);
});

test("a channel that is not known any more keeps its id, and the solver's figures are passed on", () => {
  const solver = { objective: 10, bound: 9.5, ms: 12 };
  const view = explain({ ...record, candidates: [["chn_x", 1, 1, 1, 1, 1, 0]], solver }, channel);
  assert.equal(view.chosen?.name, "chn_x");
  assert.deepEqual(view.solver, solver);
});

test("whatever the numbers, each candidate has its words, and only the chosen is called so", () => {
  const number = fc.integer({ min: 0, max: 100 });
  const candidate = fc.tuple(
    fc.constantFrom("chn_a", "chn_b", "chn_x"),
    fc.double({ min: 0, max: 2, noNaN: true }),
    number,
    number,
    number,
    number,
    number,
  );
  fc.assert(
    fc.property(
      fc.array(candidate, { maxLength: 6 }),
      fc.option(number, { nil: null }),
      fc.constantFrom("best_each" as const, "greedy" as const, "round_robin" as const),
      (candidates, pick, method) => {
        const chosen = pick === null || candidates.length === 0 ? null : pick % candidates.length;
        const view = explain({ ...record, candidates, chosen, method }, channel);
        assert.equal(view.candidates.filter(({ why }) => why === "chosen").length, chosen === null ? 0 : 1);
        for (const { why } of view.candidates) assert.ok(why.length > 0 && !/undefined|NaN/.test(why), why);
      },
    ),
  );
  assert.equal(exclusionText("down"), "could not be reached");
});
