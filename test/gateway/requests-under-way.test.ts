import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { anOrder, clientOf } from "./client.ts";
import { keyOf, startFakeWorld } from "./world.ts";

const most = 3;
let world: Awaited<ReturnType<typeof startFakeWorld>>;
/** Lets the orders that wait be answered. */
let release = (): void => undefined;
let waiting = 0;
let arrived = (): void => undefined;

before(async () => {
  world = await startFakeWorld({}, { maxRequestsUnderWay: most });
  const place = world.orchestration.submit;
  world.orchestration.submit = async (...asked) => {
    const released = new Promise<void>((resolve) => {
      const others = release;
      release = () => {
        others();
        resolve();
      };
    });
    waiting += 1;
    arrived();
    await released;
    waiting -= 1;
    return place(...asked);
  };
});
after(() => world.stop());

async function untilWaiting(count: number): Promise<void> {
  while (waiting < count)
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
}

function letGo(): void {
  release();
  release = () => undefined;
}

const raw = (order: string): string =>
  `POST /v1/orders HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${keyOf.write}\r\n` +
  `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(order)}\r\n\r\n${order}`;

function dial(): Socket {
  const { hostname, port } = new URL(world.url);
  return connect(Number(port), hostname);
}

test("beyond the requests under way it is 503 at once, unread; health still answers, and then all is as before", async () => {
  const call = clientOf(world.url, keyOf.write!);
  const held = Array.from({ length: most }, () => call("POST", "/v1/orders", anOrder()));
  await untilWaiting(most);
  for (const [method, path, body] of [
    ["POST", "/v1/orders", { ...anOrder(), metadata: { long: "x".repeat(16_000) } }],
    ["POST", "/v1/orders/batch", "not even JSON"],
    ["GET", "/v1/orders", undefined],
  ] as const) {
    const refused = await call(method, path, body);
    assert.equal(refused.status, 503);
    assert.equal(refused.body.code, "overloaded");
    assert.equal(refused.headers.get("retry-after"), "1");
  }
  assert.equal((await call("GET", "/health/ready")).status, 200);
  assert.equal((await call("GET", "/metrics")).status, 200);
  letGo();
  for (const { status } of await Promise.all(held)) assert.equal(status, 201);
  assert.equal((await call("GET", "/v1/orders")).status, 200);
});

test("a client that leaves before its answer gives its place back", async () => {
  const sockets = Array.from({ length: most }, dial);
  for (const socket of sockets) socket.write(raw(JSON.stringify(anOrder())));
  await untilWaiting(most);
  for (const socket of sockets) socket.resetAndDestroy();
  const call = clientOf(world.url, keyOf.write!);
  let status = 503;
  while (status === 503) ({ status } = await call("GET", "/v1/orders"));
  assert.equal(status, 200);
  letGo();
});

test("what is refused unread leaves its connection usable, however long the body was", async () => {
  const call = clientOf(world.url, keyOf.write!);
  const held = Array.from({ length: most }, () => call("POST", "/v1/orders", anOrder()));
  await untilWaiting(most);
  const socket = dial();
  let text = "";
  let heard = (): void => undefined;
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    heard();
  });
  const answers = async (count: number) => {
    while ((text.match(/HTTP\/1\.1 \d{3}/g) ?? []).length < count)
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
  };
  // The second begins only when the first one's body, longer than what a socket buffers, has been sent to its end.
  const long = raw(JSON.stringify({ ...anOrder(), metadata: { long: "x".repeat(3_000_000) } }));
  if (!socket.write(long)) await once(socket, "drain");
  await answers(1);
  letGo();
  await Promise.all(held);
  socket.write(raw(JSON.stringify(anOrder())));
  await untilWaiting(1);
  letGo();
  await answers(2);
  assert.deepEqual(text.match(/HTTP\/1\.1 \d{3}/g), ["HTTP/1.1 503", "HTTP/1.1 201"]);
  socket.destroy();
});
