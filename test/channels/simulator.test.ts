import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { withdrawCall } from "../../src/channels/protocol.ts";
import { createSigner } from "../../src/channels/signature.ts";
import { startSimulator } from "../../src/channels/simulator/simulator.ts";
import {
  bookingRequest,
  channelOf,
  log,
  newSecret,
  put,
  readLedger,
  testChannels,
  testServer,
  until,
} from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "uoop-channels-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const instantly = { min: 0, max: 0 };
const fast = {
  latencyMs: instantly,
  prepMs: instantly,
  readyMs: instantly,
  dispatchMs: instantly,
  deliverMs: instantly,
};

interface Heard {
  path: string;
  callbackId: string;
  attemptKey: string;
  kind: string;
  reason?: string;
}

/** The platform as channels see it: takes callbacks (verifying them with the standard library) and streams events. */
async function testPlatform(secret: string, answer: (heard: Heard) => number = () => 200) {
  const heard: Heard[] = [];
  const resumes: (string | undefined)[] = [];
  let stream: ((text: string) => void) | undefined;
  let backlog = "";
  const { url } = await testServer((request, response, body) => {
    if (request.url!.startsWith("/v1/events/stream")) {
      assert.equal(request.headers.authorization, "Bearer test-key");
      resumes.push(request.headers["last-event-id"] as string | undefined);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(": hello\n\n");
      stream = (text) => response.write(text);
      if (backlog) stream(backlog);
      backlog = "";
      return;
    }
    new Webhook(secret).verify(body, request.headers as Record<string, string>);
    const one = { path: request.url!, ...(JSON.parse(body) as Omit<Heard, "path">) };
    heard.push(one);
    response.writeHead(answer(one), { "content-type": "application/json" });
    response.end(JSON.stringify({ result: "applied", detail: "noted" }));
  });
  let position = 0;
  return {
    url,
    heard,
    resumes,
    settings: { url, apiKey: "test-key" },
    kinds: (key: string) => heard.filter(({ attemptKey }) => attemptKey === key).map(({ kind }) => kind),
    tell(order: object, to: string) {
      position += 1;
      const event = { type: "order.status_changed", data: { order, from: "booked", to } };
      const text = `id: ${position}\nevent: order.status_changed\ndata: ${JSON.stringify(event)}\n\n`;
      if (stream) stream(text);
      else backlog += text;
    },
  };
}

const wholeWay = ["preparing", "ready", "dispatched", "delivered"];

async function simulate(options: { dataFile?: string } = {}) {
  const simulator = await startSimulator({ port: 0, log, seed: 3, ...options });
  after(() => simulator.close());
  return simulator;
}

test("a booking is carried to the door, each stage reported once and in order, signed", async () => {
  const secret = newSecret();
  const platform = await testPlatform(secret);
  const simulator = await simulate();
  await put(simulator.url, "/control/platform", platform.settings);
  const channel = channelOf("external_partner");
  const endpoint = `${simulator.url}/channels/${channel.id}`;
  await put(simulator.url, `/control/channels/${channel.id}`, { secret, behaviour: fast });
  const channels = testChannels(secret);
  after(() => channels.stop());
  const request = bookingRequest();
  await channels.adapterFor({ ...channel, endpoint }).book({ ...channel, endpoint }, [request]);
  await until(() => platform.heard.length === 4);
  assert.deepEqual(platform.kinds(request.key), wholeWay);
  assert.equal(platform.heard[0]!.path, `/v1/channels/${channel.id}/callbacks`);
  assert.equal(new Set(platform.heard.map(({ callbackId }) => callbackId)).size, 4);
});

