import assert from "node:assert";
import { after, before, test } from "node:test";
import pg from "pg";
import { grantUnits } from "../../src/capacity/slots-sql.ts";
import { statement } from "../../src/platform/database.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";

let db: TestDatabase;
before(async () => {
  db = await testDatabase({ connections: 8 });
  await db.database.run(
    statement(
      "slots",
      `with channel as (insert into channels (id, type, status, health, doc, secret) values ('chn', 'internal_kitchen', 'active', 'up', '{}', '')),
         slot as (insert into slots (id, channel_id, starts_at, ends_at, capacity) select name, 'chn', now() + n * interval '1 h', now() + (n + 1) * interval '1 h', 25
           from (values ('slt_a', 1), ('slt_b', 2)) s(name, n))
       insert into allotments (slot_id, sellable) values ('slt_a', 25), ('slt_b', 25)`,
    ),
  );
});
after(() => db.close());

// What the statements that write orders make of one order: it takes units of slots, or (less than none) gives some back.
const move = statement(
  "move",
  `with input as (select slot_id, units from json_to_recordset($1::json) as r(slot_id text, units int)),
     cur as materialized (select 0 as i, true as takes),
     wanted as materialized (select 0 as i, 1 as leg, slot_id, units from input where units > 0),
     released as materialized (select slot_id, -units as units from input where units < 0), ${grantUnits}
   select (select granted from decided) as granted, (select count(*)::int from slots_now) as slots`,
);
const moving = async (...units: readonly { slot_id: string; units: number }[]) =>
  (await db.database.run<{ granted: boolean; slots: number }>(move, [JSON.stringify(units)]))[0]!;

test("units that came free while a statement waited for their slot are granted, however full it was when the statement began", async () => {
  const other = new pg.Client({ connectionString: db.url });
  await other.connect();
  try {
    await other.query("update allotments set reserved = 24 where slot_id = 'slt_a'");
    await other.query("begin");
    await other.query("update allotments set reserved = 20 where slot_id = 'slt_a'");
    const granted = moving({ slot_id: "slt_a", units: 3 });
    for (let waiting = 0; waiting === 0; ) {
      const { rows } = await other.query("select from pg_locks where not granted");
      waiting = rows.length;
    }
    await other.query("commit");
    assert.deepStrictEqual(await granted, { granted: true, slots: 1 });
    const { rows } = await other.query("select reserved from allotments where slot_id = 'slt_a'");
    assert.deepStrictEqual(rows, [{ reserved: 23 }]);
  } finally {
    await other.end();
  }
});

test("many that take from and give back to two nearly full slots, in any order, neither fail nor wait for each other in a circle", async () => {
  await db.database.run(statement("reset", "update allotments set reserved = 24"));
  let taken = 48;
  const names = ["slt_a", "slt_b"];
  const worker = async (first: number) => {
    const [one, two] = first % 2 === 0 ? names : names.toReversed();
    for (let round = 0; round < 150; round += 1) {
      const units = 1 + ((first + round) % 3);
      const both = [
        { slot_id: one!, units },
        { slot_id: two!, units },
      ];
      const { granted, slots } = await moving(...both);
      assert.strictEqual(granted, slots === 2);
      if (!granted) continue;
      taken += 2 * units;
      await moving(...both.map(({ slot_id }) => ({ slot_id, units: -units })));
      taken -= 2 * units;
    }
  };
  await moving({ slot_id: "slt_a", units: -4 }, { slot_id: "slt_b", units: -4 });
  taken -= 8;
  await Promise.all(Array.from({ length: 8 }, (_, index) => worker(index)));
  const [left] = await db.database.run<{ sum: number }>(
    statement("sum", "select sum(reserved)::int as sum from allotments"),
  );
  assert.strictEqual(left!.sum, taken);
});
