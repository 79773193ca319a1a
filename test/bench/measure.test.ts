import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseParameters, readStatements } from "../../bench/limit/capture.ts";
import { layoutOf, parseArray } from "../../bench/limit/layout.ts";
import { takeApart } from "../../bench/limit/rebatch.ts";
import { cpuOf, memoryOf } from "../../bench/measure/proc.ts";
import { measureRouting } from "../../bench/measure/route-cost.ts";
import { parseMetrics } from "../../bench/measure/scrape.ts";
import { recordEntry } from "../../bench/report/record.ts";
import { insertOrders } from "../../src/orchestration/commit-sql.ts";

test("the CPU time and the memory of a process are what the kernel says", () => {
  const before = cpuOf(process.pid);
  const usage = process.cpuUsage();
  const used = () => {
    const { user, system } = process.cpuUsage(usage);
    return user + system;
  };
  while (used() < 100_000) Math.sqrt(before);
  const difference = cpuOf(process.pid) - before - used();
  assert.ok(Math.abs(difference) <= 30_000, `${difference} µs apart`);
  const { residentMiB, peakMiB } = memoryOf(process.pid);
  assert.ok(residentMiB > 10 && peakMiB >= residentMiB);
  assert.equal(cpuOf(2 ** 30), 0);
});

test("metrics are summed over the series that fit", () => {
  const metrics = parseMetrics(
    '# HELP a b\na_total{kind="x",other="1"} 3\na_total{kind="y"} 4\na_total_more 9\nb 1.5e-3\nc NaN\n',
  );
  assert.equal(metrics.sum("a_total"), 7);
  assert.equal(metrics.sum("a_total", { kind: "x" }), 3);
  assert.equal(metrics.sum("b"), 0.0015);
  assert.equal(metrics.sum("c"), 0);
});

test("parameters are read back from PostgreSQL's log, with quotes, commas and NULL in them", () => {
  assert.deepEqual(parseParameters("$1 = 'it''s, $2 = ''x''', $2 = NULL, $3 = '7'"), [
    "it's, $2 = 'x'",
    null,
    "7",
  ]);
  assert.deepEqual(parseArray('{a,NULL,"NULL","b \\"c\\", \\\\d","{\\"x\\":[1,2]}"}'), [
    "a",
    null,
    "NULL",
    'b "c", \\d',
    '{"x":[1,2]}',
  ]);
  assert.deepEqual(parseArray("{}"), []);
});

test("statements of several lines and sessions are told apart, and only those after the mark are read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "uoop-capture-"));
  const file = join(folder, "postgres.log");
  const at = (session: number) => `2026-11-24 03:45:00.123 UTC [${session}]`;
  const earlier = `${at(1)} LOG:  statement: begin\n`;
  writeFileSync(
    file,
    `${earlier}${at(1)} LOG:  execute one: select\n\t $1::text\n${at(2)} LOG:  statement: commit\n` +
      `${at(1)} DETAIL:  Parameters: $1 = 'a\n\tb'\n${at(2)} WARNING:  something else\n`,
  );
  const found = await readStatements(file, earlier.length);
  rmSync(folder, { recursive: true });
  assert.deepEqual(found, [
    { session: "1", name: "one", text: "select\n $1::text", params: ["a\nb"] },
    { session: "2", name: "", text: "commit", params: [] },
  ]);
});

test("the intake statement's own text says which of its parameters are columns of what", () => {
  const [orders, attempts] = layoutOf(insertOrders.text);
  assert.equal(orders?.byPlace, true);
  assert.equal(orders?.first, 2);
  for (const name of ["id", "key", "doc"])
    assert.ok(
      orders?.columns.some((column) => column.name === name),
      name,
    );
  assert.equal(attempts?.byPlace, false);
  assert.equal(attempts?.columns[0]?.name, "i");
});

test("a log without the intake statement is an error that says so", () => {
  assert.throws(() => takeApart([{ session: "1", name: "", text: "begin", params: [] }]), /orders_insert/);
});

test("results are added on top of what is recorded, below the head", () => {
  const folder = mkdtempSync(join(tmpdir(), "uoop-record-"));
  const file = join(folder, "RESULTS.md");
  writeFileSync(file, "# Results\n\nHead.\n");
  const machine = {
    cpu: "test",
    cores: 2,
    memoryGiB: 8,
    kernel: "6",
    node: "v24",
    loadBefore: 0,
    postgres: "18",
  };
  const entry = { bench: "orders", commit: "abc", machine, options: "", ok: true, lines: ["x  1"] };
  recordEntry({ ...entry, date: "2026-11-24T08:00:00.000Z" }, file);
  recordEntry({ ...entry, date: "2026-11-25T08:00:00.000Z", ok: false }, file);
  const text = readFileSync(file, "utf8");
  rmSync(folder, { recursive: true });
  assert.deepEqual(
    text.split("\n").filter((line) => line.startsWith("#")),
    ["# Results", "## orders, 2026-11-25 08:00 UTC, abc (failed)", "## orders, 2026-11-24 08:00 UTC, abc"],
  );
  assert.ok(text.startsWith("# Results\n\nHead.\n\n## orders"));
});

test("what routing costs an order is measured from documents to assignments", () => {
  assert.ok(measureRouting({ channels: 3, orders: 400 }) > 0);
});
