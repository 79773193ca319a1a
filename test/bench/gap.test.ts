import assert from "node:assert/strict";
import { test } from "node:test";
import { benchGap } from "../../bench/gap.ts";

test("bench gap: every instance is solved and its answer added up; without OR-Tools it says so and goes on", async () => {
  let said = "";
  const out = {
    write(text: string) {
      said += text;
    },
  };
  const options = { seconds: 0.5, quick: true, seed: 1, out, python: "/no/such/python" };
  const { ok, wrong, lines, json } = await benchGap(options);
  assert.deepEqual({ ok, wrong }, { ok: true, wrong: [] });
  assert.match(said, /has no OR-Tools: only ours is measured/);
  const { rows, summary } = json as {
    rows: { peer: null; ours: { objective: number; bound: number } }[];
    summary: { ours: { mean: number } };
  };
  assert.equal(rows.length, 2);
  for (const { peer, ours } of rows) {
    assert.equal(peer, null);
    assert.ok(ours.bound > 0 && ours.bound <= ours.objective);
  }
  const mean = rows.reduce((sum, { ours }) => sum + ours.objective / ours.bound - 1, 0) / 2;
  assert.ok(Math.abs(summary.ours.mean - mean) < 1e-12);
  assert.equal(lines.length, 1 + 2 + 2);
});
