import assert from "node:assert/strict";
import { test } from "node:test";
import { createAgenda } from "../../src/demo/agenda.ts";
import { countMove, type DayProgress, newHistogram } from "../../src/demo/progress.ts";
import { clickToDoor } from "../../src/demo/report.ts";
import { bar, clockTime, openView, panel } from "../../src/demo/view.ts";
import { systemClock } from "../../src/platform/clock.ts";

function progressNow(): DayProgress {
  const latency = newHistogram();
  for (const micros of [2_000, 3_000, 40_000]) latency.recordValue(micros);
  return {
    title: "our routing",
    minute: 754.2,
    firstMinute: 4,
    lastMinute: 792,
    totalOrders: 10,
    byStatus: new Map([
      ["preparing", 2],
      ["delivered", 5],
    ]),
    latency,
    kitchens: [{ name: "Kitchen 1", orders: 7, recent: [750, 752], capacity: 4 }],
  };
}

test("the panel shows the clock, orders by state, latency and each kitchen's load", () => {
  const lines = panel(progressNow());
  assert.equal(lines[0], "our routing  12:34");
  assert.match(lines[1]!, /^ {2}placed {6}█{21}░{9} {2}7 of 10$/);
  assert.ok(lines.some((line) => /delivered {3}█{15}░{15} {2}5$/.test(line)));
  assert.ok(lines.some((line) => /p50 3\.0 ms, p99 40\.\d ms/.test(line)));
  assert.match(lines.at(-1)!, /Kitchen 1 {3}█{15}░{15} {2}2 of 4 a quarter hour, 7 in all/);
});

test("on a terminal the panel is drawn over itself; elsewhere each tenth of the day is a line", () => {
  const onTerminal: string[] = [];
  openView(progressNow(), { write: (text) => onTerminal.push(text), isTTY: true }, systemClock).close();
  assert.equal(onTerminal.length, 2);
  const height = panel(progressNow()).length;
  assert.ok(onTerminal[1]!.startsWith(`\u001b[${height}A\u001b[2Kour routing`));
  const elsewhere: string[] = [];
  openView(progressNow(), { write: (text) => elsewhere.push(text), isTTY: false }, systemClock).close();
  assert.equal(elsewhere.length, 2);
  assert.match(
    elsewhere[0]!,
    /^our routing 12:34 {2}placed 7\/10 {2}preparing 2, delivered 5 {2}submit p50 3\.0 ms.*kitchens 2\/4\n$/,
  );
});

test("bars and clocks keep to their bounds", () => {
  assert.equal(bar(0, 4), "░░░░");
  assert.equal(bar(0.5, 4), "██░░");
  assert.equal(bar(7, 4), "████");
  assert.equal(bar(-1, 4), "░░░░");
  assert.equal(clockTime(0), "00:00");
  assert.equal(clockTime(1_445.9), "24:05");
});

test("orders are counted where they are", () => {
  const progress = progressNow();
  countMove(progress, undefined, "confirmed");
  countMove(progress, "preparing", "ready");
  assert.deepEqual(Object.fromEntries(progress.byStatus), {
    preparing: 1,
    delivered: 5,
    confirmed: 1,
    ready: 1,
  });
});

test("what is due comes in order of time, and of the same minute in the order in which it was put down", () => {
  const agenda = createAgenda<string>();
  for (const [minute, item] of [
    [5, "c"],
    [1, "a"],
    [5, "d"],
    [3, "b"],
    [5, "e"],
    [9, "f"],
  ] as const) {
    agenda.add(minute, item);
  }
  assert.deepEqual(agenda.takeDue(0), []);
  assert.deepEqual(agenda.takeDue(5), ["a", "b", "c", "d", "e"]);
  assert.deepEqual(agenda.takeDue(100), ["f"]);
});

test("click-to-door is a mean and the nearest-rank 95th percentile", () => {
  assert.deepEqual(clickToDoor([]), { mean: 0, p95: 0 });
  assert.deepEqual(clickToDoor([30]), { mean: 30, p95: 30 });
  const minutes = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.deepEqual(clickToDoor(minutes), { mean: 50.5, p95: 95 });
});
