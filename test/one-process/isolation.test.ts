import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import type { Channel } from "../../src/capacity/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { aChannel, anOrder, type Call, clientOf, readStream } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 100_000 };

let platform: TestPlatform;
let admin: Call;

before(async () => {
  platform = await startPlatform({ env: { ANSWER_WITHIN_MS: "20000" } });
  admin = clientOf(platform.url, platform.apiKey);
  await addChannel({});
});
after(() => platform.stop());

async function addChannel(change: Record<string, unknown>): Promise<string> {
  const { body, status, text } = await admin<Channel>("POST", "/v1/channels", aChannel(change));
  assert.equal(status, 201, text);
  const put = await admin("PUT", `/v1/channels/${body.id}/capacity`, { slots: [slot] });
  assert.equal(put.status, 200, put.text);
  return body.id;
}

interface Placed {
  results: { status: number; order: OrderView }[];
}

async function place(orders: readonly object[], prefer?: string): Promise<Placed["results"]> {
  const headers: Record<string, string> = prefer === undefined ? {} : { prefer };
  const { body, status, text } = await admin<Placed>("POST", "/v1/orders/batch", { orders }, headers);
  assert.equal(status, 200, text);
  return body.results;
}

/** Asks for all events and takes none of them. */
async function openUnread(): Promise<Socket> {
  const { hostname, port } = new URL(platform.url);
  const socket = connect(Number(port), hostname);
  socket.write(
    `GET /v1/events/stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${platform.apiKey}\r\n\r\n`,
  );
  await once(socket, "readable");
  return socket;
}

test("readers that take nothing slow nobody: orders are confirmed, and another reader sees every event", async () => {
  const unread = await Promise.all(Array.from({ length: 10 }, openUnread));
  const count = 1_500;
  const seen = new Set<string>();
  let looked = 0;
  let placed: Promise<Placed["results"]> | undefined;
  // Each order carries 8 kB, so that what the others leave unread is more than sockets hold.
  const metadata = { note: "x".repeat(8_000) };
  const { ended } = await readStream(
    `${platform.url}/v1/events/stream?types=order.status_changed`,
    platform.apiKey,
    {
      onOpen: () => {
        placed = place(Array.from({ length: count }, () => anOrder({ metadata })));
      },
      enough: (events) => {
        for (const { data } of events.slice(looked))
          if ((data.data.order as OrderView).status === "confirmed") seen.add(data.subject);
        looked = events.length;
        return seen.size === count;
      },
    },
  );
  assert.equal(ended, false, "it left by itself, it was not cut off");
  const results = await placed!;
  assert.ok(results.every(({ status }) => status === 201));
  assert.deepEqual(seen, new Set(results.map(({ order }) => order.id)));
  for (const socket of unread) socket.destroy();
});

test("a partner that takes calls and never answers holds up its own orders only", async (t) => {
  const calls = new Set<Socket>();
  const silent = createServer((socket) => void calls.add(socket)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => {
    for (const socket of calls) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as { port: number };
  await addChannel({
    type: "external_partner",
    name: "Silent Bistro",
    endpoint: `http://127.0.0.1:${port}`,
    bookTimeoutMs: 30_000,
  });
  const only = (type: string) => anOrder({ routing: { channelTypes: [type] } });
  const first = once(silent, "connection");
  const stuck = await place(
    Array.from({ length: 200 }, () => only("external_partner")),
    "respond-async",
  );
  assert.ok(stuck.every(({ status }) => status === 202));
  await first;
  const others = await place(Array.from({ length: 200 }, () => only("internal_kitchen")));
  assert.ok(others.every(({ status }) => status === 201));
  for (const { order } of stuck) {
    const { body } = await admin<OrderView>("GET", `/v1/orders/${order.id}`);
    assert.notEqual(body.status, "confirmed");
  }
});
