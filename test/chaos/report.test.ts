import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { prepareChaos } from "./command.ts";
import { recordRun } from "./record.ts";
import { summarise } from "./report.ts";
import type { RoundReport } from "./round.ts";

const round = (takeoversMs: readonly number[], recoveryMs: number): RoundReport => ({
  ...{ round: 1, victim: "process", kills: 1, acknowledged: 10, unanswered: 2, replayed: 1 },
  ...{ recoveryMs, takeoversMs, settledMs: 5, ends: { delivered: 10 }, wasted: 0, wrong: [] },
});
const finding = (invariant: string, violationCount: number) => ({
  ...{ invariant, name: "", checked: 1, violationCount, violations: [] },
});
const report = {
  rounds: [round([2_000], 900), round([], 500), round([1_000, 3_000], 700)],
  check: {
    ok: false,
    orders: 30,
    notes: [],
    findings: [finding("I1", 2), finding("I4", 1), finding("I6", 3)],
  },
  ...{ repeatedEvents: 0, differences: 0, folder: "", kept: true },
  wrong: ["event stream: x came after version 1", "something else"],
};

test("a run is summed up: what was lost and doubled by the invariants, times by their middle and most", () => {
  assert.partialDeepStrictEqual(summarise(report), {
    ...{ rounds: 3, acknowledged: 30, lost: 2, doubled: 4, oversold: 0, eventsOutOfOrder: 1 },
    ...{ recoveryMsP50: 700, recoveryMsMax: 900, takeoverMsP50: 2_000, takeoverMsMax: 3_000, takeovers: 3 },
  });
});

test("each recorded run is a line, and the last column adds the rounds up", async () => {
  const folder = await mkdtemp(join(tmpdir(), "uoop-record-"));
  try {
    const path = join(folder, "RELIABILITY.md");
    const options = { seed: 7, processes: 3, victims: ["process", "cut"] as const, skewSeconds: 20 };
    recordRun(options, summarise(report), path);
    recordRun(options, { ...summarise(report), takeovers: 0 }, path);
    const lines = (await readFile(path, "utf8")).trim().split("\n").slice(-2);
    assert.match(lines[0]!, /\| process, cut; clocks ± 20 s \| 3 \|.*\| 2000 \/ 3000 \| 3 \|$/);
    assert.match(lines[1]!, /\| – \| 6 \|$/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("a victim that such a run can't hit is refused with those that it can", () => {
  const given = { rounds: 1, orders: 1, trouble: 0, processes: 1, skew: 0 };
  assert.throws(
    () => prepareChaos({ ...given, victims: "main,rolling" }),
    /"rolling".*main, group, postgres/,
  );
  assert.throws(() => prepareChaos({ ...given, processes: 3, victims: "clock" }), /--skew/);
});