test("reports are repeated until they are taken, and an unknown attempt ends them", async () => {
  const secret = newSecret();
  const failures = new Map<string, number>();
  const lost = bookingRequest();
  const platform = await testPlatform(secret, ({ attemptKey, kind }) => {
    if (attemptKey === lost.key) return 404;
    const tries = (failures.get(kind) ?? 0) + 1;
    failures.set(kind, tries);
    return tries === 1 ? 503 : 200;
  });
  const simulator = await simulate();
  await put(simulator.url, "/control/platform", platform.settings);
  const channel = channelOf("external_partner", { endpoint: "" });
  const here = { ...channel, endpoint: `${simulator.url}/channels/${channel.id}` };
  await put(simulator.url, `/control/channels/${channel.id}`, { secret, behaviour: fast });
  const channels = testChannels(secret);
  after(() => channels.stop());
  const request = bookingRequest();
  await channels.adapterFor(here).book(here, [request]);
  await channels.adapterFor(here).book(here, [lost]);
  await until(() => platform.kinds(request.key).length === 8);
  assert.deepEqual(
    platform.kinds(request.key),
    wholeWay.flatMap((kind) => [kind, kind]),
  );
  const ids = platform.heard.filter(({ attemptKey }) => attemptKey === request.key);
  assert.equal(new Set(ids.map(({ callbackId }) => callbackId)).size, 4);
  assert.deepEqual(platform.kinds(lost.key), ["preparing"]);
});

test("reports come early, twice and as a giving back when the channel is set so", async () => {
  const secret = newSecret();
  const platform = await testPlatform(secret);
  const simulator = await simulate();
  await put(simulator.url, "/control/platform", platform.settings);
  const channel = channelOf("external_partner");
  const here = { ...channel, endpoint: `${simulator.url}/channels/${channel.id}` };
  const path = `/control/channels/${channel.id}`;
  await put(simulator.url, path, { secret, behaviour: { ...fast, earlyCallbackRate: 1 } });
  const channels = testChannels(secret);
  after(() => channels.stop());
  const early = bookingRequest();
  await channels.adapterFor(here).book(here, [early]);
  assert.equal(platform.kinds(early.key)[0], "preparing");

  await put(simulator.url, path, {
    behaviour: { earlyCallbackRate: 0, duplicateCallbackRate: 1, giveBackRate: 1 },
  });
  const returned = bookingRequest();
  await channels.adapterFor(here).book(here, [returned]);
  await until(() => platform.kinds(returned.key).length === 2);
  assert.deepEqual(platform.kinds(returned.key), ["refused", "refused"]);
  const [entry] = (await readLedger(simulator.url)).filter(({ key }) => key === returned.key);
  assert.equal(entry?.state, "refused");
  const again = await channels.adapterFor(here).book(here, [returned]);
  assert.deepEqual(again, [{ kind: "refused", reason: "given_back" }]);
});

function kitchenOrder(channelId: string) {
  const { orderId, key } = bookingRequest();
  const channel = { id: channelId, type: "internal_kitchen" };
  return { key, order: { id: orderId, channel, legs: [{ leg: 1, attempt: 1, channel, bookingRef: "K-1" }] } };
}

test("kitchen staff cook what the event stream confirms, and stop when it is cancelled", async () => {
  const secret = newSecret();
  const platform = await testPlatform(secret);
  const simulator = await simulate();
  const channel = channelOf("internal_kitchen");
  const behaviour = { ...fast, readyMs: { min: 3_600_000, max: 3_600_000 } };
  await put(simulator.url, `/control/channels/${channel.id}`, { secret, behaviour });
  await put(simulator.url, "/control/platform", platform.settings);
  const cooked = kitchenOrder(channel.id);
  const partners = kitchenOrder(channel.id);
  partners.order.legs[0]!.channel = { id: channel.id, type: "external_partner" };
  platform.tell(cooked.order, "confirmed");
  platform.tell(partners.order, "confirmed");
  await until(() => platform.heard.length === 1);
  assert.deepEqual(platform.kinds(cooked.key), ["preparing"]);
  platform.tell(cooked.order, "cancelling");
  await until(async () => (await readLedger(simulator.url))[0]?.state === "cancelled");
  const ledger = await readLedger(simulator.url);
  assert.deepEqual(
    ledger.map(({ key, bookingRef, state }) => [key, bookingRef, state]),
    [[cooked.key, "K-1", "cancelled"]],
  );
});

