import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Slot } from "../../src/capacity/api.ts";
import { createCapacity } from "../../src/capacity/capacity.ts";
import {
  createExampleNetwork,
  exampleChannels,
  wantedSlots,
  wantsExampleNetwork,
} from "../../src/cli/example-network.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { createIds } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { testDatabase } from "../support/postgres.ts";

const dayMs = 86_400_000;
const folder = await mkdtemp(join(tmpdir(), "uoop-network-"));
const { database, close } = await testDatabase();
after(async () => {
  await close();
  await rm(folder, { recursive: true, force: true });
});

let nowMs = Date.now();
let tick: () => void = () => undefined;
const clock: Clock = {
  nowMs: () => nowMs,
  after(_delayMs, fn) {
    tick = fn;
    return () => undefined;
  },
};
const capacity = createCapacity({
  database,
  clock,
  ids: createIds(),
  log: createLog("silent"),
  refreshMs: 0,
});
const file = join(folder, "example-network.json");
const network = (simulatorUrl: string) =>
  createExampleNetwork({ capacity, clock, log: createLog("silent"), file, simulatorUrl });
const slotsOf = (id: string) => capacity.getCapacity(id, { fromMs: nowMs - dayMs, toMs: nowMs + 9 * dayMs });

test("an empty database is given twelve channels of the four types, each with seven days of slots", async () => {
  assert.equal(await wantsExampleNetwork(capacity, file), true);
  const example = network("http://127.0.0.1:8081");
  await example.start();
  const channels = await capacity.listChannels({ afterId: null, limit: 100 });
  assert.equal(channels.length, 12);
  assert.equal(new Set(channels.map(({ type }) => type)).size, 4);
  for (const id of example.channelIds()) assert.equal((await slotsOf(id)).length, 84);
  for (const { type, endpoint, partners } of channels) {
    assert.equal(endpoint !== undefined, type === "external_partner");
    assert.equal(partners?.length ?? 0, type === "partner_network" ? 3 : 0);
  }
  await example.stop();
});

test("a later start makes nothing twice, leaves changed slots alone, and follows the simulator to another port", async () => {
  const [first] = await capacity.listChannels({ afterId: null, limit: 1 });
  const [slot] = wantedSlots(nowMs + dayMs, 7) as [Slot];
  await capacity.putCapacity(first!.id, [slot], { actor: "operator:test", source: null });
  const example = network("http://127.0.0.1:9999");
  await example.start();
  const channels = await capacity.listChannels({ afterId: null, limit: 100 });
  assert.equal(channels.length, exampleChannels.length);
  assert.equal((await slotsOf(first!.id)).find(({ start }) => start === slot.start)?.capacity, 7);
  const addresses = channels.flatMap(({ endpoint, partners }) => [
    endpoint,
    ...(partners ?? []).map((each) => each.endpoint),
  ]);
  assert.deepEqual(
    addresses.filter((address) => address && !address.startsWith("http://127.0.0.1:9999/channels/chn_")),
    [],
  );
  await example.stop();
});

test("while it runs, each new day gets its slots", async () => {
  const example = network("http://127.0.0.1:9999");
  await example.start();
  nowMs += dayMs;
  tick();
  await example.stop();
  const last = wantedSlots(nowMs, 1).at(-1)!;
  for (const id of example.channelIds()) {
    assert.equal((await slotsOf(id)).at(-1)?.start, last.start);
  }
});

test("a database that has channels of its own is left alone", async () => {
  assert.equal(await wantsExampleNetwork(capacity, join(folder, "another.json")), false);
});
