import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel, SlotView } from "../../src/capacity/api.ts";
import { runCheck } from "../../src/check/check.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import type { Problem } from "../../src/platform/errors.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

let platform: TestPlatform;
let call: Call;
before(async () => {
  platform = await startPlatform();
  call = clientOf(platform.url, platform.apiKey);
});
after(() => platform.stop());

const hourMs = 3_600_000;
const dayMs = Math.floor(Date.now() / (24 * hourMs)) * 24 * hourMs;
const times = (hour: number) => ({
  start: new Date(dayMs + hour * hourMs).toISOString(),
  end: new Date(dayMs + (hour + 1) * hourMs).toISOString(),
});
let places = 0;
async function makeChannel(): Promise<Channel> {
  places += 1;
  const made = await call<Channel>(
    "POST",
    "/v1/channels",
    aChannel({ location: { lat: -40 + places, lng: 30 } }),
  );
  assert.equal(made.status, 201, made.text);
  return made.body;
}
interface Result {
  status: number;
  line?: number;
  slot?: SlotView;
  problem?: Problem;
}
const bulk = (body: unknown, headers: Record<string, string> = {}) =>
  call<{ results: Result[] }>("POST", "/v1/capacity/bulk", body, headers);
const shown = (results: readonly Result[]) =>
  results.map(({ status, slot, problem }) => `${status} ${slot ? slot.capacity : problem?.code}`);

test("rows of many channels are set, each answered by itself, and the same again is the same", async () => {
  const ids = (await Promise.all(Array.from({ length: 6 }, makeChannel))).map(({ id }) => id);
  const slots = Array.from({ length: 600 }, (_, index) => ({
    channelId: ids[index % 6],
    ...times(24 + Math.floor(index / 6)),
    capacity: index,
  }));
  for (let time = 0; time < 2; time += 1) {
    const { body, status, text } = await bulk({ slots });
    assert.equal(status, 200, text);
    assert.deepEqual(
      body.results.map(({ status: one, slot }) => [one, slot?.start, slot?.capacity]),
      slots.map(({ start, capacity }) => [200, start, capacity]),
    );
  }
});

test("one bad row never fails the others", async () => {
  const [channel, other] = [await makeChannel(), await makeChannel()];
  await bulk({ slots: [{ channelId: channel.id, ...times(26), capacity: 5 }] });
  const order = anOrder({
    items: [{ sku: "a", quantity: 3, unitPriceMinor: 1 }],
    delivery: { location: channel.location, window: times(26) },
  });
  assert.equal((await call<OrderView>("POST", "/v1/orders", order)).status, 201);
  const { id: channelId } = channel;
  const { start, end } = times(27);
  const { body } = await bulk({
    slots: [
      { channelId, ...times(25), capacity: 1 },
      { channelId, ...times(26), capacity: 2 },
      { channelId, start: times(25).start, end: times(26).end, capacity: 1 },
      { channelId, start: end, end: start, capacity: 1 },
      { channelId, ...times(25), capacity: 9 },
      { channelId: "chn_01kq5g3v9te3h8m8h8m8h8m8h8", ...times(25), capacity: 1 },
      { channelId: "nobody", ...times(25), capacity: 1 },
      { channelId, ...times(28), capacity: -1 },
      "nonsense",
      { channelId: other.id, ...times(25), capacity: 7 },
      { channelId, ...times(27), capacity: 8 },
    ],
  });
  assert.deepEqual(shown(body.results), [
    "200 1",
    "409 capacity_below_reserved",
    "409 slots_overlap",
    "400 window_reversed",
    "409 slots_overlap",
    "404 channel_not_found",
    "404 channel_not_found",
    "400 validation_failed",
    "400 validation_failed",
    "200 7",
    "200 8",
  ]);
});

test("a table is the same, and each result names its line", async () => {
  const { id } = await makeChannel();
  const csv = { "content-type": "text/csv; charset=utf-8" };
  const row = (hour: number, capacity: string) => `${id},${times(hour).start},${times(hour).end},${capacity}`;
  const table = ["channelId,start,end,capacity", row(25, "4"), "", row(26, "many"), row(27, "6")].join("\n");
  const { body, status, text } = await bulk(table, csv);
  assert.equal(status, 200, text);
  assert.deepEqual(
    body.results.map(({ line, status: one }) => [line, one]),
    [
      [2, 200],
      [4, 400],
      [5, 200],
    ],
  );
  assert.equal(body.results[1]!.problem?.errors?.[0]?.pointer, "/capacity");
  const headless = await bulk(row(25, "4"), csv);
  assert.equal(headless.body.code, "validation_failed");
  assert.match(headless.body.errors?.[0]?.message ?? "", /line 1/);
});

test("more rows than are taken are refused with the limit, and an empty list is one", async () => {
  const slots = Array.from({ length: 10_001 }, () => 0);
  const { status, body } = await bulk({ slots });
  assert.deepEqual([status, body.code], [413, "payload_too_large"]);
  assert.match(body.detail ?? "", /10000 at most/);
  assert.equal((await bulk({ slots: [] })).body.code, "validation_failed");
  assert.equal((await bulk({ rows: [] })).body.code, "validation_failed");
});

test("after all of this every invariant holds", async () => {
  const { findings } = await runCheck({ database: platform.database, out: () => undefined });
  assert.deepEqual(
    findings.flatMap(({ name, violations }) => violations.map(({ what }) => `${name}: ${what}`)),
    [],
  );
});
