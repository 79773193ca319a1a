import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type CheckReport, runCheck } from "../../src/check/check.ts";
import { sealOnce } from "../../src/orchestration/sealer.ts";
import { statement } from "../../src/platform/database.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { channelId, loadOrders, orderId, slotId } from "./load.ts";

/** Something wrong done to one order (by its number; n modulo 5 says how it went: load.ts), and what must be said of it. */
interface Damage {
  what: string;
  order: number;
  sql(id: string): string;
  /** The rule that must name the order, and what it must say; several when one damage breaks several. */
  says: readonly [invariant: string, what: RegExp][];
}

const attempt = (id: string, number: number, booking: string, held: boolean, slot = slotId) =>
  `insert into attempts (order_id, leg, attempt, channel_id, slot_id, units, held, booking, made_at)
   values ('${id}', 1, ${number}, '${channelId}', '${slot}', 1, ${held}, '${booking}', now())`;

const editEvents = (id: string, from: string, to: string) =>
  `update event_log set events = replace(events::text, '${from}', '${to}')::json where subject = '${id}' and events::text like '%${from}%'`;

// [delivered 5n, confirmed 5n + 1, failed 5n + 2, cancelled 5n + 3, received 5n + 4]
const damages: readonly Damage[] = [
  {
    what: "a status that is in no table",
    order: 1,
    sql: (id) => `update orders set status = 'lost' where id = '${id}'`,
    says: [
      ["I1", /^status lost version 4, state says confirmed version 4$/],
      ["I7", /^differ at version 4$/],
    ],
  },
  {
    what: "an ended order that still has a deadline",
    order: 5,
    sql: (id) => `update orders set deadline_at = now() where id = '${id}'`,
    says: [["I1", /^delivered, yet deadline/]],
  },
  {
    what: "an order under way that waits for nothing",
    order: 6,
    sql: (id) => `update orders set deadline_at = null where id = '${id}'`,
    says: [["I1", /^confirmed without a deadline$/]],
  },
  {
    what: "a deadline that passed without anybody doing anything",
    order: 11,
    sql: (id) => `update orders set deadline_at = now() - interval '1 hour' where id = '${id}'`,
    says: [["I1", /^confirmed, was due at/]],
  },
  {
    what: "an owner that does not exist",
    order: 4,
    sql: (id) => `update orders set owner_id = 'own_9' where id = '${id}'`,
    says: [["I1", /^owner own_9 does not exist$/]],
  },
  {
    what: "an order that a dead owner left and nobody took over",
    order: 9,
    sql: (
      id,
    ) => `insert into owners (id, lease_until, process) values ('own_dead', now() - interval '1 hour', 'x');
      update orders set owner_id = 'own_dead' where id = '${id}'`,
    says: [["I1", /^received, its owner own_dead is gone since/]],
  },
  {
    what: "a cancelled order with a booking",
    order: 3,
    sql: (id) => `update attempts set booking = 'booked' where order_id = '${id}'`,
    says: [["I3", /^cancelled, yet leg 1 attempt 1 is booked$/]],
  },
  {
    what: "a failed order whose attempt may still be taken",
    order: 2,
    sql: (id) => attempt(id, 1, "pending", false),
    says: [["I3", /^failed, yet leg 1 attempt 1 is pending$/]],
  },
  {
    what: "an order without a channel that holds units",
    order: 14,
    sql: (id) =>
      `${attempt(id, 1, "cancelled", true)}; update attempts set units = 2 where order_id = '${id}'`,
    says: [["I4", /^received, yet leg 1 attempt 1 holds units$/]],
  },
  {
    what: "an order that stays where it is and for which another channel keeps room",
    order: 31,
    sql: (id) => attempt(id, 2, "held", false),
    says: [["I4", /^confirmed, yet leg 1 attempt 2 is held$/]],
  },
  {
    what: "a leg with two bookings",
    order: 16,
    sql: (id) => attempt(id, 2, "booked", false),
    says: [["I4", /^leg 1: attempt 1 booked, attempt 2 booked$/]],
  },
  {
    what: "a confirmed order whose attempt was refused",
    order: 21,
    sql: (id) => `update attempts set booking = 'refused' where order_id = '${id}'`,
    says: [["I4", /^confirmed, leg 1 attempt 1 is refused$/]],
  },
  {
    what: "a leg that is at another channel than its attempt",
    order: 26,
    sql: (id) => `update attempts set channel_id = 'chn_other' where order_id = '${id}'`,
    says: [
      ["I4", /^leg 1 attempt 1 at chn_01kav0000000000000000000aa KIT-1, in attempts chn_other KIT-1$/],
      [
        "I2",
        /^leg 1 attempt 1: slot slt_01kav0000000000000000000aa is of chn_01kav0000000000000000000aa, not of chn_other$/,
      ],
    ],
  },
  {
    what: "an order without its first event",
    order: 10,
    sql: (id) => editEvents(id, "order.created", "channel.assigned"),
    says: [["I5", /^version 8; snapshot events 2 3 4 5 6 7 8$/]],
  },
  {
    what: "a version that was told twice",
    order: 15,
    sql: (id) => `insert into outbox (lane, subject, version, client_id, doc, events)
      select lane, subject, 8, client_id, doc, events from event_log where subject = '${id}' order by position desc limit 1`,
    says: [["I5", /^version 8; snapshot events 1 2 3 4 5 6 7 8 8$/]],
  },
  {
    what: "events that are on the bus in the wrong order",
    order: 20,
    sql: (id) => `update event_log set position = -position where subject = '${id}' and count = 1`,
    says: [["I5", /^version \d after version \d$/]],
  },
  {
    what: "an event that tells of a forbidden transition",
    order: 8,
    sql: (id) => editEvents(id, '"to" : "cancelled"', '"to" : "reserved"'),
    says: [["I5", /^version 6: cancelling → reserved$/]],
  },
  {
    what: "a version that the journal lacks",
    order: 25,
    sql: (id) => `delete from journal where order_id = '${id}' and version = 6`,
    says: [["I5", /^version 8; the journal has 1 2 3 4 5 7 8$|^version 7: preparing → ready$/]],
  },
  {
    what: "a journal with a forbidden transition",
    order: 13,
    sql: (id) =>
      `update journal set entries = replace(entries::text, 'cancelled', 'reserved')::json where order_id = '${id}' and version = 6`,
    says: [["I5", /^version 6: cancelling → reserved$/]],
  },
  {
    what: "two commits that wrote the same version",
    order: 31,
    sql: (id) =>
      `insert into journal (order_id, version, lane, at, actor, entries) values ('${id}', 4, 0, now(), 'owner:own_1', '[]')`,
    says: [["I8", /^two commits wrote version 4$/]],
  },
  {
    what: "an order without an idempotency key",
    order: 36,
    sql: (id) => `delete from idempotency_keys where order_id = '${id}'`,
    says: [["I6", /^0 idempotency keys$/]],
  },
  {
    what: "an order with two idempotency keys",
    order: 41,
    sql: (id) => `insert into idempotency_keys values (md5('second')::uuid, '${id}', md5('x')::uuid)`,
    says: [["I6", /^2 idempotency keys$/]],
  },
  {
    what: "a view that is behind what its projector passed",
    order: 30,
    sql: (id) => `update order_views set version = 7 where id = '${id}'`,
    says: [["I7", /^the projector passed version 8, the view has 7, the truth 8$/]],
  },
  {
    what: "a view that shows another customer than the truth",
    order: 35,
    sql: (id) => `update order_views set doc = replace(doc::text, 'cus_', 'cux_')::json where id = '${id}'`,
    says: [["I7", /^differ at version 8$/]],
  },
  {
    what: "a journal row that was edited after it was sealed",
    order: 40,
    sql: (id) => `update journal set actor = 'operator:nobody' where order_id = '${id}' and version = 5`,
    says: [],
  },
];

