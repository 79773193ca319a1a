import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { OrderView } from "../../src/orchestration/order.ts";
import { statement } from "../../src/platform/database.ts";
import { createLog } from "../../src/platform/log.ts";
import { migrate, readMigrations } from "../../src/platform/migrate.ts";
import { createPostgres, type EmbeddedPostgres } from "../../src/platform/postgres.ts";
import { type Answer, aChannel, anOrder, type Call, clientOf } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const customers = 8;
/** Orders placed before the kill at least, and as many after. */
const enough = 100;
/** A refusal says "not now"; one that takes as long as an answer would is no better than none. */
const quickMs = 2_000;

const countOrders = statement("test_count_orders", "select count(*)::int as count from orders");

async function addKitchen(call: Call): Promise<void> {
  const { body, text, status } = await call<{ id: string }>("POST", "/v1/channels", aChannel());
  assert.equal(status, 201, text);
  const slots = [{ start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 100_000 }];
  const put = await call("PUT", `/v1/channels/${body.id}/capacity`, { slots });
  assert.equal(put.status, 200, put.text);
}

/** What customers were told: one order per key, and how they were refused. */
interface Told {
  orderOf: Map<string, string>;
  refused: { answer: Answer<unknown>; ms: number }[];
}

/** Places one order after the other, and each again under its key until it is taken, as docs/api.md says. */
async function order(call: Call, name: number, told: Told, until: () => boolean): Promise<void> {
  for (let count = 0; !until(); count += 1) {
    const key = `customer-${name}-${count}`;
    const body = anOrder({ externalId: key });
    while (!told.orderOf.has(key)) {
      const startMs = performance.now();
      const answer = await call<OrderView>("POST", "/v1/orders", body, { "idempotency-key": key });
      if (answer.status === 201 || answer.status === 202) told.orderOf.set(key, answer.body.id);
      else {
        told.refused.push({ answer, ms: performance.now() - startMs });
        await pause(20);
      }
    }
  }
}

async function killWhileOrdersCome(postgres: EmbeddedPostgres, platform: TestPlatform): Promise<Told> {
  const { key } = await platform.app.keys.create("customers", ["orders:read", "orders:write"], 0);
  const call = clientOf(platform.url, key);
  const told: Told = { orderOf: new Map(), refused: [] };
  let stopAt = Number.POSITIVE_INFINITY;
  const ordering = Array.from({ length: customers }, (_, name) =>
    order(call, name, told, () => told.orderOf.size >= stopAt),
  );
  while (told.orderOf.size < enough) await pause(5);
  process.kill(postgres.pid!, "SIGKILL");
  while (told.refused.length === 0) await pause(5);
  stopAt = told.orderOf.size + enough;
  await Promise.all(ordering);
  return told;
}

test("PostgreSQL killed under load: what was accepted is confirmed, the rest is refused quickly, and it goes on by itself", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "uoop-restart-"));
  const log = createLog("silent"); // that connections end is what this is about
  const postgres = createPostgres({ folder, log });
  await postgres.start();
  const databaseUrl = postgres.urlOf("postgres");
  await migrate(databaseUrl, await readMigrations());
  const platform = await startPlatform({ databaseUrl, overrides: { log } });
  t.after(async () => {
    await platform.stop();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const admin = clientOf(platform.url, platform.apiKey);
  await addKitchen(admin);

  const { orderOf, refused } = await killWhileOrdersCome(postgres, platform);

  for (const { answer, ms } of refused) {
    assert.equal(answer.status, 503, answer.text);
    assert.ok(answer.headers.has("retry-after"));
    assert.ok(ms < quickMs, `a refusal took ${ms} ms`);
  }
  const statusOf = async (id: string) => (await admin<OrderView>("GET", `/v1/orders/${id}`)).body.status;
  for (const id of orderOf.values()) while ((await statusOf(id)) !== "confirmed") await pause(20);
  assert.equal(new Set(orderOf.values()).size, orderOf.size, "an order per key");
  const [stored] = await platform.database.run<{ count: number }>(countOrders);
  assert.equal(stored!.count, orderOf.size, "and none that nobody was told of");
  const worst = Math.max(...refused.map(({ ms }) => ms));
  t.diagnostic(`${orderOf.size} orders, ${refused.length} refusals, the slowest in ${Math.round(worst)} ms`);
});
