import assert from "node:assert/strict";
import { test } from "node:test";
import { statement } from "../../src/platform/database.ts";
import { createIds } from "../../src/platform/ids.ts";
import { ensurePartitions, isoWeekName, wantedPartitions } from "../../src/platform/partitions.ts";
import { testDatabase } from "../support/postgres.ts";

const weekMs = 7 * 86_400_000;

test("weeks are named as ISO 8601 names them, also at the turn of a year", () => {
  assert.equal(isoWeekName(Date.UTC(2026, 10, 23)), "2026w48");
  assert.equal(isoWeekName(Date.UTC(2026, 11, 28)), "2026w53");
  assert.equal(isoWeekName(Date.UTC(2024, 11, 30)), "2025w01");
});

test("this week and the next two are wanted for each table kept by order", () => {
  const names = wantedPartitions(Date.UTC(2026, 10, 29, 23, 59), 1).map(({ partition }) => partition);
  assert.deepEqual(
    names.filter((name) => name.startsWith("attempts")),
    ["attempts_2026w48", "attempts_2026w49", "attempts_2026w50"],
  );
  assert.equal(names.filter((name) => name.startsWith("event_log")).length, 4);
});

test("several processes that make partitions at once make each once", async () => {
  const { database, close } = await testDatabase();
  try {
    const later = Date.now() + 20 * weekMs;
    const made = await Promise.all([1, 2, 3].map(() => ensurePartitions(database, later)));
    assert.equal(made[0]?.includes(`orders_${isoWeekName(mondayOf(later))}`), true);
    assert.deepEqual(await ensurePartitions(database, later), []);
  } finally {
    await close();
  }
});

test("rows that came before their partition move into it", async () => {
  const { database, close } = await testDatabase();
  try {
    const later = Date.now() + 30 * weekMs;
    const id = createIds().order(7, later);
    await database.run(
      statement(
        "test.journal",
        "insert into journal (order_id, version, lane, at, actor, entries) values ($1, 1, 7, now(), 'timer', '[]') returning id",
      ),
      [id],
    );
    await ensurePartitions(database, later);
    const rows = await database.run<{ at: string; id: number }>(
      statement("test.where", "select tableoid::regclass::text as at, id from journal where order_id = $1"),
      [id],
    );
    assert.deepEqual(rows, [{ at: `journal_${isoWeekName(mondayOf(later))}`, id: 1 }]);
  } finally {
    await close();
  }
});

const mondayOf = (ms: number): number => ms - ((ms - 4 * 86_400_000) % weekMs);
