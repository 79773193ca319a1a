import assert from "node:assert";
import { after, before, test } from "node:test";
import type { UoopError } from "../../src/platform/errors.ts";
import { by, submission, type TestWorld, testWorld, window } from "../orchestration/world.ts";

let world: TestWorld;
before(async () => {
  world = await testWorld();
});
after(() => world.stop());

const far = { fromMs: 0, toMs: Date.now() + 1e11 };
const refusal = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => assert.fail("it was taken"),
    (thrown: unknown) => thrown,
  );
  return (error as UoopError).code;
};

test("capacity is set, read back with what is reserved, and changed", async () => {
  const channel = await world.channel({ name: "set" }, [{ ...window, capacity: 10 }]);
  await world.orchestration.submit([submission("set-1"), submission("set-2")], { waitMs: 2_000 });
  const [slot] = await world.capacity.getCapacity(channel.id, far);
  assert.partialDeepStrictEqual(slot, { ...window, capacity: 10, reserved: 2 });
  const changed = await world.capacity.putCapacity(channel.id, [{ ...window, capacity: 2 }], by);
  assert.partialDeepStrictEqual(changed, [{ capacity: 2, reserved: 2 }]);
});

test("capacity below what is reserved is refused, naming the slot, and changes nothing", async () => {
  const channel = await world.channel({ name: "below" }, [{ ...window, capacity: 5 }]);
  await world.capacity.patchChannel(
    channel.id,
    { costModel: { ...channel.costModel, baseMinor: 0 } },
    null,
    by,
  );
  const results = await world.orchestration.submit([submission("below-1"), submission("below-2")], {
    waitMs: 2_000,
  });
  assert.ok(results.every((result) => result.kind === "order" && result.order.channel?.id === channel.id));
  const later = { start: "2099-01-01T10:00:00.000Z", end: "2099-01-01T12:00:00.000Z" };
  const put = world.capacity.putCapacity(
    channel.id,
    [
      { ...later, capacity: 7 },
      { ...window, capacity: 1 },
    ],
    by,
  );
  assert.strictEqual(await refusal(put), "capacity_below_reserved");
  assert.strictEqual((await world.capacity.getCapacity(channel.id, { ...far, toMs: 1e14 })).length, 1);
});

test("slots of a channel may not overlap, neither each other nor those there", async () => {
  const channel = await world.channel({ name: "overlap" }, [{ ...window, capacity: 5 }]);
  const shifted = {
    start: new Date(Date.parse(window.start) + 60_000).toISOString(),
    end: window.end,
    capacity: 1,
  };
  assert.strictEqual(await refusal(world.capacity.putCapacity(channel.id, [shifted], by)), "slots_overlap");
  const twice = [1, 2].map(() => ({
    start: "2099-01-01T10:00:00Z",
    end: "2099-01-01T12:00:00Z",
    capacity: 1,
  }));
  assert.strictEqual(await refusal(world.capacity.putCapacity(channel.id, twice, by)), "slots_overlap");
});

test("an unknown channel is said to be one", async () => {
  const id = "chn_00000000000000000000000000";
  assert.strictEqual(
    await refusal(world.capacity.putCapacity(id, [{ ...window, capacity: 1 }], by)),
    "channel_not_found",
  );
  assert.strictEqual(
    await refusal(world.capacity.patchChannel(id, { name: "x" }, null, by)),
    "channel_not_found",
  );
  assert.strictEqual(await refusal(world.capacity.getCapacity(id, far)), "channel_not_found");
});

test("a change that expects another version is refused", async () => {
  const channel = await world.channel({ name: "versions" });
  const put = await world.capacity.patchChannel(channel.id, { name: "renamed" }, channel.version, by);
  assert.strictEqual(put.version, channel.version + 1);
  const stale = world.capacity.patchChannel(channel.id, { name: "again" }, channel.version, by);
  assert.strictEqual(await refusal(stale), "version_conflict");
});

test("a paused channel gets no new orders; resumed, it does", async () => {
  await using own = await (async () => {
    const made = await testWorld();
    return { ...made, [Symbol.asyncDispose]: () => made.stop() };
  })();
  const channel = await own.channel({ name: "pausing" });
  await own.capacity.patchChannel(channel.id, { status: "paused" }, null, by);
  const [refused] = await own.orchestration.submit([submission("paused")], { waitMs: 500 });
  assert.partialDeepStrictEqual(refused, {
    kind: "order",
    order: { status: "failed", reason: { code: "not_serviceable" } },
  });
  await own.capacity.patchChannel(channel.id, { status: "active" }, null, by);
  const [taken] = await own.orchestration.submit([submission("resumed")], { waitMs: 2_000 });
  assert.partialDeepStrictEqual(taken, { kind: "order", order: { status: "confirmed" } });
});

test("rankings list who has room, best first, without asking the database", async () => {
  const near = await world.channel({
    name: "near",
    costModel: { currency: "AED", baseMinor: 0, perKmMinor: 0, perUnitMinor: 0 },
    quality: 1,
  });
  const full = await world.channel({ name: "full" }, [{ ...window, capacity: 0 }]);
  const query = { lat: 25.08, lng: 55.14, slotMs: Date.parse(window.start) + 1, vehicle: "bike" as const };
  const ranked = await world.capacity.rankings(query);
  assert.strictEqual(ranked[0]?.channelId, near.id);
  assert.ok(!ranked.some((one) => one.channelId === full.id));
  assert.deepStrictEqual(
    ranked.map((one) => one.score),
    ranked.map((one) => one.score).toSorted((a, b) => b - a),
  );
});
