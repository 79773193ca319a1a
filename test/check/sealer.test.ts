import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import pg from "pg";
import { sealRule, stretches } from "../../src/check/rules-audit.ts";
import { inSnapshot } from "../../src/check/snapshot.ts";
import { createSealer, markJournal, sealOnce, sealUpTo } from "../../src/orchestration/sealer.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { type Database, statement } from "../../src/platform/database.ts";
import { createLog } from "../../src/platform/log.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let at: TestDatabase;
before(async () => {
  at = await testDatabase();
});
after(() => at.close());

/** A database whose journal is empty. */
async function withDatabase(work: (at: TestDatabase) => Promise<void>): Promise<void> {
  await at.database.run(statement("", "truncate journal, seals"));
  await work(at);
}

const insertRows = (first: number, last: number, lanes = 4) =>
  `insert into journal (order_id, version, lane, at, actor, source, entries)
   select 'ord_' || n, 1, n % ${lanes}, now(), 'client:cli_1', null, '[{"version":1,"to":"received"}]' from generate_series(${first}, ${last}) n`;

const run = <Row>(database: Database, text: string) => database.run<Row>(statement("", text));

const verify = async (database: Database): Promise<string[]> => {
  const { violations } = await inSnapshot(database, (tx) => sealRule.run(tx));
  return violations.map(({ subject, what }) => `${subject}: ${what}`);
};

test("a block's hash is SHA-256 over its head and its rows, in order, as anybody can recompute it", () =>
  withDatabase(async ({ database }) => {
    await run(database, insertRows(1, 3, 1));
    await sealOnce(database);
    await run(database, insertRows(4, 4, 1));
    await sealOnce(database);
    const rows = await run<{ order_id: string; id: number; xid: string; micros: number; entries: string }>(
      database,
      `select order_id, id, xid::text, (extract(epoch from at) * 1000000)::bigint as micros, entries::text from journal order by order_id, id`,
    );
    const seals = await run<{ block: number; hash: string; from: number; until: number; entries: number }>(
      database,
      `select block, hash, from_id as "from", until_id as "until", entries from seals order by block`,
    );
    const line = ({ order_id, id, xid, micros, entries }: (typeof rows)[number]) =>
      spaced([order_id, id, 1, 0, xid, micros, "client:cli_1", null, entries]);
    let before = "0".repeat(64);
    for (const [index, own] of [rows.slice(0, 3), rows.slice(3)].entries()) {
      const seal = seals[index]!;
      const text = [spaced([before, 0, index, seal.from, seal.until]), ...own.map(line)].join("\n");
      before = createHash("sha256").update(text).digest("hex");
      assert.equal(seal.hash, before);
      assert.equal(seal.entries, own.length);
    }
    assert.equal(seals[0]!.from, 0);
    assert.equal(seals[1]!.from, seals[0]!.until);
  }));

/** JSON as PostgreSQL's json_build_array writes it. */
const spaced = (values: readonly unknown[]): string =>
  `[${values.map((value) => JSON.stringify(value)).join(", ")}]`;

test("a transaction that began early and commits late is sealed, later", () =>
  withDatabase(async ({ database, url }) => {
    const slow = new pg.Client({ connectionString: url });
    await slow.connect();
    await slow.query("begin");
    await slow.query(insertRows(1, 1));
    await run(database, insertRows(2, 9));
    assert.deepEqual(
      await sealOnce(database),
      { entries: 0, more: false, tooEarly: true },
      "a row may still appear among these",
    );
    await slow.query("commit");
    await slow.end();
    assert.equal((await sealOnce(database)).entries, 9);
    assert.deepEqual(await verify(database), []);
  }));

test("a database that was dumped and restored is sealed on, though its transactions are numbered anew", () =>
  withDatabase(async ({ database }) => {
    await run(database, insertRows(1, 5));
    await run(database, "update journal set xid = '9000000000'");
    await sealOnce(database);
    await run(database, insertRows(6, 9));
    assert.equal((await sealOnce(database)).entries, 4);
    assert.deepEqual(await verify(database), []);
  }));

