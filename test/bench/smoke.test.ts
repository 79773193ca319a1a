import assert from "node:assert/strict";
import { after, test } from "node:test";
import { measureBatch } from "../../bench/batch.ts";
import { type BenchOptions, type BenchReport, reportHead, setStage } from "../../bench/bench.ts";
import { benchGateway } from "../../bench/gateway.ts";
import { measureOrders, ordersStage } from "../../bench/orders.ts";
import { measureOverload } from "../../bench/overload.ts";
import { measurePartners } from "../../bench/partners.ts";
import { benchQuotes } from "../../bench/quotes.ts";
import { measureReads } from "../../bench/reads.ts";
import { benchRoutes } from "../../bench/routes.ts";
import { measureSoak } from "../../bench/soak.ts";
import { benchStart } from "../../bench/start.ts";
import { measureStored } from "../../bench/stored.ts";
import { measureWebhooks, webhooksStage } from "../../bench/webhooks.ts";

/** Each bench once, with tiny numbers: that it runs and that its numbers fit together, not how high they are. */
const options: BenchOptions = { seconds: 0.4, quick: true, seed: 1, out: { write: () => undefined } };

/** The report as `--json` prints it. What was found wrong fails the test, with its sentences. */
function readerOf(report: BenchReport) {
  assert.deepEqual(report.wrong, []);
  assert.equal(report.ok, true);
  assert.ok(report.lines.length > 0);
  const json = JSON.parse(JSON.stringify(report.json)) as unknown;
  /** `closed.0.perOrder.writes` */
  const at = (path: string): unknown =>
    path.split(".").reduce((inner, name) => (inner as Record<string, unknown> | undefined)?.[name], json);
  return {
    number(path: string): number {
      const value = at(path);
      assert.equal(typeof value, "number", `${path} is ${JSON.stringify(value)}`);
      return value as number;
    },
    list: (path: string): readonly unknown[] => at(path) as readonly unknown[],
    record: (path: string): Record<string, number> => at(path) as Record<string, number>,
    statuses: (path: string): Record<string, number> => at(`${path}.statuses`) as Record<string, number>,
    /** Whether its percentiles are in order. */
    isInOrder(path = ""): boolean {
      const [p50, p99, p999] = ["p50Ms", "p99Ms", "p999Ms"].map((name) => this.number(path + name));
      return p50! > 0 && p50! <= p99! && p99! <= p999!;
    },
  };
}

// One platform for all that send orders to one: each checks everything that was stored until then. `orders` comes last: it
// goes on with the database alone.
const env = { ...webhooksStage.env, BREAKER_RECOVERY_MS: "1000", BREAKER_MONITOR_MS: "250" };
const stage = await setStage(options, { ...ordersStage(options), env });
after(() => stage.close());

test("bench batch: every order of every batch is counted", async () => {
  const report = readerOf(await measureBatch(stage, reportHead("batch"), options));
  assert.ok(report.number("ordersPerSecond") > 0);
  assert.equal(report.number("phases.0.confirmedByKind.0") % report.number("size"), 0);
});

test("bench reads: as many reads as asked for, beside writes", async () => {
  const report = readerOf(await measureReads(stage, reportHead("reads"), options));
  assert.ok(report.isInOrder("beside."));
  assert.equal(report.number("beside.unanswered"), 0);
  assert.deepEqual(Object.keys(report.statuses("beside")), ["200"]);
  assert.deepEqual(Object.keys(report.statuses("writes")), ["201"]);
});

test("bench overload: what is refused and what is taken add up", async () => {
  const report = readerOf(await measureOverload(stage, reportHead("overload"), options));
  const { "503": refused = 0, ...others } = report.statuses("during");
  assert.ok(Object.values(others).some((count) => count > 0));
  assert.ok(report.number("during.refusals.count") <= refused);
  assert.ok(report.number("refusedWithin10Ms") >= 0 && report.number("refusedWithin10Ms") <= 1);
});

