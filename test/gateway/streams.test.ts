import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import type { OrderView } from "../../src/orchestration/order.ts";
import { type Clock, systemClock } from "../../src/platform/clock.ts";
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

test("a quiet stream shows that it lives", async () => {
  const hurried: Clock = { nowMs: systemClock.nowMs, after: (_ms, fn) => systemClock.after(1, fn) };
  const own = await startFakeWorld({ clock: hurried });
  const response = await fetch(`${own.url}/v1/events/stream`, {
    headers: { authorization: `Bearer ${keyOf.all}` },
  });
  let text = "";
  for await (const chunk of response.body!) {
    text += Buffer.from(chunk).toString();
    if (text.split("\n\n").filter((block) => block === ":").length >= 3) break;
  }
  await own.stop();
});

test("a client that takes nothing is not buffered for, and is forgotten when it leaves", async () => {
  const order = await placed();
  let given = 0;
  let forgotten = (): void => undefined;
  const left = new Promise<void>((resolve) => (forgotten = resolve));
  const event = eventOf({ ...order, metadata: { big: "x".repeat(10_000) } }, 1, "received");
  async function* endless() {
    try {
      for (;;) yield { position: String(++given), event: { ...event } };
    } finally {
      forgotten();
    }
  }
  const own = await startFakeWorld();
  own.feed.subscribe = endless;
  const { hostname, port } = new URL(own.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /v1/events/stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${keyOf.all}\r\n\r\n`);
  await once(socket, "readable"); // never read
  let before = -1;
  while (given !== before) {
    before = given;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.ok(given > 0 && given < 5_000, `${given} events of 10 kB were taken for it`);
  socket.destroy();
  await left;
  await own.stop();
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
  const placed = await placing;
  assert.equal(placed.status, 201);
  assert.equal(placed.headers.get("connection"), "close", "the next request must not be sent on it");
  await stopping;
  await own.stop();
});
