import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { consumers } from "../../examples/consumers/all.ts";
import { applyEvents, type Order, openStore, positionOf } from "../../examples/consumers/consumer.ts";
import { createClient, type OwnChannel } from "../../src/demo/client.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { systemClock, toIso } from "../../src/platform/clock.ts";
import { until } from "../channels/support.ts";
import { startPlatform } from "../support/platform.ts";

const program = new URL("../../examples/consumers/main.ts", import.meta.url).pathname;
const orders = 120;
/** Received, reserved, booked, confirmed, and 0 to 4 reports. */
const allChanges = (orders / 5) * (5 * 4 + 0 + 1 + 2 + 3 + 4);

async function world() {
  const platform = await startPlatform();
  const client = createClient(platform.url, platform.apiKey, systemClock);
  const folder = await mkdtemp(join(tmpdir(), "uoop-consumers-"));
  after(async () => {
    await client.close();
    await platform.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const nowMs = Date.now();
  const window = { start: toIso(nowMs + 3_600_000), end: toIso(nowMs + 7_200_000) };
  const kitchen = await client.createChannel({
    type: "internal_kitchen",
    name: "Kitchen",
    location: { lat: 25.08, lng: 55.14 },
    serviceRadiusMeters: 10_000,
    vehicles: ["bike"],
    costModel: { currency: "AED", baseMinor: 500, perKmMinor: 100, perUnitMinor: 10 },
    quality: 1,
    preparationMinutes: 10,
    bookTimeoutMs: 2_000,
    maxConcurrentCalls: 16,
  });
  await client.putCapacity(kitchen.id, [{ ...window, capacity: 10 * orders }]);
  const place = (index: number) =>
    client.placeOrder({
      externalId: `o-${index}`,
      customerId: `cus_${index % 7}`,
      currency: "AED",
      items: [{ sku: `meal-${index % 5}`, quantity: 1 + (index % 3), unitPriceMinor: 1_000 + index }],
      delivery: { location: { lat: 25.0772, lng: 55.1405 }, window },
    });
  return { platform, client, folder, kitchen, place };
}

/** Places an order and lets it end where its number says. */
async function play({ client, kitchen, place }: Awaited<ReturnType<typeof world>>, index: number) {
  const { order } = await place(index);
  const last = index % 5;
  const kinds = (["preparing", "ready", "dispatched", "delivered"] as const).slice(0, last);
  for (const kind of kinds) await report(client, kitchen, order, kind);
}

const report = (
  client: ReturnType<typeof createClient>,
  kitchen: OwnChannel,
  { id, legs }: OrderView,
  kind: "preparing" | "ready" | "dispatched" | "delivered",
) => {
  const attemptKey = `${id}.1.${legs[0]!.attempt}`;
  return client.report(kitchen, {
    callbackId: `${attemptKey}.${kind}`,
    attemptKey,
    kind,
    at: toIso(Date.now()),
  });
};

test("consumers that are killed again and again miss nothing and count nothing twice", async () => {
  const here = await world();
  const { platform, client, folder } = here;
  const stores = consumers.map((consumer) => openStore(consumer, join(folder, `${consumer.name}.db`)));
  after(() => {
    for (const store of stores) store.close();
  });
  const start = (): ChildProcess =>
    spawn(process.execPath, [program, platform.url, folder], {
      env: { UOOP_API_KEY: platform.apiKey },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
  let child = start();
  after(() => child.kill("SIGKILL"));
  const positions = () => stores.map((store) => Number(positionOf(store)));

  const playing = (async () => {
    for (let from = 0; from < orders; from += 10)
      await Promise.all(Array.from({ length: 10 }, (_, index) => play(here, from + index)));
  })();
  for (let kills = 0; kills < 3; kills += 1) {
    const before = positions();
    await until(() => positions().every((position, index) => position > before[index]!));
    child.kill("SIGKILL");
    await once(child, "exit");
    child = start();
  }
  await playing;

  // The list may be behind what was reported (a projection too), so both sides are read until they meet.
  const giveUpMs = Date.now() + 20_000;
  let saw: unknown;
  let expected: unknown;
  await until(async () => {
    const all: Order[] = [];
    for await (const page of client.listOrders()) all.push(...page);
    saw = consumers.map((consumer, index) => [consumer.name, consumer.summary(stores[index]!)]);
    expected = consumers.map((consumer) => [consumer.name, consumer.expected(all)]);
    const changes = all.reduce((sum, { version }) => sum + version, 0);
    return (isDeepStrictEqual(saw, expected) && changes === allChanges) || Date.now() > giveUpMs;
  });
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.deepEqual(saw, expected);
  assert.deepEqual(consumers[3]!.summary(stores[3]!), { changes: allChanges, delivered: orders / 5 });
});

test("events that come again change nothing, and a failed one leaves effects and cursor as they were", () => {
  const order = (version: number, status: string): Order => ({
    id: "ord_1",
    version,
    status,
    customerId: "cus_1",
    currency: "AED",
    items: [{ sku: "meal", quantity: 2, unitPriceMinor: 100 }],
  });
  const events = ["received", "confirmed", "preparing", "ready", "dispatched", "delivered"].map(
    (status, index) => ({
      position: String(index + 1),
      order: order(index + 1, status),
    }),
  );
  for (const consumer of consumers) {
    const store = openStore(consumer, ":memory:");
    applyEvents(consumer, store, events.slice(0, 3));
    const broken = { ...consumer, handle: () => assert.fail("the store is full") };
    assert.throws(() => applyEvents(broken, store, events.slice(3)), /the store is full/);
    assert.equal(positionOf(store), "3");
    applyEvents(consumer, store, events.slice(1));
    applyEvents(consumer, store, events);
    assert.deepEqual(consumer.summary(store), consumer.expected([events.at(-1)!.order]), consumer.name);
    store.close();
  }
});
