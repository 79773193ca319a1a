import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type CheckReport, runCheck } from "../../src/check/check.ts";
import { judge } from "../../src/check/ledger.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { statement } from "../../src/platform/database.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

let platform: TestPlatform;
let folder: string;

before(async () => {
  platform = await startPlatform({ exampleNetwork: true });
  folder = await mkdtemp(join(tmpdir(), "uoop-check-"));
});
after(async () => {
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Looks again at once instead of a moment later. */
const hasty = { ...systemClock, after: (_delayMs: number, fn: () => void) => systemClock.after(1, fn) };

async function place(
  key: string,
  channelType: string,
): Promise<{ status: number; order: OrderView; line: object }> {
  const startMs = Date.now() + 4 * 3_600_000;
  const window = { start: new Date(startMs).toISOString(), end: new Date(startMs + 7_200_000).toISOString() };
  const response = await fetch(`${platform.url}/v1/orders`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${platform.apiKey}`,
      "content-type": "application/json",
      "idempotency-key": key,
    },
    body: JSON.stringify({
      customerId: "cus_1",
      currency: "AED",
      items: [{ sku: "meal", quantity: 1, unitPriceMinor: 4_000 }],
      delivery: { location: { lat: 25.0772, lng: 55.1405 }, window },
      routing: { channelTypes: [channelType] },
    }),
  });
  const order = (await response.json()) as OrderView;
  const line = { id: order.id, idempotencyKey: key, status: response.status, at: new Date().toISOString() };
  return { status: response.status, order, line };
}

const check = (more: object = {}): Promise<CheckReport> =>
  runCheck({
    database: platform.database,
    ledgerUrl: platform.simulatorUrl,
    clock: hasty,
    out: () => undefined,
    ...more,
  });

const broken = (report: CheckReport) =>
  report.findings.flatMap(({ invariant, violations }) =>
    violations.map(({ subject, what }) => `${invariant} ${subject} ${what}`),
  );

test("a platform at work passes, with the client's record and the channels' ledger", async () => {
  const types = ["internal_kitchen", "dark_store", "external_partner", "partner_network"];
  const placing = types.flatMap((type) => [1, 2, 3].map((n) => place(`${type}-${n}`, type)));
  const early = await check();
  assert.deepEqual(broken(early), []);
  const placed = await Promise.all(placing);
  assert.ok(
    placed.every(({ status }) => status === 201 || status === 202),
    JSON.stringify(placed),
  );
  const acknowledgedFile = join(folder, "acknowledged.ndjson");
  await writeFile(
    acknowledgedFile,
    `${placed.map(({ line }) => JSON.stringify(line)).join("\n")}\n{"id":"cut of`,
  );
  const report = await check({ acknowledgedFile });
  assert.deepEqual(broken(report), []);
  const looked = (words: RegExp) => report.findings.find(({ name }) => words.test(name))?.checked;
  assert.equal(looked(/answered 201 or 202 exists/), 12);
  assert.equal(looked(/names the one order of its key/), 12);
  assert.ok(looked(/has its booking at the partner's/)! >= 1);
});

test("answers that were not kept are found: an order that is gone, never confirmed, or of another key", async () => {
  const { order } = await place("kept", "internal_kitchen");
  const records = [
    { id: "ord_01kav000000000000000000000", idempotencyKey: "gone", status: 202 },
    { id: order.id, idempotencyKey: "another", status: 201 },
    { id: order.id, idempotencyKey: "kept", status: 201 },
    { idempotencyKey: "no-order", status: 503 },
    { id: order.id, externalId: "kept", status: 201 },
    { idempotencyKey: "no-id", status: 201 },
  ];
  const acknowledgedFile = join(folder, "wrong.ndjson");
  await writeFile(acknowledgedFile, records.map((record) => JSON.stringify(record)).join("\n"));
  const report = await runCheck({
    database: platform.database,
    acknowledgedFile,
    ended: true,
    out: () => undefined,
  });
  assert.deepEqual(
    broken(report).sort(),
    [
      "I1 no id answered 201 (line 6) without an order's id",
      "I1 ord_01kav000000000000000000000 answered 202 (line 1), does not exist",
      ...[2, 3, 5].map((line) => `I1 ${order.id} answered 201 (line ${line}), is ${statusIn(report, line)}`),
      `I6 ${order.id} answered 201 (line 2); its key is of no order`,
      `I6 ${order.id} answered 201 (line 5); its key is of no order`,
    ].sort(),
  );
});

/** The simulator may have begun to cook meanwhile. */
const statusIn = (report: CheckReport, line: number): string =>
  /is (\w+)$/.exec(broken(report).find((words) => words.includes(`(line ${line}), is`)) ?? "")?.[1] ??
  "nothing";

test("a line that is no record is an error that names it", async () => {
  const acknowledgedFile = join(folder, "broken.ndjson");
  await writeFile(acknowledgedFile, '{"status":201}\nnot json\n{"status":201}\n');
  await assert.rejects(check({ acknowledgedFile }), /broken\.ndjson line 2 is not JSON/);
});

test("a booking that a partner still holds for an undone order is found in its ledger", async () => {
  const { order } = await place("undone", "external_partner");
  assert.equal(order.status, "confirmed");
  const run = (text: string) => platform.database.run(statement("", text), [order.id]);
  await run("update orders set status = 'cancelled', deadline_at = null where id = $1");
  const report = await check();
  const rule = report.findings.find(({ name }) => /no live booking at any partner/.test(name));
  assert.equal(rule?.violationCount, 1);
  assert.match(
    rule.violations[0]!.what,
    new RegExp(`^cancelled, yet ${order.id}\\.1\\.1 at chn_\\w+ is live$`),
  );
});

test("a ledger that can't be read is an error that says so", async () => {
  await assert.rejects(
    check({ ledgerUrl: "http://127.0.0.1:1" }),
    /The ledger at http:\/\/127\.0\.0\.1:1 can't be read/,
  );
});

test("bookings are judged by their order: one for each leg, at the channel that the attempt names, and none that was undone", () => {
  const attempts = [
    { key: "ord_1.1.1", at: "chn_a", booking: "cancelled" },
    { key: "ord_1.1.2", at: "chn_b/par_1", booking: "booked" },
  ];
  const of = (status: string, live: readonly [string, string][]) =>
    judge(
      { id: "ord_1", status, attempts },
      live.map(([key, at]) => ({ key, at })),
    ).map(({ kind }) => kind);
  assert.deepEqual(of("confirmed", [["ord_1.1.2", "chn_b/par_1"]]), []);
  assert.deepEqual(of("confirmed", []), ["booked"]);
  assert.deepEqual(of("confirmed", [["ord_1.1.2", "chn_b/par_2"]]), ["booked", "booked"]);
  assert.deepEqual(
    of("delivered", [
      ["ord_1.1.1", "chn_a"],
      ["ord_1.1.2", "chn_b/par_1"],
    ]),
    ["single", "booked"],
  );
  assert.deepEqual(of("failed", [["ord_1.1.2", "chn_b/par_1"]]), ["undone"]);
  assert.deepEqual(of("reserved", [["ord_1.1.2", "chn_b/par_1"]]), []);
  assert.deepEqual(
    of("rerouting", [
      ["ord_1.1.1", "chn_a"],
      ["ord_1.1.2", "chn_b/par_1"],
    ]),
    ["single"],
  );
});
