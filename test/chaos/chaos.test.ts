import assert from "node:assert/strict";
import { test } from "node:test";
import { runChaos } from "./chaos.ts";

const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

// A bounded run of what `npm run chaos` does fifty times; CHAOS_SEED repeats one that failed.
test("whatever is killed in the middle of 200 orders, each ends once, booked once, and nothing answered is lost", async (t) => {
  t.diagnostic(`seed ${seed}`);
  const { rounds, check, wrong, folder } = await runChaos({
    rounds: 4,
    orders: 200,
    seed,
    trouble: 0.2,
    processes: 1,
    skewSeconds: 0,
    victims: ["main", "group", "postgres", "frozen"],
    onRound: (report) => t.diagnostic(JSON.stringify({ ...report, wrong: report.wrong.length })),
  });
  assert.deepEqual(wrong, [], `seed ${seed}; data and logs are in ${folder}`);
  assert.equal(check.ok, true);
  assert.equal(check.orders, 800);
  // Had no order been cut off or none been answered, the kills would have missed what they were for.
  const unanswered = rounds.reduce((sum, round) => sum + round.unanswered, 0);
  const acknowledged = rounds.reduce((sum, round) => sum + round.acknowledged, 0);
  assert.ok(unanswered > 0 && acknowledged > 0, `answered ${acknowledged}, cut off ${unanswered}`);
});
