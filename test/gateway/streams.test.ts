import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { OrderView } from "../../src/orchestration/order.ts";
import type { PlatformEvent } from "../../src/relay/api.ts";
import { anOrder, clientOf, readStream } from "./client.ts";
import { keyOf, startFakeWorld } from "./world.ts";

let world: Awaited<ReturnType<typeof startFakeWorld>>;

before(async () => {
  world = await startFakeWorld();
});
after(() => world.stop());

const eventOf = (order: OrderView, version: number, status: OrderView["status"]): PlatformEvent => ({
  specversion: "1.0",
  id: `${order.id}.${version}.order.status_changed`,
  source: "/uoop",
  type: version === 1 ? "order.created" : "order.status_changed",
  subject: order.id,
  time: order.updatedAt,
  datacontenttype: "application/json",
  dataschema: "https://uoop.dev/schemas/order.status_changed.json",
  subjectversion: version,
  partitionkey: "3",
  data: { order: { ...order, status, version } },
});

async function placed(): Promise<OrderView> {
  const { body } = await clientOf(world.url, keyOf.write!)<OrderView>("POST", "/v1/orders", anOrder());
  return body;
}

const setStatus = (order: OrderView, status: OrderView["status"], version: number) => {
  const stored = world.orders.get(order.id)!;
  stored.order = { ...stored.order, status, version };
};

test("an order's stream begins with what was, goes on live and ends with the final event; then 204", async () => {
  const order = await placed();
  world.publish(eventOf(order, 1, "received"));
  world.publish(eventOf(order, 4, "confirmed"));
  const url = `${world.url}/v1/orders/${order.id}/stream`;
  const reading = readStream(url, keyOf.write!, {
    enough: (events) => {
      if (events.length === 2 && world.events.length === 2) {
        setStatus(order, "delivered", 6);
        world.publish(eventOf(order, 5, "dispatched"));
        world.publish(eventOf(order, 6, "delivered"));
      }
      return false;
    },
  });
  const { events, ended } = await reading;
  assert.equal(ended, true);
  assert.deepEqual(
    events.map(({ data }) => data.subjectversion),
    [1, 4, 5, 6],
  );
  assert.deepEqual(
    events.map(({ type }) => type),
    ["order.created", ...Array(3).fill("order.status_changed")],
  );

  const again = await readStream(url, keyOf.write!, { lastEventId: events.at(-1)!.id, enough: () => false });
  assert.equal(again.status, 204);
  const middle = await readStream(url, keyOf.write!, { lastEventId: events[1]!.id, enough: () => false });
  assert.deepEqual(
    middle.events.map(({ data }) => data.subjectversion),
    [5, 6],
  );
});

test("the stream of all events begins now, or after Last-Event-ID, and takes only the types that are wanted", async () => {
  const order = await placed();
  const before = world.events.length;
  const { events } = await readStream(`${world.url}/v1/events/stream?types=order.created`, keyOf.all!, {
    enough: (seen) => seen.length === 1,
    onOpen: () => {
      world.publish(eventOf(order, 2, "reserved"));
      world.publish(eventOf(order, 1, "received"));
    },
  });
  assert.deepEqual(
    events.map(({ data, id }) => [data.subjectversion, id]),
    [[1, String(before + 2)]],
  );
  const resumed = await readStream(`${world.url}/v1/events/stream`, keyOf.all!, {
    lastEventId: String(before + 1),
    enough: (seen) => seen.length === 1,
  });
  assert.equal(resumed.events[0]!.id, String(before + 2));
});

test("a Last-Event-ID that no stream sent is refused", async () => {
  const call = clientOf(world.url, keyOf.all!);
  const { body } = await call("GET", "/v1/events/stream", undefined, { "last-event-id": "yesterday" });
  assert.equal(body.code, "cursor_invalid");
});

test("a stop ends the streams and lets requests under way finish; what comes then is told that it stops", async () => {
  const own = await startFakeWorld();
  const key = keyOf.all!;
  let opened = (): void => undefined;
  const open = new Promise<void>((resolve) => (opened = resolve));
  const reading = readStream(`${own.url}/v1/events/stream`, key, {
    enough: () => false,
    onOpen: () => opened(),
  });
  await open;
  const { submit } = own.orchestration;
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const arrived = new Promise<void>((resolve) => {
    own.orchestration.submit = async (...args) => {
      resolve();
      await held;
      return submit(...args);
    };
  });
  const placing = clientOf(own.url, key)("POST", "/v1/orders", anOrder());
  await arrived;
  const stopping = own.stop();
  assert.equal((await reading).ended, true);
  release();
  assert.equal((await placing).status, 201);
  await stopping;
  await own.stop();
});
