import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel, SlotView } from "../../src/capacity/api.ts";
import { statement } from "../../src/platform/database.ts";
import type { PlatformEvent } from "../../src/relay/api.ts";
import { aChannel, anOrder, type Call, clientOf, readStream } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

/** capacity.updated and channel.health_changed: as they happen, few, and the last state always. */

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 1_000 };

let platform: TestPlatform;
let admin: Call;

before(async () => {
  platform = await startPlatform();
  admin = clientOf(platform.url, platform.apiKey);
});
after(() => platform.stop());

/** A channel far from all others, so that its orders are only its own. */
async function addChannel(lat: number): Promise<Channel> {
  const { body } = await admin<Channel>("POST", "/v1/channels", aChannel({ location: { lat, lng: 55.14 } }));
  const put = await admin("PUT", `/v1/channels/${body.id}/capacity`, { slots: [slot] });
  assert.equal(put.status, 200, put.text);
  return body;
}

const orderAt = (lat: number) =>
  anOrder({ delivery: { ...anOrder().delivery, location: { lat, lng: 55.14 } } });

/** All events of the channel from the beginning, until one of them is the last that is wanted. */
async function eventsOf(
  { id }: Channel,
  isLast: (event: PlatformEvent) => boolean,
  from = platform,
): Promise<PlatformEvent[]> {
  const of = (all: readonly { data: PlatformEvent }[]) =>
    all.map(({ data }) => data).filter(({ subject }) => subject === id);
  const { events } = await readStream(
    `${from.url}/v1/events/stream?types=capacity.updated,channel.health_changed`,
    from.apiKey,
    { lastEventId: "0", enough: (all) => of(all as never).some(isLast) },
  );
  return of(events as never);
}

const slotsOf = ({ data }: PlatformEvent) => data.slots as SlotView[];
const isReserved = (reserved: number) => (event: PlatformEvent) =>
  event.type === "capacity.updated" && slotsOf(event).some((one) => one.reserved === reserved);

/** No two events of a type are closer than half a second, and no id comes twice. */
function assertSpaced(events: readonly PlatformEvent[]): void {
  for (const type of new Set(events.map((event) => event.type))) {
    const times = events.filter((event) => event.type === type).map(({ time }) => Date.parse(time));
    for (let index = 1; index < times.length; index += 1)
      assert.ok(times[index]! - times[index - 1]! >= 500, `${type}: ${times[index]! - times[index - 1]!} ms`);
  }
  assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
}

test("what orders take is told, many orders at once in few events, and the last state always", async () => {
  const channel = await addChannel(10);
  const orders = Array.from({ length: 50 }, () => orderAt(10));
  for (let round = 0; round < 8; round += 1) {
    const placed = await admin("POST", "/v1/orders/batch", { orders });
    assert.equal(placed.status, 200);
  }
  const events = await eventsOf(channel, isReserved(800));
  assertSpaced(events);
  assert.ok(events.length < 40, `${events.length} events for 400 orders`);
  const taken = events.flatMap((event) => slotsOf(event).map(({ reserved }) => reserved));
  assert.deepEqual(
    taken,
    taken.toSorted((a, b) => a - b),
  );
  // Orders make no versions of the channel: who changes it is not disturbed.
  assert.equal((await admin<Channel>("GET", `/v1/channels/${channel.id}`)).body.version, 2);
  const sequences = events.map(({ data }) => data.sequence as number);
  assert.deepEqual(
    sequences,
    sequences.toSorted((a, b) => a - b),
  );
  const left = statement("", "select count(*)::int as left from dead_letters");
  assert.deepEqual(await platform.database.run(left), [{ left: 0 }]);
});

test("capacity that is set a hundred times in a row is told a few times, with the last value", async () => {
  const channel = await addChannel(20);
  for (let n = 1; n <= 100; n += 1)
    await admin("PUT", `/v1/channels/${channel.id}/capacity`, { slots: [{ ...slot, capacity: n }] });
  const events = await eventsOf(channel, (event) => slotsOf(event)[0]!.capacity === 100);
  assertSpaced(events);
  assert.ok(events.length < 50, `${events.length} events`);
});

test("a channel that is paused and resumed quickly is told of as it ends, from what was told before", async () => {
  const channel = await addChannel(30);
  const go = (verb: string) => admin("POST", `/v1/channels/${channel.id}/${verb}`);
  for (let n = 0; n < 20; n += 1) {
    await go("pause");
    await go("resume");
  }
  await go("pause");
  // Whatever is told of the channel after this is as it ended.
  await admin("PUT", `/v1/channels/${channel.id}/capacity`, { slots: [{ ...slot, capacity: 77 }] });
  const events = await eventsOf(
    channel,
    (event) => event.type === "capacity.updated" && slotsOf(event)[0]!.capacity === 77,
  );
  const health = events.filter(({ type }) => type === "channel.health_changed");
  assertSpaced(health);
  let told = "up";
  for (const { data } of health) {
    assert.equal(data.from, told);
    assert.notEqual(data.to, told);
    told = data.to as string;
  }
  assert.equal(told, "paused");
});

test("two processes that see the same channel tell of it no more often than one", async () => {
  const channel = await addChannel(40);
  const second = await startPlatform({ databaseUrl: platform.databaseUrl });
  const calls = [admin, clientOf(second.url, second.apiKey)];
  const orders = Array.from({ length: 10 }, () => orderAt(40));
  for (let round = 0; round < 20; round += 1)
    assert.equal((await calls[round % 2]!("POST", "/v1/orders/batch", { orders })).status, 200);
  assertSpaced(await eventsOf(channel, isReserved(400), second));
  await second.stop();
});

test("what a process that died had not told is told by the next one that starts", async () => {
  const channel = await addChannel(50);
  await eventsOf(channel, isReserved(0));
  // As if another process had committed it and died before it told.
  const lost = statement(
    "",
    "update allotments set reserved = 7 where slot_id in (select id from slots where channel_id = $1)",
  );
  await platform.database.run(lost, [channel.id]);
  const next = await startPlatform({ databaseUrl: platform.databaseUrl });
  const events = await eventsOf(channel, isReserved(7));
  assert.equal(events.length, 2);
  await next.stop();
});
