import assert from "node:assert/strict";
import { test } from "node:test";
import { createGuard, type Guard } from "../../src/channels/breaker.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createLog } from "../../src/platform/log.ts";

const settings = { failuresToOpen: 5, recoveryMs: 60_000, monitorMs: 60_000 };

/** A channel whose calls are answered when the test says so. */
function start(most = 16) {
  const changes: boolean[] = [];
  const guard: Guard = createGuard(systemClock, createLog("silent"), settings, (open) => changes.push(open));
  const underWay: ((failed: boolean) => void)[] = [];
  let begun = 0;
  const call = () =>
    guard.run(most, () => {
      begun += 1;
      return new Promise<{ failed: boolean }>((resolve) => underWay.push((failed) => resolve({ failed })));
    });
  return {
    guard,
    changes,
    call,
    begun: () => begun,
    underWay: () => underWay.length,
    /** Answers the oldest call, and lets what follows from it happen. */
    async answer(failed: boolean) {
      underWay.shift()!(failed);
      await settled();
    },
    async answerLast(failed: boolean) {
      underWay.pop()!(failed);
      await settled();
    },
  };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test("a channel gets a few calls at once, and more with every answer while there are more, up to its limit", async () => {
  const { call, underWay, answer } = start(6);
  const calls = Array.from({ length: 40 }, call);
  await settled();
  const seen = [underWay()];
  for (let answers = 0; answers < 4; answers += 1) {
    await answer(false);
    seen.push(underWay());
  }
  assert.deepEqual(seen, [4, 6, 6, 6, 6]);
  while (underWay() > 0) await answer(false);
  assert.ok((await Promise.all(calls)).every((result) => "failed" in result && !result.failed));
});

test("a channel that dies leaves no more calls in doubt than it takes to be sure, however many wait", async () => {
  const { guard, call, begun, underWay, answer, changes } = start();
  const calls = Array.from({ length: 1_000 }, call);
  await settled();
  assert.equal(guard.suspect, false);
  while (underWay() > 0) {
    await answer(true);
    assert.equal(guard.suspect, true);
  }
  assert.equal(begun(), settings.failuresToOpen);
  assert.deepEqual(changes, [true]);
  const results = await Promise.all(calls);
  assert.equal(results.filter((result) => "kind" in result && result.kind === "held_back").length, 995);
});

test("calls that hang while others are answered take no places away from these, and don't open the circuit", async () => {
  const { guard, call, underWay, answer, answerLast, changes } = start();
  const calls = Array.from({ length: 30 }, call);
  await settled();
  // Three hang; whatever else is sent is answered at once.
  while (underWay() > 3) await answerLast(false);
  for (let failures = 0; failures < 3; failures += 1) await answer(true);
  assert.ok(guard.suspect);
  assert.deepEqual(changes, []);
  const results = await Promise.all(calls);
  assert.equal(results.filter((result) => "failed" in result && !result.failed).length, 27);
});

test("one answer after failures, and the channel is trusted again", async () => {
  const { guard, call, underWay, answer } = start();
  const calls = Array.from({ length: 12 }, call);
  await settled();
  for (let failures = 0; failures < 3; failures += 1) await answer(true);
  assert.equal(underWay(), 2, "two more failures would open the circuit");
  await answer(false);
  assert.equal(guard.suspect, false);
  assert.ok(underWay() >= 4);
  while (underWay() > 0) await answer(false);
  await Promise.all(calls);
});