test("a restart remembers bookings, settings and its place in the stream, and goes on cooking", async () => {
  const secret = newSecret();
  const platform = await testPlatform(secret);
  const dataFile = join(folder, "ledger.ndjson");
  const kitchen = channelOf("internal_kitchen");
  const partner = channelOf("external_partner");
  const channels = testChannels(secret);
  after(() => channels.stop());
  const at = (url: string) => ({ ...partner, endpoint: `${url}/channels/${partner.id}` });

  const first = await startSimulator({ port: 0, log, dataFile });
  await put(first.url, "/control/platform", platform.settings);
  const stuck = { ...fast, readyMs: { min: 3_600_000, max: 3_600_000 } };
  await put(first.url, `/control/channels/${kitchen.id}`, { secret, behaviour: stuck });
  await put(first.url, `/control/channels/${partner.id}`, {
    secret,
    behaviour: { ...fast, callbacks: "off" },
  });
  const cooked = kitchenOrder(kitchen.id);
  platform.tell(cooked.order, "confirmed");
  const [kept, cancelled] = [bookingRequest(), bookingRequest()];
  const [booked] = await channels.adapterFor(partner).book(at(first.url), [kept]);
  await channels.adapterFor(partner).cancel(at(first.url), [cancelled]);
  await until(() => platform.heard.length === 1);
  const before = await readLedger(first.url);
  await first.close();
  appendFileSync(dataFile, '{"entry":{"seq":9,"key":"ord_cut');

  const second = await simulate({ dataFile });
  assert.deepEqual(await readLedger(second.url), before);
  assert.equal(statSync(dataFile).mode & 0o777, 0o600);
  assert.deepEqual(await channels.adapterFor(partner).book(at(second.url), [kept]), [booked]);
  assert.deepEqual(await channels.adapterFor(partner).book(at(second.url), [{ ...cancelled }]), [
    { kind: "refused", reason: "cancelled" },
  ]);
  await until(() => platform.resumes.length === 2);
  assert.deepEqual(platform.resumes, ["0", "1"]);
  await put(second.url, `/control/channels/${kitchen.id}`, { behaviour: fast });
  const next = kitchenOrder(kitchen.id);
  platform.tell(next.order, "confirmed");
  await until(() => platform.kinds(next.key).length === 4);
  assert.deepEqual(platform.kinds(cooked.key), ["preparing"]);
});

test("stages that were under way at a kill go on after the restart, the report of the last one first", async () => {
  const secret = newSecret();
  let away = true;
  const platform = await testPlatform(secret, () => (away ? 503 : 200));
  const dataFile = join(folder, "unfinished.ndjson");
  const kitchen = channelOf("dark_store");
  const first = await startSimulator({ port: 0, log, dataFile });
  await put(first.url, `/control/channels/${kitchen.id}`, { secret, behaviour: fast });
  await put(first.url, "/control/platform", platform.settings);
  const cooked = kitchenOrder(kitchen.id);
  cooked.order.legs[0]!.channel.type = "dark_store";
  platform.tell(cooked.order, "confirmed");
  await until(() => platform.heard.length > 0);
  await first.close();
  away = false;
  platform.heard.length = 0;
  await simulate({ dataFile });
  await until(() => platform.kinds(cooked.key).at(-1) === "delivered");
  assert.deepEqual(platform.kinds(cooked.key), wholeWay);
});

test("stages are driven from outside when callbacks are manual", async () => {
  const secret = newSecret();
  const platform = await testPlatform(secret);
  const simulator = await simulate();
  const channel = channelOf("internal_kitchen");
  await put(simulator.url, "/control/platform", platform.settings);
  await put(simulator.url, `/control/channels/${channel.id}`, { secret, behaviour: { callbacks: "manual" } });
  const { key, order } = kitchenOrder(channel.id);
  platform.tell(order, "confirmed");
  await until(async () => (await readLedger(simulator.url)).length === 1);
  const reports = ["preparing", "ready", "dispatched", "undelivered"].map((kind) => ({
    channelId: channel.id,
    attemptKey: key,
    kind,
    at: new Date().toISOString(),
  }));
  const response = await fetch(`${simulator.url}/control/report`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(reports),
  });
  const { results } = (await response.json()) as { results: { kind: string; result: string }[] };
  assert.deepEqual(
    results.map(({ kind, result }) => [kind, result]),
    reports.map(() => ["taken", "applied"]),
  );
  assert.deepEqual(platform.kinds(key), ["preparing", "ready", "dispatched", "undelivered"]);
});

