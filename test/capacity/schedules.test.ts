import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel, ScheduleView, SlotView } from "../../src/capacity/api.ts";
import { runCheck } from "../../src/check/check.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
import { aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

/** Schedules over HTTP, on the real database. Every test has a place of its own, so that orders go to its channel only. */
let platform: TestPlatform;
let call: Call;
let aheadMs = 0;
const clock: Clock = { nowMs: () => systemClock.nowMs() + aheadMs, after: systemClock.after };

before(async () => {
  platform = await startPlatform({ overrides: { clock } });
  call = clientOf(platform.url, platform.apiKey);
});
after(() => platform.stop());

const dayMs = 86_400_000;
const hourMs = 3_600_000;
const allDays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const wholeDay = { days: allDays, open: "00:00", close: "24:00", capacity: 4 };
const aSchedule = (change: object = {}) => ({
  timeZone: "UTC",
  slotMinutes: 120,
  weekly: [wholeDay],
  exceptions: [],
  ...change,
});

let places = 0;
async function makeChannel(fields: object = {}) {
  places += 1;
  const location = { lat: -40 + places, lng: 10 };
  const made = await call<Channel>("POST", "/v1/channels", aChannel({ location, ...fields }));
  assert.equal(made.status, 201, made.text);
  return made.body;
}

const put = (id: string, schedule: object, query = "", headers: Record<string, string> = {}) =>
  call<ScheduleView & { kept?: { start: string; reserved: number; sellable: number }[] }>(
    "PUT",
    `/v1/channels/${id}/schedule${query}`,
    schedule,
    headers,
  );

async function slotsOf(id: string): Promise<readonly SlotView[]> {
  const from = new Date(clock.nowMs()).toISOString();
  const to = new Date(clock.nowMs() + 30 * dayMs).toISOString();
  const path = `/v1/channels/${id}/capacity?from=${from}&to=${to}`;
  const { body, status, text } = await call<{ slots: SlotView[] }>("GET", path);
  assert.equal(status, 200, text);
  return body.slots;
}

/** An order into the slot that begins at the next even hour but one (UTC). */
async function place(channel: Channel, change: { quantity?: number; inHours?: number } = {}) {
  const { quantity = 1, inHours = 4 } = change;
  const startMs = (Math.floor(clock.nowMs() / (2 * hourMs)) * 2 + inHours) * hourMs;
  const window = { start: iso(startMs), end: iso(startMs + 2 * hourMs) };
  const order = anOrder({
    items: [{ sku: "meal", quantity, unitPriceMinor: 100 }],
    delivery: { location: channel.location, window },
  });
  return call<OrderView>("POST", "/v1/orders", order, { prefer: "wait=1" });
}
const iso = (ms: number) => new Date(ms).toISOString();

test("slots are made two weeks ahead, by a schedule that is read back, and the same again changes nothing", async () => {
  const { id } = await makeChannel();
  assert.equal((await call("GET", `/v1/channels/${id}/schedule`)).body.code, "schedule_not_found");
  const made = await put(id, aSchedule());
  assert.equal(made.status, 200, made.text);
  assert.equal(made.headers.get("etag"), '"1"');
  const slots = await slotsOf(id);
  assert.ok(slots.length > 14 * 12 && slots.length <= 15 * 12, String(slots.length));
  assert.ok(slots.every(({ capacity, sellable }) => capacity === 4 && sellable === 4));
  assert.equal(made.body.madeUntil, slots.at(-1)!.start.slice(0, 10));
  const again = await put(id, aSchedule(), "", { "if-match": '"7"' });
  assert.deepEqual(again.body, made.body);
  const read = await call<ScheduleView>("GET", `/v1/channels/${id}/schedule`);
  assert.deepEqual(read.body, made.body);
});

test("a change that expects another version is refused; one that expects the right one is done", async () => {
  const { id } = await makeChannel();
  const early = await put(id, aSchedule(), "", { "if-match": '"1"' });
  assert.equal(early.body.code, "version_conflict");
  await put(id, aSchedule());
  const changed = await put(id, aSchedule({ slotMinutes: 240 }), "", { "if-match": '"1"' });
  assert.deepEqual([changed.status, changed.body.version], [200, 2]);
  assert.equal((await put(id, aSchedule(), "", { "if-match": '"1"' })).body.code, "version_conflict");
  const slots = await slotsOf(id);
  assert.ok(slots.every(({ start, end }) => Date.parse(end) - Date.parse(start) === 4 * hourMs));
});

test("slots set by hand win over the schedule, also when it changes", async () => {
  const { id } = await makeChannel();
  const startMs = (Math.floor(clock.nowMs() / dayMs) + 3) * dayMs + hourMs;
  const byHand = { start: iso(startMs), end: iso(startMs + hourMs), capacity: 77 };
  await call("PUT", `/v1/channels/${id}/capacity`, { slots: [byHand] });
  await put(id, aSchedule());
  const overlapping = async () =>
    (await slotsOf(id))
      .filter(({ start, end }) => start < byHand.end && end > byHand.start)
      .map(({ capacity }) => capacity);
  assert.deepEqual(await overlapping(), [77]);
  await put(id, aSchedule({ weekly: [{ ...wholeDay, capacity: 5 }] }));
  assert.deepEqual(await overlapping(), [77]);
  // A scheduled slot that is set by hand is one of those from then on.
  const { start, end } = (await slotsOf(id)).at(-1)!;
  await call("PUT", `/v1/channels/${id}/capacity`, { slots: [{ start, end, capacity: 9 }] });
  await put(id, aSchedule());
  assert.equal((await slotsOf(id)).at(-1)!.capacity, 9);
});

test("a schedule that has less than is reserved is refused whole, or keeps it and sells nothing more", async () => {
  const channel = await makeChannel();
  await put(channel.id, aSchedule());
  const placed = await place(channel, { quantity: 3 });
  assert.equal(placed.status, 201, placed.text);
  const slot = placed.body.legs[0]!.slot;
  const day = { date: slot.start.slice(0, 10), hours: [] };
  const closed = aSchedule({ exceptions: [day], slotMinutes: 240 });
  const refused = await put(channel.id, closed);
  assert.equal(refused.body.code, "capacity_below_reserved");
  assert.match(refused.body.detail ?? "", new RegExp(`${slot.start}.*3 units are reserved`));
  assert.equal((await call<ScheduleView>("GET", `/v1/channels/${channel.id}/schedule`)).body.version, 1);
  const kept = await put(channel.id, closed, "?whenReserved=keep");
  assert.equal(kept.status, 200, kept.text);
  assert.deepEqual(
    kept.body.kept?.map(({ start, reserved, sellable }) => [start, reserved, sellable]),
    [[slot.start, 3, 0]],
  );
  const ofDay = (await slotsOf(channel.id)).filter(({ start }) => start.startsWith(day.date));
  assert.deepEqual(
    ofDay.map(({ start, capacity, reserved }) => [start, capacity, reserved]),
    [[slot.start, 0, 3]],
  );
  assert.notEqual((await place(channel)).status, 201);
  // What is given back there is not sold again.
  await call("POST", `/v1/orders/${placed.body.id}/cancel`);
  assert.notEqual((await place(channel)).status, 201);
  // Opened again, the slots of that day are there again, the retired ones among them.
  await put(channel.id, aSchedule());
  assert.equal((await place(channel)).status, 201);
});

test("what may be sold is the capacity with its overbooking margin and without its safety stock", async () => {
  const channel = await makeChannel();
  await put(channel.id, aSchedule({ overbooking: { percent: 50 }, safetyUnits: 1 }));
  assert.ok((await slotsOf(channel.id)).every(({ sellable }) => sellable === 5));
  const statuses = [];
  for (let count = 0; count < 5; count += 1) statuses.push((await place(channel)).status);
  assert.deepEqual(statuses, [201, 201, 201, 201, 201]);
  assert.notEqual((await place(channel)).status, 201);
});

test("no order is taken after a slot's cut-off, and larger orders need longer", async () => {
  const channel = await makeChannel({ preparationMinutes: 0 });
  await put(channel.id, aSchedule({ cutOffMinutes: 600 }));
  assert.equal((await place(channel, { inHours: 4 })).status, 409);
  assert.equal((await place(channel, { inHours: 14 })).status, 201);
  const preparation = { baseMinutes: 60, perItemMinutes: 60 };
  await put(channel.id, aSchedule({ preparation, weekly: [{ ...wholeDay, capacity: 100 }] }));
  assert.equal((await place(channel, { quantity: 1 })).status, 201);
  const large = await place(channel, { quantity: 10 });
  assert.equal(large.status, 409);
  assert.match(large.text, /too_late/);
});

test("as days pass slots are made ahead, at a start or while running; two processes make them once", async () => {
  const { id } = await makeChannel();
  await put(id, aSchedule());
  const before = await slotsOf(id);
  aheadMs = 3 * dayMs;
  const others = await Promise.all(
    [1, 2].map(() => startPlatform({ databaseUrl: platform.databaseUrl, overrides: { clock } })),
  );
  const after = await slotsOf(id);
  for (const other of others) await other.stop();
  assert.equal(after.at(-1)!.start, iso(Date.parse(before.at(-1)!.start) + 3 * dayMs));
  assert.equal(new Set(after.map(({ start }) => start)).size, after.length);
  assert.ok(after.every((slot, index) => index === 0 || after[index - 1]!.end === slot.start));
  aheadMs = 0;
});

test("a schedule that contradicts itself is refused, by field", async () => {
  const { id } = await makeChannel();
  const fields = async (schedule: object) => {
    const { status, body, text } = await put(id, schedule);
    assert.equal(status, 400, text);
    assert.equal(body.code, "validation_failed");
    return body.errors?.map(({ pointer }) => pointer);
  };
  assert.deepEqual(await fields(aSchedule({ timeZone: "Mars/Olympus" })), ["/timeZone"]);
  assert.deepEqual(await fields(aSchedule({ slotMinutes: 50 })), ["/weekly/0"]);
  assert.deepEqual(await fields(aSchedule({ weekly: [wholeDay, { ...wholeDay, days: ["sun"] }] })), [
    "/weekly",
  ]);
  assert.deepEqual(await fields(aSchedule({ exceptions: [{ date: "2026-02-30", hours: [] }] })), [
    "/exceptions/0/date",
  ]);
  assert.deepEqual(await fields(aSchedule({ weekly: [{ ...wholeDay, open: "24:00" }] })), ["/weekly/0/open"]);
  assert.deepEqual(await fields(aSchedule({ weekly: [{ ...wholeDay, capacity: -1 }] })), [
    "/weekly/0/capacity",
  ]);
  assert.equal((await put("chn_01kq5g3v9te3h8m8h8m8h8m8h8", aSchedule())).body.code, "channel_not_found");
  assert.equal((await call("GET", `/v1/channels/${id}/schedule`)).status, 404);
});

test("after all of this every invariant holds", async () => {
  const { findings } = await runCheck({ database: platform.database, out: () => undefined });
  assert.deepEqual(
    findings.flatMap(({ name, violations }) => violations.map(({ what }) => `${name}: ${what}`)),
    [],
  );
});
