import assert from "node:assert";
import { after, before, test } from "node:test";
import { createOrderStore } from "../../src/orchestration/store.ts";
import { assertInvariants, submission, type TestWorld, testWorld, window } from "./world.ts";

let world: TestWorld;
before(async () => {
  world = await testWorld();
});
after(() => world.stop());

const confirmedOf = (results: readonly { kind: string; order?: { status: string } }[]) =>
  results.filter((result) => result.kind === "order" && result.order?.status === "confirmed").length;

test("a batch costs the same number of statements whether it holds 1 order or 500", async () => {
  await world.channel({ name: "counting" });
  const statementsFor = async (count: number, round: number) => {
    const before = world.database.statementsSent;
    const orders = Array.from({ length: count }, (_, index) =>
      submission(`count-${count}-${round}-${index}`),
    );
    assert.strictEqual(confirmedOf(await world.orchestration.submit(orders, { waitMs: 10_000 })), count);
    return world.database.statementsSent - before;
  };
  // The heartbeat and the sweeps of the same process send theirs too: the least of some rounds is the batch's own.
  const least = async (count: number, rounds: number[]) => {
    const counts: number[] = [];
    for (const round of rounds) counts.push(await statementsFor(count, round));
    return Math.min(...counts);
  };
  assert.strictEqual(await least(1, [1, 2, 3, 4, 5]), 1);
  assert.strictEqual(await least(500, [1, 2, 3, 4, 5]), 1);
});

test("the same key from 50 callers at once makes one order, and all 50 get it", async () => {
  const callers = Array.from({ length: 50 }, () =>
    world.orchestration.submit([submission("same-key")], { waitMs: 5_000 }),
  );
  const orders = (await Promise.all(callers)).map(([result]) =>
    result?.kind === "order" ? result : assert.fail(),
  );
  assert.strictEqual(new Set(orders.map(({ order }) => order.id)).size, 1);
  assert.strictEqual(orders.filter(({ replayed }) => !replayed).length, 1);
  assert.ok(orders.every(({ order }) => order.status === "confirmed"));
});

test("the same key with another body is refused, also after the window has passed", async () => {
  await world.orchestration.submit([submission("body-key")], { waitMs: 1_000 });
  const other = submission("body-key", { customerId: "someone-else" });
  const [refused] = await world.orchestration.submit([other], { waitMs: 1_000 });
  assert.partialDeepStrictEqual(refused, { kind: "refused", code: "idempotency_key_reused" });
});

test("a window that has passed is refused, but a replay of an order made before is answered", async () => {
  const past = { start: "2020-01-01T10:00:00Z", end: "2020-01-01T12:00:00Z" };
  const late = submission("late", { delivery: { ...submission("x").order.delivery, window: past } });
  const [refused] = await world.orchestration.submit([late], { waitMs: 100 });
  assert.partialDeepStrictEqual(refused, { kind: "refused", code: "window_in_past" });
});

test("a slot is sold to the last unit and never one more, from two processes at once", async () => {
  await using narrow = await disposable(testWorld());
  await narrow.world.channel({ name: "narrow" }, [{ ...window, capacity: 100 }]);
  const other = await narrow.world.another();
  const flood = (who: TestWorld["orchestration"], name: string) =>
    Promise.all(
      Array.from({ length: 120 }, (_, index) =>
        who.submit([submission(`${name}-${index}`)], { waitMs: 400 }),
      ),
    );
  const results = (
    await Promise.all([flood(narrow.world.orchestration, "a"), flood(other.orchestration, "b")])
  ).flat(2);
  assert.strictEqual(confirmedOf(results), 100);
  const [slot] = await narrow.world.database.run<{ reserved: number }>({
    name: "r",
    text: "select reserved from allotments",
  });
  assert.strictEqual(slot?.reserved, 100);
  await assertInvariants(narrow.world.database);
  await other.stop();
});

test("a batch that waited for another's change of a slot goes on from it, and the database lives", async () => {
  await using one = await disposable(testWorld());
  const { database, orchestration } = one.world;
  await one.world.channel({});
  const orders = Array.from({ length: 40 }, (_, index) => submission(`waits-${index}`));
  const placed = await orchestration.submit(orders, { waitMs: 5_000 });
  const by = { actor: "operator:test", source: null };
  const wanted = placed.map((result) => ({
    id: result.kind === "order" ? result.order.id : assert.fail(),
    clientId: null,
    by,
  }));
  const sql = (text: string) => ({ name: "", text });
  let cancelling: ReturnType<typeof orchestration.cancel> | undefined;
  await database.transaction(async (tx) => {
    await tx.run(sql("update allotments set reserved = reserved"));
    await tx.run(sql("update owners set process = process"));
    cancelling = orchestration.cancel(wanted, { waitMs: 10_000 });
    const waiting = sql(
      "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    while ((await database.run(waiting)).length === 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
  });
  const ends = (await cancelling!).map((result) =>
    result.kind === "order" ? result.order.status : result.kind,
  );
  assert.deepStrictEqual(new Set(ends), new Set(["cancelled"]));
  await assertInvariants(database);
});

test("a write of an epoch that is over does nothing (I8)", async () => {
  await using one = await disposable(testWorld());
  const { database, orchestration } = one.world;
  await one.world.channel({});
  const [made] = await orchestration.submit([submission("epoch")], { waitMs: 2_000 });
  assert.ok(made?.kind === "order");
  const [owner] = await database.run<{ id: string; epoch: number }>({
    name: "o",
    text: "select id, epoch from owners",
  });
  const stale = createOrderStore(
    database,
    () => ({ id: owner!.id, epoch: owner!.epoch - 1 }),
    () => undefined,
    { lateAfterMs: 0, reportsWithinMs: 0, undoWithinMs: 0, stuckAgainMs: 0 },
  );
  const [loaded] = await stale.load([made.order.id]);
  const base = {
    state: { ...loaded!.carried.state, version: 5, status: "cancelling" as const },
    saga: loaded!.carried.saga,
    owned: true,
    events: [],
    entries: [],
  };
  const decision = { base, granted: null, takes: [], attemptChanges: [] };
  const answer = await stale.advance([
    { order: loaded!.carried, decision, by: { actor: "stale", source: null }, intent: true },
  ]);
  assert.deepStrictEqual(
    { owner: answer.owner, outcomes: answer.outcomes },
    { owner: false, outcomes: ["lost"] },
  );
  const [after] = await stale.load([made.order.id]);
  assert.strictEqual(after?.carried.state.status, "confirmed");
});

test("one order that PostgreSQL refuses fails alone; the others of its batch go through", async () => {
  const orders = [
    submission("ok-1"),
    { ...submission("poison"), clientId: "no text of PostgreSQL holds \u0000" },
    submission("ok-2"),
  ];
  const results = await world.orchestration.submit(orders, { waitMs: 2_000 });
  assert.deepStrictEqual(
    results.map((result) => (result.kind === "order" ? result.order.status : result.code)),
    ["confirmed", "internal", "confirmed"],
  );
});

test("after all of this every invariant holds", () => assertInvariants(world.database));

async function disposable(making: Promise<TestWorld>): Promise<{ world: TestWorld } & AsyncDisposable> {
  const made = await making;
  return { world: made, [Symbol.asyncDispose]: () => made.stop() };
}
