import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { after, mock, test } from "node:test";
import { Webhook } from "standardwebhooks";
import type { Channel } from "../../src/capacity/api.ts";
import { bookingRequest, channelOf, newSecret, testChannels, testServer } from "./support.ts";

const secret = newSecret();

/** A partner that answers each call with what the test says; the adapters that call it. */
async function partner(
  answer: (
    call: Record<string, unknown>,
    path: string,
  ) => { status: number; body?: unknown; headers?: Record<string, string> },
) {
  const paths: string[] = [];
  const { url } = await testServer((request, response, body) => {
    const path = request.url!.split("/").at(-1)!;
    if (path !== "capabilities") paths.push(path);
    const call = body === "" ? {} : (JSON.parse(body) as Record<string, unknown>);
    const { status, body: out = "", headers = {} } = answer(call, path);
    response.writeHead(status, headers).end(typeof out === "string" ? out : JSON.stringify(out));
  });
  const channel = channelOf("external_partner", { endpoint: url });
  return { channel, paths, ...adapt(channel) };
}

function adapt(channel: Channel) {
  const channels = testChannels(secret);
  after(() => channels.stop());
  const adapter = channels.adapterFor(channel);
  const request = bookingRequest();
  return { adapter, request, book: async () => (await adapter.book(channel, [request]))[0]! };
}

const cases = [
  {
    name: "429 is retry, after the time it says",
    status: 429,
    headers: { "retry-after": "7" },
    kind: "retry",
    afterMs: 7_000,
  },
  { name: "503 is retry", status: 503, kind: "retry", afterMs: 1_000 },
  { name: "500 is unknown", status: 500, kind: "unknown" },
  { name: "502 is unknown", status: 502, kind: "unknown" },
  { name: "408 is unknown", status: 408, kind: "unknown" },
  { name: "a redirect is unknown", status: 302, headers: { location: "/elsewhere" }, kind: "unknown" },
  {
    name: "401 is retry: it was not taken, and it is no refusal",
    status: 401,
    kind: "retry",
    afterMs: 5_000,
  },
  {
    name: "400 is retry: it was not taken, and it is no refusal",
    status: 400,
    kind: "retry",
    afterMs: 5_000,
  },
  { name: "an empty 200 is unknown", status: 200, kind: "unknown" },
  { name: "a 200 that is not JSON is unknown", status: 200, body: "<html>ok</html>", kind: "unknown" },
  {
    name: "a 409 that is not the protocol's is unknown",
    status: 409,
    body: { error: "conflict" },
    kind: "unknown",
  },
] as const;

for (const { name, kind, ...rest } of cases) {
  test(name, async () => {
    const { book } = await partner((_call, path) => (path === "capabilities" ? { status: 404 } : rest));
    const outcome = await book();
    assert.equal(outcome.kind, kind);
    if ("afterMs" in rest) assert.equal((outcome as { afterMs: number }).afterMs, rest.afterMs);
  });
}

for (const status of [409, 422]) {
  test(`a documented refusal with ${status} is refused`, async () => {
    const { book } = await partner((call) => ({
      status,
      body: { key: call.key, status: "refused", reason: "closed" },
    }));
    assert.deepEqual(await book(), { kind: "refused", reason: "closed" });
  });
}

test("an answer about another key is unknown", async () => {
  const { book } = await partner(() => ({
    status: 200,
    body: { key: "ord_00000000000000000000000000.1.1", status: "booked", bookingRef: "X" },
  }));
  assert.equal((await book()).kind, "unknown");
});

test("booked without a reference is unknown", async () => {
  const { book } = await partner((call) => ({ status: 200, body: { key: call.key, status: "booked" } }));
  assert.equal((await book()).kind, "unknown");
});

test("a price and a promise that come with the booking are passed on, fields of later versions ignored", async () => {
  const promised = { start: "2026-11-24T08:00:00Z", end: "2026-11-24T10:00:00Z" };
  const { book } = await partner((call) => ({
    status: 200,
    body: { key: call.key, status: "booked", bookingRef: "X1", costMinor: 1_200, promised, carbonGrams: 12 },
  }));
  assert.deepEqual(await book(), { kind: "booked", bookingRef: "X1", costMinor: 1_200, promised });
});

test("a connection that is refused is retry: nothing was sent", async () => {
  const { url, close } = await testServer(() => undefined);
  await close();
  const outcome = await adapt(channelOf("external_partner", { endpoint: url })).book();
  assert.equal(outcome.kind, "retry");
  assert.match((outcome as { detail: string }).detail, /ECONNREFUSED/);
});

test("a host that does not exist is retry: nothing was sent", async () => {
  const outcome = await adapt(channelOf("external_partner", { endpoint: "http://nowhere.invalid" })).book();
  assert.equal(outcome.kind, "retry");
});