test("a withdrawal leaves a booking alone, and a tombstone where there is nothing", async () => {
  const secret = newSecret();
  const simulator = await simulate();
  const channel = channelOf("external_partner");
  await put(simulator.url, `/control/channels/${channel.id}`, { secret, behaviour: fast });
  const to = { ...channel, endpoint: `${simulator.url}/channels/${channel.id}` };
  const [unknown, booked] = [bookingRequest(), bookingRequest()];
  await testChannels(secret).adapterFor(to).book(to, [booked]);
  const withdraw = async (request: typeof booked) => {
    const body = JSON.stringify(withdrawCall({ channelId: channel.id }, request));
    const headers = {
      "content-type": "application/json",
      ...createSigner(secret).sign("msg_1", Date.now(), body),
    };
    const response = await fetch(`${to.endpoint}/cancel`, { method: "POST", headers, body });
    return [response.status, await response.json()];
  };
  const no = { key: booked.key, status: "refused", reason: "booked" };
  assert.deepEqual(await withdraw(booked), [409, no]);
  assert.deepEqual(await withdraw(unknown), [200, { key: unknown.key, status: "cancelled" }]);
  assert.deepEqual(
    (await readLedger(simulator.url)).map(({ key, state }) => [key, state]),
    [
      [booked.key, "booked"],
      [unknown.key, "tombstone"],
    ],
  );
});

test("a call that is not signed with the channel's secret, or was signed for another call, is turned away", async () => {
  const secret = newSecret();
  const simulator = await simulate();
  const channel = channelOf("external_partner");
  await put(simulator.url, `/control/channels/${channel.id}`, { secret, behaviour: fast });
  const { key, orderId } = bookingRequest();
  const body = JSON.stringify({ call: "cancel", channelId: channel.id, key, orderId });
  const post = async (path: string, headers: object, sent = body) => {
    const url = `${simulator.url}/channels/${channel.id}/${path}`;
    const json = { "content-type": "application/json", ...headers };
    return (await fetch(url, { method: "POST", headers: json, body: sent })).status;
  };
  const good = createSigner(secret).sign("msg_1", Date.now(), body);
  assert.equal(await post("cancel", {}), 401);
  assert.equal(await post("cancel", createSigner(newSecret()).sign("msg_1", Date.now(), body)), 401);
  assert.equal(await post("cancel", good, body.replace("cancel", "cancel ")), 401);
  assert.equal(await post("cancel", createSigner(secret).sign("msg_1", Date.now() - 600_000, body)), 401);
  assert.equal(await post("book", good), 400);
  assert.equal(await post("cancel", good), 200);
  const status = JSON.stringify({ call: "status", channelId: channel.id, key });
  const signed = {
    "content-type": "application/json",
    ...createSigner(secret).sign("msg_2", Date.now(), status),
  };
  const url = `${simulator.url}/channels/${channel.id}/status`;
  const answer = await fetch(url, { method: "POST", headers: signed, body: status });
  assert.equal(((await answer.json()) as { state: string }).state, "tombstone");
});

test("one process at a time writes a data file: the next one waits for it to be gone", async () => {
  const dataFile = join(folder, "claimed.ndjson");
  const first = await startSimulator({ port: 0, log, dataFile });
  const channel = channelOf("external_partner");
  const next = simulate({ dataFile });
  await put(first.url, `/control/channels/${channel.id}`, { secret: newSecret() });
  await first.close();
  const second = await next;
  const stats = (await (await fetch(`${second.url}/control/stats`)).json()) as { channels: object };
  assert.deepEqual(Object.keys(stats.channels), [channel.id]);
});