test("sealers that run at once seal each row once", () =>
  withDatabase(async ({ database }) => {
    for (let round = 0; round < 5; round += 1) {
      await run(database, insertRows(round * 100, round * 100 + 99));
      await Promise.all([1, 2, 3, 4].map(() => sealOnce(database)));
    }
    await sealOnce(database);
    const [sum] = await run<{ entries: number }>(database, "select sum(entries)::int as entries from seals");
    assert.equal(sum!.entries, 500);
    assert.deepEqual(await verify(database), []);
  }));

test("more rows than a seal takes are sealed one after the other, gaps in their numbers included", () =>
  withDatabase(async ({ database }) => {
    await run(database, insertRows(1, 50_010));
    // What was rolled back leaves a gap in the numbers, here one wider than a seal.
    await run(database, "select setval('journal_id_seq', 150000)");
    await run(database, insertRows(50_011, 50_012));
    const mark = await markJournal(database);
    const sealed = [];
    for (let more = true; more; ) {
      const outcome = await sealUpTo(database, mark);
      sealed.push(outcome.entries);
      more = outcome.more;
    }
    assert.deepEqual(sealed, [50_000, 10, 2]);
    assert.deepEqual(await verify(database), []);
    assert.deepEqual(await sealOnce(database), { entries: 0, more: false, tooEarly: false });
  }));

test("a row edited, taken, slipped in, and a seal rewritten are each found", () =>
  withDatabase(async ({ database }) => {
    await run(database, insertRows(1, 20, 5));
    await sealOnce(database);
    await run(database, insertRows(21, 40, 4));
    await sealOnce(database);
    assert.deepEqual(await verify(database), []);
    await run(
      database,
      `update journal set entries = '[{"version":1,"to":"delivered"}]' where order_id = 'ord_4'`,
    );
    await run(database, "delete from journal where order_id = 'ord_1'");
    await run(
      database,
      `insert into journal (order_id, version, lane, at, actor, entries, id) overriding system value values ('ord_99', 1, 9, now(), 'x', '[]', 5)`,
    );
    await run(database, "update seals set hash = md5('x') where lane = 3 and block = 0");
    await run(database, "delete from seals where lane = 2 and block = 0");
    const found = (await verify(database)).sort();
    assert.equal(found.length, 8, found.join("\n"));
    assert.match(
      found.join("\n"),
      /lane 4 block 0: a row was changed after it was sealed: 4 rows of 4 orders, ord_14 ord_19 ord_4/,
    );
    assert.match(found.join("\n"), /lane 1 block 0: 4 rows were sealed, 3 are there/);
    assert.match(found.join("\n"), /lane 9 block none: 1 rows below number \d+ are in no block: ord_99/);
    assert.match(found.join("\n"), /lane 3 block 0: a row was changed/);
    assert.match(
      found.join("\n"),
      /lane 3 block 1: a row was changed/,
      "the next block names the hash before it",
    );
    assert.match(found.join("\n"), /lane 2 block 1: follows block -1; covers rows from \d+/);
    assert.match(found.join("\n"), /lane 2 block none: 4 rows below number \d+ are in no block/);
  }));

test("the service seals what is there when it starts, and what came until it stops", () =>
  withDatabase(async ({ database }) => {
    await run(database, insertRows(1, 10));
    const sealer = createSealer({ database, clock: systemClock, log: createLog("silent") });
    await sealer.start();
    await run(database, insertRows(11, 15));
    await sealer.stop();
    await sealer.stop();
    const [sum] = await run<{ entries: number }>(database, "select sum(entries)::int as entries from seals");
    assert.equal(sum!.entries, 15);
  }));

test("turns are put together up to a number of rows, and none is left out", () => {
  const turns = [10, 20, 30, 40].map((until) => ({ until, entries: 6 }));
  assert.deepEqual(stretches(turns, 12), [
    [0, 10, 20],
    [20, 30, 40],
  ]);
  assert.deepEqual(stretches(turns, 1), [
    [0, 10],
    [10, 20],
    [20, 30],
    [30, 40],
  ]);
  assert.deepEqual(stretches([], 12), []);
});