test("a connection that is cut after the request is unknown", async () => {
  const server = createServer((socket) => socket.once("data", () => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  assert.equal((await adapt(channelOf("external_partner", { endpoint })).book()).kind, "unknown");
});

test("every call is signed so that the standard library verifies it, and holds carry no personal data", async () => {
  const seen: { path: string; verified: boolean; body: string }[] = [];
  const { url } = await testServer((request, response, body) => {
    const path = request.url!.split("/").at(-1)!;
    if (path === "capabilities") return void response.writeHead(404).end();
    const verified =
      new Webhook(secret).verify(body, request.headers as Record<string, string>) !== undefined;
    seen.push({ path, verified, body });
    const { key } = JSON.parse(body) as { key: string };
    const status = path === "hold" ? "held" : path === "book" ? "booked" : "cancelled";
    response.writeHead(200).end(JSON.stringify({ key, status, bookingRef: "X" }));
  });
  const channel = channelOf("partner_network", { partners: [{ id: "ant", name: "Ant", endpoint: url }] });
  const { adapter, request } = adapt(channel);
  await adapter.offer(channel, [request]);
  await adapter.book(channel, [{ ...request, partner: "ant" }]);
  await adapter.cancel(channel, [{ ...request, partner: "ant" }]);
  assert.deepEqual(
    seen.map(({ path, verified }) => [path, verified]),
    [
      ["hold", true],
      ["book", true],
      ["cancel", true],
    ],
  );
  assert.doesNotMatch(seen[0]!.body, /Test Person|Marina/);
  assert.match(seen[1]!.body, /Test Person/);
});

test("after five failures in a row the channel is left alone, and after 30 s one call tries it", async () => {
  mock.timers.enable({ apis: ["Date"], now: Date.now() });
  after(() => mock.timers.reset());
  let well = false;
  let hold: Promise<void> = Promise.resolve();
  const { url } = await testServer(async (request, response, body) => {
    if (request.url!.endsWith("capabilities")) return void response.writeHead(404).end();
    calls += 1;
    await hold;
    const { key } = JSON.parse(body) as { key: string };
    const answer = { key, status: "booked", bookingRef: "X" };
    response.writeHead(well ? 200 : 500).end(JSON.stringify(answer));
  });
  let calls = 0;
  const { book } = adapt(channelOf("external_partner", { endpoint: url }));
  for (let failure = 0; failure < 5; failure += 1) assert.equal((await book()).kind, "unknown");
  assert.deepEqual(await book(), { kind: "retry", afterMs: 30_000, detail: "the channel failed repeatedly" });
  mock.timers.tick(20_000);
  assert.equal(((await book()) as { afterMs: number }).afterMs, 10_000);
  assert.equal(calls, 5);

  // Half open: one call goes through; one that comes meanwhile is held back, not queued behind it.
  mock.timers.tick(10_000);
  const released = Promise.withResolvers<void>();
  hold = released.promise;
  well = true;
  const probe = book();
  while (calls < 6) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await book()).kind, "retry");
  assert.equal(calls, 6);
  released.resolve();
  assert.equal((await probe).kind, "booked");
  assert.equal((await book()).kind, "booked");
  assert.equal(calls, 7);
});

test("a channel that stops taking batches is asked one by one, nothing lost", async () => {
  let batch = true;
  const { adapter, channel, paths } = await partner((call, path) => {
    if (path === "capabilities")
      return { status: 200, body: { protocol: "uoop-channel/1", batch: true, maxBatch: 2 } };
    const one = (each: Record<string, unknown>) => ({
      key: each.key,
      status: "booked",
      bookingRef: `R${String(each.key)}`,
    });
    if (path === "batch" && !batch) return { status: 404 };
    if (path === "batch")
      return { status: 200, body: { results: (call.calls as Record<string, unknown>[]).map(one) } };
    return { status: 200, body: one(call) };
  });
  const requests = [bookingRequest(), bookingRequest(), bookingRequest()];
  const expected = requests.map(({ key }) => ({ kind: "booked", bookingRef: `R${key}` }));
  assert.deepEqual(await adapter.book(channel, requests), expected);
  assert.deepEqual(paths, ["batch", "batch"]);
  batch = false;
  assert.deepEqual(await adapter.book(channel, requests), expected);
  assert.equal(adapter.batches, false);
  assert.equal(paths.filter((path) => path === "book").length, 3);
});

test("a batch that answers too few is unknown for all; one bad item is unknown alone", async () => {
  let few = true;
  const { adapter, channel } = await partner((call, path) => {
    if (path === "book") return { status: 200, body: { key: call.key, status: "booked", bookingRef: "X" } };
    if (path === "capabilities") return { status: 200, body: { protocol: "uoop-channel/1", batch: true } };
    const results = (call.calls as { key: string }[]).map(
      ({ key }) => ({ key, status: "booked", bookingRef: "X" }) as object,
    );
    if (few) return { status: 200, body: { results: results.slice(1) } };
    results[0] = { nonsense: true };
    return { status: 200, body: { results } };
  });
  const requests = [bookingRequest(), bookingRequest()];
  assert.deepEqual(
    (await adapter.book(channel, requests)).map(({ kind }) => kind),
    ["unknown", "unknown"],
  );
  few = false;
  // What failed last gets single orders until it answers.
  assert.deepEqual(
    (await adapter.book(channel, requests)).map(({ kind }) => kind),
    ["booked", "booked"],
  );
  assert.deepEqual(
    (await adapter.book(channel, requests)).map(({ kind }) => kind),
    ["unknown", "booked"],
  );
});
