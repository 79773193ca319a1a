import assert from "node:assert/strict";
import { test } from "node:test";
import { runCheck } from "../../src/check/check.ts";
import { sealOnce } from "../../src/orchestration/sealer.ts";
import { testDatabase } from "../support/postgres.ts";
import { loadOrders } from "./load.ts";

// Raise it (CHECK_ORDERS=100000) to see what the check takes at scale; the default keeps the test run short.
const orders = Number(process.env.CHECK_ORDERS ?? 10_000);

test("a consistent database passes every rule, range by range, in bounded memory", async (context) => {
  const { database, close } = await testDatabase();
  try {
    await loadOrders(database, orders);
    await sealOnce(database);
    const lines: string[] = [];
    const heapBefore = process.memoryUsage().heapUsed;
    const report = await runCheck({
      database,
      out: (line) => lines.push(line),
      rangeOrders: Math.min(20_000, orders / 4),
    });
    context.diagnostic(
      `${orders} orders in ${report.ms} ms, heap +${Math.round((process.memoryUsage().heapUsed - heapBefore) / 1e6)} MB`,
    );
    assert.deepEqual(
      report.findings.filter(({ violationCount }) => violationCount > 0),
      [],
    );
    assert.ok(report.ok);
    assert.equal(report.orders, orders);
    assert.ok(
      report.findings.every(({ checked, name }) => checked > 0 || assert.fail(`${name} looked at nothing`)),
    );
    assert.equal(lines.filter((line) => line.includes("ok   ")).length, report.findings.length);
    assert.match(lines.at(-1)!, /^ok: every rule holds/);
  } finally {
    await close();
  }
});
