import assert from "node:assert/strict";
import { test } from "node:test";
import { createAdmission } from "../../src/orchestration/admission.ts";
import type { Clock } from "../../src/platform/clock.ts";

/** A queue of `size` of which `ahead` are before whoever asks, and a clock that is set. */
function world() {
  const at = { nowMs: 0, size: 0, ahead: 0 };
  const clock: Clock = { nowMs: () => at.nowMs, after: () => () => undefined };
  const queue = {
    get size() {
      return at.size;
    },
    ahead: () => at.ahead,
  };
  return { at, admission: createAdmission(queue, clock) };
}

/** Serves `count` every 100 ms, for so long. */
function serve({ at, admission }: ReturnType<typeof world>, count: number, ms: number): void {
  for (let end = at.nowMs + ms; at.nowMs < end; ) {
    at.nowMs += 100;
    admission.served(count);
  }
}

test("a burst into a platform at rest is taken, whatever was served before: a trickle says nothing of the rate", () => {
  const one = world();
  serve(one, 1, 10_000);
  one.at.size = one.at.ahead = 5_000;
  assert.equal(one.admission.refusal("cli_a", "bulk"), null);
});

test("while work waits all the time, who would wait too long is refused, the less urgent sooner", () => {
  const one = world();
  one.at.size = 10_000;
  serve(one, 300, 2_000); // 3 a millisecond
  const refusal = (ahead: number, priority: "express" | "standard" | "bulk") => {
    one.at.ahead = ahead;
    return one.admission.refusal("cli_a", priority);
  };
  assert.equal(refusal(1_400, "bulk"), null);
  assert.equal(refusal(1_600, "bulk")?.code, "overloaded");
  assert.equal(refusal(1_600, "standard"), null);
  assert.equal(refusal(3_200, "standard")?.retryAfterSeconds, 2);
  assert.equal(refusal(3_200, "express"), null);
  assert.equal(refusal(9_000, "express")?.retryAfterSeconds, 3);
  assert.equal(refusal(1e9, "express")?.retryAfterSeconds, 60, "nobody is sent away for longer");
});

test("when the queue was empty once, everything is as at the start", () => {
  const one = world();
  one.at.size = one.at.ahead = 10_000;
  serve(one, 300, 2_000);
  assert.notEqual(one.admission.refusal("cli_a", "express"), null);
  one.at.size = one.at.ahead = 0;
  one.admission.served(300);
  one.at.size = one.at.ahead = 10_000;
  assert.equal(one.admission.refusal("cli_a", "express"), null);
});
