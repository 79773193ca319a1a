import assert from "node:assert/strict";
import { test } from "node:test";
import { statement } from "../../src/platform/database.ts";
import { type Migration, migrate, missingMigrations, readMigrations } from "../../src/platform/migrate.ts";
import { testDatabase } from "../support/postgres.ts";

const migration = (name: string, text: string): Migration => ({ name, text, checksum: `sum of ${text}` });

test("what was applied is not applied again, and what is new is, in order", () => {
  const [a, b, c] = [
    migration("0001_a.sql", "a"),
    migration("0002_b.sql", "b"),
    migration("0003_c.sql", "c"),
  ];
  assert.deepEqual(missingMigrations([a!, b!, c!], [a!]), [b, c]);
});

test("an applied file that was edited, and a database of a newer release, are refused with a sentence", () => {
  const applied = migration("0001_a.sql", "a");
  assert.throws(
    () => missingMigrations([migration("0001_a.sql", "b")], [applied]),
    /was changed after it was applied/,
  );
  assert.throws(() => missingMigrations([], [applied]), /newer release/);
});

test("several processes that migrate at once apply each file once", async () => {
  const { url, close } = await testDatabase();
  try {
    const all = [
      ...(await readMigrations()),
      migration("9998_x.sql", "create table x ()"),
      migration("9999_y.sql", "create table y ()"),
    ];
    const done = await Promise.all([1, 2, 3].map(() => migrate(url, all)));
    assert.deepEqual(done.flat().sort(), ["9998_x.sql", "9999_y.sql"]);
  } finally {
    await close();
  }
});

test("a file that fails changes nothing, and those before it stay applied", async () => {
  const { url, database, close } = await testDatabase();
  try {
    const all = [
      ...(await readMigrations()),
      migration("9998_good.sql", "create table good ()"),
      migration("9999_bad.sql", "create table half (); create table half ()"),
    ];
    await assert.rejects(
      migrate(url, all),
      /9999_bad\.sql failed and changed nothing: relation "half" already exists/,
    );
    const [found] = await database.run<{ good: string | null; half: string | null }>(
      statement("test.tables", "select to_regclass('good')::text as good, to_regclass('half')::text as half"),
    );
    assert.deepEqual(found, { good: "good", half: null });
  } finally {
    await close();
  }
});
