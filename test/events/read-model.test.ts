import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import fc from "fast-check";
import { createEventLog } from "../../src/bus/event-log.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { type Database, statement } from "../../src/platform/database.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import type { OrderFilter } from "../../src/read-model/api.ts";
import { newestViews } from "../../src/read-model/project.ts";
import { createProjector, projectorName } from "../../src/read-model/projector.ts";
import { createReadModel, listStatement, rebuildViews, writeViews } from "../../src/read-model/store.ts";
import { createRelay } from "../../src/relay/relay.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { append, channelRow, count, newOrderId, orderRow, stateAt, viewAt } from "./sample.ts";

const clock = systemClock;
const log = createLog("silent");

let postgres: TestDatabase;
let database: Database;
before(async () => {
  postgres = await testDatabase({ connections: 8 });
  database = postgres.database;
});
after(() => postgres.close());

beforeEach(async () => {
  await database.run(statement("", "truncate outbox, event_log, dead_letters, order_views, bus_consumers"));
  await database.run(statement("", "update event_log_head set next_position = 1"));
});

/** Puts rows on the bus as the relay does. */
async function publish(rows: Parameters<typeof append>[1]): Promise<ReturnType<typeof createEventLog>> {
  const bus = createEventLog({ database });
  const relay = createRelay({ database, bus, clock, log, metrics: createMetrics(), holder: "own_test" });
  await append(database, rows);
  await relay.start();
  await relay.stop();
  return bus;
}

const projectorOn = (bus: ReturnType<typeof createEventLog>, over: Database = database) =>
  createProjector({ database: over, bus, clock, log, metrics: createMetrics() });

const logged = (id: string, from: number, to: number) => ({
  ...orderRow(id, from, to),
  position: 1,
  loggedAt: "2026-11-24T07:00:00.000Z",
});

test("of a chunk only the newest version of each order is kept, by id, and channels are left out", () => {
  const [a, b] = [newOrderId(), newOrderId()].sort() as [string, string];
  const rows = [logged(b, 1, 4), logged(a, 1, 4), logged(b, 5, 5), logged(a, 3, 3)];
  const views = newestViews([...rows, { ...rows[0]!, ...channelRow(3) }]);
  assert.deepEqual(
    views.map(({ id, version, status }) => [id, version, status]),
    [
      [a, 4, "confirmed"],
      [b, 5, "preparing"],
    ],
  );
});

test("a projector that is killed and started again ends with exactly the truth", async () => {
  const orders = Array.from({ length: 25 }, (_, index) => newOrderId(index));
  const rows = [1, 2, 3, 4, 5, 6].flatMap((version) => orders.map((id) => orderRow(id, version, version)));
  const bus = await publish(rows);
  const head = await bus.head();
  // Small pages, and every third write is lost before it commits: the process it runs in might as well have died.
  let writes = 0;
  const deadly: Database = {
    ...database,
    async run(query, params) {
      if (query.name === "order_views_upsert") {
        writes += 1;
        if (writes % 3 === 0) throw new Error("killed before the commit");
      }
      return database.run(query, params);
    },
  };
  const paged = {
    ...bus,
    read: (options: { after: number; limit: number }) => bus.read({ ...options, limit: 7 }),
  };
  for (let starts = 0; (await bus.committed(projectorName)) < head; starts += 1) {
    assert.ok(starts < 50);
    const projector = projectorOn(paged as typeof bus, deadly);
    await projector.start();
    await projector.reached(Math.min(head, (await bus.committed(projectorName)) + 20));
    await projector.stop();
  }
  const views = await createReadModel({ database }).get(orders);
  for (const [index, view] of views.entries()) {
    assert.deepEqual(view, { clientId: "cli_a", order: viewAt(orders[index]!, 6) });
  }
  assert.equal(await count(database, "order_views"), 25);
});

test("an older version that comes late never overwrites a newer one", async () => {
  const id = newOrderId();
  await writeViews(database, "late", newestViews([logged(id, 1, 5)]), 0, 6);
  assert.equal(await writeViews(database, "late", newestViews([logged(id, 1, 3)]), 6, 7), true);
  const [view] = await createReadModel({ database }).get([id]);
  assert.equal(view?.order.version, 5);
});

test("a projector that is not where it thinks writes nothing, so that two of them are as one", async () => {
  const id = newOrderId();
  const views = newestViews([logged(id, 1, 1)]);
  assert.equal(await writeViews(database, "twin", views, 0, 1), true);
  assert.equal(await writeViews(database, "twin", newestViews([logged(id, 2, 2)]), 0, 2), false);
  const [view] = await createReadModel({ database }).get([id]);
  assert.equal(view?.order.version, 1);
});