test("bench soak: parts of the same rate, and how figures grew from one to the other", async () => {
  const report = readerOf(
    await measureSoak(stage, reportHead("soak"), { ...options, rate: 60, seconds: 1.8 }),
  );
  assert.equal(report.list("parts").length, 6);
  assert.equal(report.number("perSecond"), 60);
  for (let part = 0; part < 6; part += 1) report.number(`parts.${part}.bytesPerOrder`);
  report.number("growth.memory");
});

test("bench stored: thousands of stored orders pass every check, and the platform goes on with them", async () => {
  const report = readerOf(await measureStored(stage, reportHead("stored"), { ...options, millions: 0.003 }));
  assert.equal(report.number("orders"), 3_000);
  assert.ok(report.number("checkedOrders") > 3_000);
  assert.ok(report.number("stored.closed.confirmedPerSecond") > 0);
});

test("bench partners: orders find another channel, and all of them once the dead are back", async () => {
  const report = readerOf(await measurePartners(stage, reportHead("partners"), options));
  const counts = Object.values(report.record("outcome"));
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    report.number("orders"),
  );
  assert.ok(report.number("success") > 0 && report.number("success") <= report.number("successLater"));
  assert.equal(report.number("successLater"), 1);
});

test("bench webhooks: what was to come has come, though subscribers fail", async () => {
  const report = readerOf(await measureWebhooks(stage, reportHead("webhooks"), options));
  assert.equal(
    report.number("failing.delivered") + report.number("failing.deadLetters"),
    report.number("failing.expected"),
  );
  assert.ok(report.number("failing.failedShare") > 0);
});

test("bench orders: throughput, cost and limit fit together", async () => {
  const report = readerOf(await measureOrders(stage, reportHead("orders"), options));
  const names = "ordersPerSecond p50Ms p99Ms p999Ms shareOfLimit timesNaive cpuMicrosPerOrder rssMiB";
  for (const name of names.split(" "))
    assert.ok(report.number(name) > 0, `${name} is ${report.number(name)}`);
  assert.ok(report.isInOrder());
  assert.equal(report.number("rates.0.perSecond"), 100);
  assert.ok(report.number("machine.cores") > 0);
  assert.equal(report.number("limit.lost"), 0, "every replayed row passes its guard");
  const best = report.number("ordersPerSecond");
  assert.ok(Math.abs(report.number("shareOfLimit") - best / report.number("limit.ordersPerSecond")) < 0.01);
  assert.ok(Math.abs(report.number("timesNaive") - best / report.number("naive.ordersPerSecond")) < 0.01);
  const writes = report.number("closed.0.perOrder.writes");
  assert.ok(writes > 0 && writes < 2, `${writes} writing transactions an order`);
  assert.ok(
    report.number("closed.0.perOrder.serverMainThreadMicros") <=
      report.number("closed.0.perOrder.serverMicros"),
  );
  assert.ok(
    report.number("commitsPerOrder.external_partner") > report.number("commitsPerOrder.internal_kitchen"),
  );
  assert.ok(report.number("statementsPerOrder.orders_insert") > 0);
});

test("bench gateway: what it adds is its latency less that of bare HTTP", async () => {
  const report = readerOf(await benchGateway(options));
  const added = report.number("phases.1.p50Ms") - report.number("phases.0.p50Ms");
  assert.ok(Math.abs(report.number("p50Ms") - added) < 0.01);
  assert.ok(report.number("mostPerSecond") > 0);
});

test("bench quotes: every quote is answered, and what routing costs is told", async () => {
  const report = readerOf(await benchQuotes(options));
  assert.ok(report.isInOrder("phases.0."));
  assert.ok(report.number("mostPerSecond") > 0);
  assert.ok(report.number("routing.0.micros") > 0);
});

test("bench routes: routes of a made file, feasible by its text", async () => {
  const report = readerOf(await benchRoutes(options));
  assert.equal(report.list("files").length, 1);
  assert.ok(report.number("sum.ours.vehicles") > 0);
});

test("bench start: it listens before the first order is confirmed", async () => {
  const report = readerOf(await benchStart(options));
  assert.ok(report.number("listeningMs") > 0 && report.number("listeningMs") < report.number("confirmedMs"));
  assert.equal(report.list("starts").length, 1);
});
