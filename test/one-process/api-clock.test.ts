import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { OrderView } from "../../src/orchestration/order.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

const hourMs = 3_600_000;
let aheadMs = 0;
const clock: Clock = { nowMs: () => systemClock.nowMs() + aheadMs, after: systemClock.after };

let platform: TestPlatform;
let call: Call;

before(async () => {
  platform = await startPlatform({ overrides: { clock } });
  call = clientOf(platform.url, platform.apiKey);
  const { body } = await call<{ id: string }>("POST", "/v1/channels", aChannel());
  const start = new Date().toISOString();
  const slots = [{ start, end: new Date(Date.now() + 6 * hourMs).toISOString(), capacity: 100 }];
  await call("PUT", `/v1/channels/${body.id}/capacity`, { slots });
});
after(() => platform.stop());

test("a replay is known when its window has passed meanwhile; the same order under a new key is not", async () => {
  const body = anOrder();
  const first = await call<OrderView>("POST", "/v1/orders", body, { "idempotency-key": "k" });
  assert.equal(first.status, 201, first.text);
  aheadMs = 5 * hourMs;
  const again = await call<OrderView>("POST", "/v1/orders", body, { "idempotency-key": "k" });
  assert.equal(again.body.id, first.body.id, again.text);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  const fresh = await call("POST", "/v1/orders", body, { "idempotency-key": "other" });
  assert.equal(fresh.body.code, "window_in_past");
  const reused = await call("POST", "/v1/orders", anOrder({ customerId: "else" }), {
    "idempotency-key": "k",
  });
  assert.equal(reused.body.code, "idempotency_key_reused");
});
