import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { signsOf } from "../../src/performance/signs.ts";

const quiet = { calls: 0, failed: 0, onTime: 0, fellLate: 0 };
const judged = (recent: Partial<typeof quiet>, present: ("errors" | "lateness")[] = []) =>
  signsOf(
    { recent: { ...quiet, ...recent } },
    present.map((sign) => ({ sign })),
  ).map(({ sign }) => sign);

test("few calls or orders say nothing, many that went badly do, and each for itself", () => {
  assert.deepEqual(judged({}), []);
  assert.deepEqual(judged({ calls: 19, failed: 19 }), []);
  assert.deepEqual(judged({ calls: 20, failed: 5 }), ["errors"]);
  assert.deepEqual(judged({ onTime: 6, fellLate: 4 }), ["lateness"]);
  assert.deepEqual(judged({ calls: 20, failed: 20, fellLate: 10 }), ["errors", "lateness"]);
});

test("a sign ends when little is left of what it stood on", () => {
  assert.deepEqual(judged({ calls: 5, failed: 5 }, ["errors"]), ["errors"]);
  assert.deepEqual(judged({ calls: 4.9, failed: 4.9 }, ["errors"]), []);
  assert.deepEqual(judged({}, ["errors", "lateness"]), []);
});

test("a share that wavers between both limits changes nothing, however it came there", () => {
  const between = fc.array(fc.double({ min: 0.1, max: 0.2499, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(between, fc.boolean(), (shares, begun) => {
      let present: ("errors" | "lateness")[] = begun ? ["errors"] : [];
      for (const share of shares) {
        present = judged({ calls: 100, failed: 100 * share }, present);
        assert.deepEqual(present, begun ? ["errors"] : []);
      }
    }),
  );
});
