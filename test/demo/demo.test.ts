import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type DemoInstance, type DemoOptions, type DemoRouting, runDemo } from "../../src/demo/demo.ts";
import { seededRandom } from "../../src/demo/kitchens.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { startPlatform } from "../support/platform.ts";

let folder: string;

/** A short day: sixty orders within three hours, and one at the end that no courier's shift reaches. */
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "uoop-day-"));
  const random = seededRandom(1);
  const place = () => `${Math.round(random() * 9_000)}\t${Math.round(random() * 9_000)}`;
  const list = (count: number, row: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => row(index + 1));
  const orders = list(60, (n) => `o${n}\t${place()}\t${n * 3}\tr1\t${n * 3 + 5 + Math.round(random() * 20)}`);
  const files = {
    "orders.txt": [
      "order\tx\ty\tplacement_time\trestaurant\tready_time",
      ...orders,
      `o61\t${place()}\t185\tr1\t400`,
    ],
    "restaurants.txt": ["restaurant\tx\ty", ...list(20, (n) => `r${n}\t${place()}`)],
    "couriers.txt": ["courier\tx\ty\ton_time\toff_time", ...list(30, (n) => `c${n}\t${place()}\t0\t360`)],
    "instance_parameters.txt": [
      "meters_per_minute\tpickup service minutes\tdropoff service minutes\ttarget click-to-door\tmaximum click-to-door\tpay per order\tguaranteed pay per hour",
      "320\t4\t4\t40\t90\t10\t15",
    ],
  };
  for (const [name, lines] of Object.entries(files))
    await writeFile(join(folder, name), `${lines.join("\n")}\n`);
});
after(() => rm(folder, { recursive: true, force: true }));

const started: DemoRouting[] = [];
let running = 0;

async function startInstance(routing: DemoRouting): Promise<DemoInstance> {
  const platform = await startPlatform({ env: { ROUTING_METHOD: routing } });
  started.push(routing);
  running += 1;
  const { url, apiKey, database } = platform;
  const stop = async () => {
    running -= 1;
    await platform.stop();
  };
  return { url, apiKey, database, stop };
}

function play(options: Partial<DemoOptions> = {}) {
  const written: string[] = [];
  const report = runDemo({
    folder,
    speed: 30_000,
    out: { write: (text) => written.push(text), isTTY: false },
    clock: systemClock,
    signal: new AbortController().signal,
    startInstance,
    ...options,
  });
  return { report, written };
}

test("a day is played under both methods; every order ends, delivered or with a reason, and the invariants hold", async () => {
  const { report, written } = play();
  const { clickToDoorMinutes, p50Ms, p99Ms, consumers, ...counts } = await report;
  assert.deepEqual(counts, { orders: 61, delivered: 60, failed: 1, invariants: "ok" });
  assert.deepEqual(started.splice(0), ["weighted", "round_robin"]);
  assert.equal(running, 0);
  assert.deepEqual(
    consumers.map(({ name, agrees }) => [name, agrees]),
    ["inventory", "payment", "logistics", "analytics", "notification"].map((name) => [name, true]),
  );
  assert.equal(consumers.find(({ name }) => name === "payment")?.saw.payments, 60);
  assert.ok(p50Ms > 0 && p99Ms >= p50Ms);
  const { ours, roundRobin } = clickToDoorMinutes;
  assert.ok(ours.mean > 15 && ours.mean < roundRobin.mean, JSON.stringify(clickToDoorMinutes));
  assert.ok(ours.p95 >= ours.mean);
  const text = written.join("");
  assert.match(text, /our routing {2}\d\d:\d\d {2}placed 61\/61 {2}delivered 60, undelivered 1 /);
  assert.match(text, /not delivered +1 +1/);
  assert.match(text, /no courier's shift lasts long enough/);
  assert.match(text, /From click to door our routing takes \d+ % less than round robin\./);
  assert.match(text, /payment +agrees with the orders: payments 60/);
  assert.match(text, /Invariants: ok \(\d+ rules over both databases\)\./);
});

test("with --json one object is printed and nothing else", async () => {
  const first = play({ json: true });
  const report = await first.report;
  assert.equal(first.written.length, 1);
  assert.deepEqual(JSON.parse(first.written[0]!), report);
  assert.deepEqual(Object.keys(report), [
    "orders",
    "delivered",
    "failed",
    "p50Ms",
    "p99Ms",
    "clickToDoorMinutes",
    "consumers",
    "invariants",
  ]);
  started.length = 0;
});

test("an interrupted demo stops what it started", async () => {
  const abort = new AbortController();
  const { report } = play({
    signal: abort.signal,
    speed: 600,
    startInstance: async (routing) => {
      const instance = await startInstance(routing);
      setImmediate(() => abort.abort(new Error("interrupted")));
      return instance;
    },
  });
  await assert.rejects(report, /interrupted/);
  assert.equal(running, 0);
});

test("a folder that is not there is refused before anything is started", async () => {
  started.length = 0;
  await assert.rejects(play({ folder: "/nowhere" }).report, /There is no folder \/nowhere/);
  assert.deepEqual(started, []);
});
