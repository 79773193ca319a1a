import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  createIds,
  digest,
  firstOrderIdAt,
  isId,
  laneCount,
  laneOf,
  laneOfDigest,
} from "../../src/platform/ids.ts";

const seed = Date.now() & 0x7fffffff;
console.log(`seed ${seed}`);
const times = fc.integer({ min: 0, max: 2 ** 47 });

test("an order id carries its lane, whatever the time and the chance", () => {
  const ids = createIds();
  fc.assert(
    fc.property(fc.integer({ min: 0, max: laneCount - 1 }), times, (lane, ms) => {
      const id = ids.order(lane, ms);
      assert.ok(isId("ord", id), id);
      assert.equal(laneOf(id), lane);
    }),
    { seed },
  );
});

test("ids sort by the millisecond in which they were made", () => {
  const ids = createIds();
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 10_000 }), (ms, later) => {
      assert.ok(ids.order(63, ms) < ids.order(0, ms + later));
      assert.ok(ids.create("chn", ms) < ids.create("chn", ms + later));
    }),
    { seed },
  );
});

test("the first id of a time is above all ids before it and below all from it on", () => {
  const ids = createIds();
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 47 }), (ms) => {
      assert.ok(ids.order(63, ms - 1) < firstOrderIdAt(ms));
      assert.ok(firstOrderIdAt(ms) <= ids.order(0, ms));
    }),
    { seed },
  );
});

test("ids are drawn from the chance that is passed in", () => {
  const zero = createIds((bytes) => bytes.fill(0));
  assert.equal(zero.order(5, 1_000), zero.order(5, 1_000));
  assert.notEqual(createIds().order(5, 1_000), createIds().order(5, 1_000));
});

test("what does not look like an id is none", () => {
  for (const text of [
    "",
    "ord_",
    "ord_01h",
    "chn_01jdz0000000000000000000zz",
    `ord_${"8".repeat(26)}`,
    `ORD_${"0".repeat(26)}`,
  ]) {
    assert.equal(isId("ord", text), false, text);
  }
});

test("lanes of digests are spread evenly", () => {
  const counts = new Array<number>(laneCount).fill(0);
  for (let key = 0; key < 64_000; key += 1) counts[laneOfDigest(digest(`key-${key}`))]! += 1;
  assert.ok(Math.min(...counts) > 800 && Math.max(...counts) < 1_200, `${counts}`);
});
