import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRateLimiter } from "../../src/gateway/rate-limit.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { UoopError } from "../../src/platform/errors.ts";
import { anOrder, clientOf } from "./client.ts";
import { keyOf, startFakeWorld } from "./world.ts";

let nowMs = Date.parse("2026-11-24T06:00:00Z");
const clock: Clock = { nowMs: () => nowMs, after: () => () => undefined };

test("a bucket holds a minute's requests and fills up evenly; each key has its own", () => {
  const limiter = createRateLimiter(clock);
  const take = (key = "key_a") => limiter.take(key, 60);
  for (let left = 59; left >= 0; left -= 1) assert.equal(take().remaining, left);
  assert.deepEqual(take(), { passes: false, remaining: 0, resetSeconds: 60, retryAfterSeconds: 1 });
  assert.equal(take("key_b").remaining, 59, "another key");
  nowMs += 999;
  assert.equal(take().passes, false, "what was refused cost nothing, and no second has passed");
  nowMs += 1;
  assert.deepEqual(take(), { passes: true, remaining: 0, resetSeconds: 60, retryAfterSeconds: 0 });
  nowMs += 30_000;
  assert.deepEqual(take(), { passes: true, remaining: 29, resetSeconds: 31, retryAfterSeconds: 0 });
  nowMs += 3_600_000;
  assert.equal(take().remaining, 59, "never more than a minute's");
  nowMs -= 60_000;
  assert.equal(take().remaining, 58, "a clock that is set back takes nothing away");
});

test("over any time, a key gets its limit and what it had saved, whatever the rhythm of its requests", () => {
  const limiter = createRateLimiter(clock);
  let passed = 0;
  for (let step = 0; step < 6_000; step += 1) {
    nowMs += (step * 7) % 41;
    if (limiter.take("key_rhythm", 120).passes) passed += 1;
  }
  const minutes = (6_000 * 20) / 60_000;
  assert.ok(Math.abs(passed - (120 + 120 * minutes)) <= 2, `${passed} passed`);
});

let world: Awaited<ReturnType<typeof startFakeWorld>>;
before(async () => {
  world = await startFakeWorld();
});
after(() => world.stop());

test("every answer says what is left; beyond the limit it is 429 with Retry-After, and nothing is placed", async () => {
  const three = clientOf(world.url, keyOf.three!);
  const placed = await three("POST", "/v1/orders", anOrder());
  assert.equal(placed.status, 201);
  assert.equal(placed.headers.get("ratelimit-policy"), '"key";q=3;w=60');
  assert.equal(placed.headers.get("ratelimit"), '"key";r=2;t=20');
  const wrong = await three("POST", "/v1/orders", "{");
  assert.equal(wrong.status, 400);
  assert.match(wrong.headers.get("ratelimit") ?? "", /^"key";r=1;t=(39|40)$/);
  await three("POST", "/v1/orders/batch", { orders: [anOrder(), anOrder()] });
  const submitted = world.submitted.length;
  const refused = await three("POST", "/v1/orders", anOrder());
  assert.equal(refused.status, 429);
  assert.equal(refused.body.code, "rate_limited");
  assert.match(refused.body.detail ?? "", /3 requests a minute/);
  assert.match(refused.headers.get("retry-after") ?? "", /^(19|20)$/);
  assert.equal(world.submitted.length, submitted);
});

test("another key of the same client has its own limit, and admin keys have none", async () => {
  const four = clientOf(world.url, keyOf.four!);
  assert.equal((await four("GET", "/v1/orders")).headers.get("ratelimit"), '"key";r=3;t=15');
  const admin = await clientOf(world.url, keyOf.all!)("GET", "/v1/orders");
  assert.equal(admin.headers.get("ratelimit"), null);
});

test("what intake would not take is 503 at once, unread, and the connection goes on", async () => {
  const call = clientOf(world.url, keyOf.write!);
  world.refusal = new UoopError("overloaded", "Too many are ahead.", { retryAfterSeconds: 2 });
  const submitted = world.submitted.length;
  for (const [path, body] of [
    ["/v1/orders", { ...anOrder(), metadata: { long: "x".repeat(16_000) } }],
    ["/v1/orders/batch", { orders: [anOrder()] }],
    ["/v1/orders", "not even JSON"],
  ] as const) {
    const refused = await call("POST", path, body);
    assert.equal(refused.status, 503);
    assert.equal(refused.body.code, "overloaded");
    assert.equal(refused.headers.get("retry-after"), "2");
  }
  assert.equal(world.submitted.length, submitted);
  assert.equal((await call("GET", "/v1/orders")).status, 200, "reading is not refused");
  world.refusal = null;
  assert.equal((await call("POST", "/v1/orders", anOrder())).status, 201);
});