let prefix: string;
let at: TestDatabase;
let report: CheckReport;

before(async () => {
  at = await testDatabase();
  const { database } = at;
  const run = (text: string) => database.run(statement("", text));
  prefix = await loadOrders(database, 50);
  await run("update owners set started_at = now() - interval '1 day'");
  await sealOnce(database);
  for (const { order, sql } of damages) {
    for (const text of sql(orderId(prefix, order)).split(";")) await run(text);
  }
  report = await runCheck({ database, out: () => undefined, rangeOrders: 7 });
});
after(() => at.close());

const told = () =>
  report.findings.flatMap(({ invariant, violations }) =>
    violations.map((violation) => ({ invariant, ...violation })),
  );

for (const { what, order, says } of damages.filter((damage) => damage.says.length > 0)) {
  test(`the check finds ${what}`, () => {
    const id = orderId(prefix, order);
    for (const [invariant, words] of says) {
      const found = told().filter(
        (violation) => violation.subject === id && violation.invariant === invariant,
      );
      assert.ok(
        found.some((violation) => words.test(violation.what)),
        `${invariant} says of ${id}: ${JSON.stringify(found)}`,
      );
    }
  });
}

test("the check finds an edited journal row by the seal of its block, and names its order", () => {
  const block = told().find(
    ({ invariant, what }) => invariant === "I9" && what.includes(orderId(prefix, 40)),
  );
  assert.match(block?.what ?? "", /^a row was changed after it was sealed/);
});