test("views that are rebuilt are what they were, beside a projector at work", async () => {
  const orders = Array.from({ length: 10 }, (_, index) => newOrderId(index));
  const bus = await publish(orders.map((id) => orderRow(id, 1, 4)));
  const projector = projectorOn(bus);
  await projector.start();
  await projector.reached(50);
  const before = await createReadModel({ database }).get(orders);
  await rebuildViews(database, projectorName);
  await projector.stop();
  assert.equal(await count(database, "order_views"), 0);
  const next = projectorOn(bus);
  await next.start();
  await next.reached(50);
  await next.stop();
  assert.deepEqual(await createReadModel({ database }).get(orders), before);
  assert.ok(before.every((view) => view?.order.status === "confirmed"));
});

test("orders that are not there are null, in the order asked for", async () => {
  const [here, away] = [newOrderId(), newOrderId()];
  await writeViews(database, "get", newestViews([logged(here, 1, 1)]), 0, 1);
  const found = await createReadModel({ database }).get([away, here, away]);
  assert.deepEqual(
    found.map((view) => view?.order.id ?? null),
    [null, here, null],
  );
});

const letters = <T>(value: T) => fc.option(fc.constant(value), { nil: undefined });
const filters = fc.record({
  clientId: fc.constantFrom(null, "cli_a", "cli_b"),
  customerId: fc.constantFrom(undefined, "cus_42", "cus_none"),
  status: fc.constantFrom(undefined, "confirmed", "delivered", "received"),
  channelId: letters(stateAt(2).legs[0]!.channel.id),
  fromMs: fc.constantFrom(undefined, Date.parse("2026-11-24T07:00:00Z"), Date.parse("2026-11-24T07:00:01Z")),
  toMs: fc.constantFrom(undefined, Date.parse("2026-11-24T07:00:00Z"), Date.parse("2026-11-24T07:00:01Z")),
  limit: fc.constantFrom(1, 3, 100),
});

test("a list is what filtering all orders would give, newest first, page by page, for any filters", async () => {
  const views = Array.from({ length: 30 }, (_, index) => {
    const [view] = newestViews([logged(newOrderId(index), 1, 1 + (index % 8))]);
    return { ...view!, client: index % 3 === 0 ? "cli_b" : "cli_a" };
  });
  await writeViews(
    database,
    "list",
    views.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    0,
    1,
  );
  const model = createReadModel({ database });
  const createdMs = Date.parse("2026-11-24T07:00:00.000Z");
  await fc.assert(
    fc.asyncProperty(filters, async (drawn) => {
      const { limit, ...given } = Object.fromEntries(
        Object.entries(drawn).filter(([, value]) => value !== undefined),
      ) as unknown as OrderFilter;
      const expected = views
        .filter((view) => given.clientId === null || view.client === given.clientId)
        .filter((view) => given.customerId === undefined || view.customer === given.customerId)
        .filter((view) => given.status === undefined || view.status === given.status)
        .filter((view) => given.channelId === undefined || view.channel === given.channelId)
        .filter(
          () => createdMs >= (given.fromMs ?? 0) && createdMs < (given.toMs ?? Number.POSITIVE_INFINITY),
        )
        .map((view) => view.id)
        .sort()
        .reverse();
      const found: string[] = [];
      for (;;) {
        const beforeId = found.at(-1);
        const page = await model.list({ ...given, limit, ...(beforeId === undefined ? {} : { beforeId }) });
        found.push(...page.map((order) => order.id));
        if (page.length < limit) break;
      }
      assert.deepEqual(found, expected);
    }),
    { numRuns: 60 },
  );
});

test("every combination of filters is answered from an index", async () => {
  const one: Record<string, unknown> = { clientId: "cli_a", customerId: "cus_42", status: "confirmed" };
  Object.assign(one, { channelId: "chn_x", fromMs: 1, toMs: 2, beforeId: newOrderId() });
  const keys = Object.keys(one);
  for (let chosen = 0; chosen < 2 ** keys.length; chosen += 1) {
    const picked = keys.filter((_, bit) => chosen & (1 << bit)).map((key) => [key, one[key]]);
    const { query, params } = listStatement({ clientId: null, limit: 10, ...Object.fromEntries(picked) });
    assert.ok(query.name.length <= 63, query.name);
    const plan = await database.run<{ "QUERY PLAN": string }>(statement("", `explain ${query.text}`), params);
    const text = plan.map((row) => row["QUERY PLAN"]).join("\n");
    assert.doesNotMatch(text, /Seq Scan/, query.text);
    assert.match(text, /Index/, query.text);
  }
});
