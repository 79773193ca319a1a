import assert from "node:assert/strict";
import { test } from "node:test";
import { runChaos } from "./chaos.ts";

const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);

// Bounded runs of what `npm run chaos` does for as long as it is told; CHAOS_SEED repeats one that failed.
test("whatever is killed in the middle of 100 orders, each ends once, booked once, and nothing answered is lost", async (t) => {
  t.diagnostic(`seed ${seed}`);
  const { rounds, check, wrong, folder } = await runChaos({
    rounds: 4,
    orders: 100,
    seed,
    trouble: 0.2,
    processes: 1,
    skewSeconds: 0,
    victims: ["main", "group", "postgres", "frozen"],
    onRound: (report) => t.diagnostic(JSON.stringify({ ...report, wrong: report.wrong.length })),
  });
  assert.deepEqual(wrong, [], `seed ${seed}; data and logs are in ${folder}`);
  assert.equal(check.ok, true);
  assert.equal(check.orders, 400);
  // Had no order been cut off or none been answered, the kills would have missed what they were for.
  const unanswered = rounds.reduce((sum, round) => sum + round.unanswered, 0);
  const acknowledged = rounds.reduce((sum, round) => sum + round.acknowledged, 0);
  assert.ok(unanswered > 0 && acknowledged > 0, `answered ${acknowledged}, cut off ${unanswered}`);
});

test("of three processes on one database one is killed, the network is cut, all are restarted, the disk is full: nothing is lost", async (t) => {
  t.diagnostic(`seed ${seed}`);
  const { rounds, check, wrong, folder } = await runChaos({
    rounds: 4,
    orders: 60,
    seed,
    trouble: 0.2,
    processes: 3,
    skewSeconds: 20,
    victims: ["process", "cut", "rolling", "disk"],
    onRound: (report) => t.diagnostic(JSON.stringify({ ...report, wrong: report.wrong.length })),
  });
  assert.deepEqual(wrong, [], `seed ${seed}; data and logs are in ${folder}`);
  assert.equal(check.ok, true);
  assert.equal(check.orders, 240);
  // Only the disk may be one that can't be filled here; then the round has said so.
  assert.deepEqual(
    rounds
      .filter(({ kills }) => kills === 0)
      .map(({ victim }) => victim)
      .filter((one) => one !== "disk"),
    [],
  );
});