test("the check blames no order that nothing was done to", () => {
  const damaged = new Set(damages.map(({ order }) => orderId(prefix, order)));
  const blamed = told().filter(({ subject }) => subject.startsWith("ord_") && !damaged.has(subject));
  assert.deepEqual(blamed, []);
  assert.equal(report.ok, false);
});

test("an event that its schema refused is a dead letter in the notes, not a missing event", async () => {
  const { database } = at;
  const id = orderId(prefix, 45);
  await database.run(statement("", `delete from event_log where subject = '${id}' and count = 4`));
  await database.run(
    statement(
      "",
      `insert into dead_letters (subscriber, event_id, subject, reason, event, attempts) values ('schema', 'e', '${id}', 'no doc', '{}', 1)`,
    ),
  );
  const again = await runCheck({ database, out: () => undefined });
  const blamed = again.findings
    .flatMap(({ violations }) => violations)
    .filter(({ subject }) => subject === id);
  assert.deepEqual(blamed, []);
  assert.ok(
    again.notes.some((note) =>
      /^1 dead letters of schema wait for an operator, the oldest since \S+ \(no doc\)$/.test(note),
    ),
  );
});

test("on a database that no process works on, the check says that nothing overdue was judged", async () => {
  const { database } = at;
  await database.run(statement("", "update owners set lease_until = now() - interval '1 day'"));
  const again = await runCheck({ database, out: () => undefined });
  assert.ok(again.notes.some((note) => note.startsWith("no process is at work")));
  const overdue = again.findings
    .flatMap(({ violations }) => violations)
    .filter(({ what }) => / was due at | is gone since /.test(what));
  assert.deepEqual(overdue, []);
});

test("the check finds slots whose sums are wrong", async () => {
  const { database } = at;
  await database.run(statement("", "update allotments set reserved = reserved + 1, sellable = sellable - 1"));
  const lines: string[] = [];
  const again = await runCheck({ database, out: (line) => lines.push(line) });
  const slots = again.findings.filter(
    ({ invariant, violations }) => invariant === "I2" && violations[0]?.subject === slotId,
  );
  assert.deepEqual(
    slots.map(({ violations }) => violations[0]!.what.replaceAll(/\d+/g, "N")),
    ["N reserved, N held", "capacity N with margin N, allotments N"],
  );
  assert.ok(lines.some((line) => line.startsWith(`           ${slotId}: `)));
  assert.match(lines.at(-1)!, /^WRONG: \d+ of \d+ rules broken, 50 orders/);
});

test("the check finds stock whose sums are wrong, and stock that is reserved for food that has left", async () => {
  const { database } = at;
  await database.run(
    statement(
      "",
      `with x as (update attempts set stock = '[{"sku":"apple","quantity":2}]'
         where order_id in (select id from orders where status = 'delivered') and held returning 1)
       insert into stock (channel_id, sku, quantity, reserved) select id, 'apple', 9, 1 from channels`,
    ),
  );
  const { findings } = await runCheck({ database, out: () => undefined });
  const found = findings
    .flatMap(({ violations }) => violations)
    .map(({ what }) => what.replaceAll(/\d+/g, "N"))
    .filter((what) => what.includes("apple"));
  assert.ok(found.includes("apple: N reserved, N held"), JSON.stringify(found));
  assert.ok(
    found.includes('delivered, yet leg N attempt N has [{"sku":"apple","quantity":N}]'),
    JSON.stringify(found),
  );
});
