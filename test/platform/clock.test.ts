import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clock, sleep, systemClock, toIso } from "../../src/platform/clock.ts";

test("a sleep ends when its clock says so", async () => {
  let ring: () => void = () => assert.fail("nothing was set");
  const clock: Clock = {
    nowMs: () => 0,
    after(delayMs, fn) {
      assert.equal(delayMs, 3_600_000);
      ring = fn;
      return () => undefined;
    },
  };
  const asleep = sleep(clock, 3_600_000);
  ring();
  await asleep;
});

test("an abort ends a sleep at once, before or during it, and forgets its timer", async () => {
  await sleep(systemClock, 3_600_000, AbortSignal.abort());
  const abort = new AbortController();
  let forgotten = 0;
  const forget = () => {
    forgotten += 1;
  };
  const clock: Clock = { nowMs: () => 0, after: () => forget };
  const asleep = sleep(clock, 3_600_000, abort.signal);
  abort.abort();
  await asleep;
  assert.equal(forgotten, 1);
});

test("times are told in UTC", () => {
  assert.equal(toIso(0), "1970-01-01T00:00:00.000Z");
});
