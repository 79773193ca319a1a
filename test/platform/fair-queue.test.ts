import assert from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { createFairQueue } from "../../src/platform/fair-queue.ts";

interface Item {
  kind: "fast" | "slow";
  party: string;
  place: number;
}

const create = () =>
  createFairQueue<Item, Item["kind"]>({
    weights: { fast: 4, slow: 1 },
    classOf: (item) => item.kind,
    partyOf: (item) => item.party,
  });

const item = fc.record({
  kind: fc.constantFrom("fast" as const, "slow" as const),
  party: fc.constantFrom("a", "b", "c"),
  place: fc.nat(),
});

test("everything that goes in comes out once, and a party's own items of a class stay in order", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(item, fc.nat({ max: 5 })), { maxLength: 200 }), (steps) => {
      const queue = create();
      const pushed: Item[] = [];
      const taken: Item[] = [];
      for (const step of steps) {
        if (typeof step === "number") taken.push(...queue.take(step));
        else {
          const numbered = { ...step, place: pushed.length };
          pushed.push(numbered);
          queue.push(numbered);
        }
        assert.strictEqual(queue.size, pushed.length - taken.length);
      }
      taken.push(...queue.take(queue.size));
      assert.strictEqual(new Set(taken).size, pushed.length);
      for (const party of ["a", "b", "c"]) {
        for (const kind of ["fast", "slow"]) {
          const places = taken
            .filter((one) => one.party === party && one.kind === kind)
            .map((one) => one.place);
          assert.deepStrictEqual(
            places,
            places.toSorted((a, b) => a - b),
          );
        }
      }
    }),
  );
});

test("what is said to be ahead of an item is what is served before it, but for one turn of the other class", () => {
  fc.assert(
    fc.property(fc.array(item, { maxLength: 200 }), fc.nat({ max: 100 }), item, (items, taken, next) => {
      const queue = create();
      for (const one of items) queue.push(one);
      queue.take(taken);
      const ahead = queue.ahead(next.kind, next.party);
      queue.push(next);
      const before = queue.take(queue.size).indexOf(next);
      assert.ok(before <= ahead + 5, `${before} were served before it, ${ahead} were said to be`);
    }),
  );
  const queue = create();
  for (let place = 0; place < 1_000; place += 1) queue.push({ kind: "slow", party: "a", place });
  assert.ok(queue.ahead("fast", "a") <= 1, "what waits less urgently is not ahead");
  assert.strictEqual(queue.ahead("slow", "a"), 1_000);
  assert.ok(queue.ahead("slow", "b") <= 2, "another's flood is not ahead");
});

test("a party that sends one item behind another's thousand is served in the next turn", () => {
  const queue = create();
  for (let place = 0; place < 1_000; place += 1) queue.push({ kind: "fast", party: "flood", place });
  queue.push({ kind: "fast", party: "quiet", place: 0 });
  assert.ok(queue.take(2).some((one) => one.party === "quiet"));
});

test("classes that both wait share by weight; alone, a class gets everything", () => {
  const queue = create();
  for (let place = 0; place < 100; place += 1) queue.push({ kind: "slow", party: "a", place });
  assert.strictEqual(queue.take(50).length, 50);
  for (let place = 0; place < 100; place += 1) queue.push({ kind: "fast", party: "a", place });
  const next = queue.take(50);
  const fast = next.filter((one) => one.kind === "fast").length;
  assert.ok(fast >= 39 && fast <= 42, `${fast} of 50; 4 of 5 is the share`);
});
