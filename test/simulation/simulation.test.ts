import assert from "node:assert/strict";
import { test } from "node:test";
import { openVirtualDatabase } from "./database.ts";
import { hunt } from "./hunt.ts";
import { mutants } from "./mutants.ts";
import { startMs } from "./scene.ts";
import { runSeed } from "./world.ts";

test("worlds of new seeds: whatever is killed, frozen, lost or late, the invariants hold", async (t) => {
  const first = Math.floor(Math.random() * 1e9);
  t.diagnostic(`seeds from ${first}`);
  const database = await openVirtualDatabase(startMs);
  try {
    for (let seed = first; seed < first + 15; seed += 1) {
      const { violations, history } = await runSeed(seed, database);
      const replay = `npm run simulate -- --seeds 1 --seed ${seed}`;
      assert.deepEqual(violations, [], `${replay}\n${history.join("\n")}`);
    }
  } finally {
    await database.close();
  }
});

test("a seed replays exactly", async () => {
  const database = await openVirtualDatabase(startMs);
  try {
    const [one, other] = [await runSeed(57, database), await runSeed(57, database)];
    assert.ok(one.history.length > 20);
    assert.deepEqual(other, one);
  } finally {
    await database.close();
  }
});

test("bugs that are planted are found", async (t) => {
  for (const name of [
    "an undo does not call the channel",
    "a write does not ask whether the order has changed since it was read",
  ]) {
    const { found, worlds, broke, output } = await hunt(mutants.find((one) => one.name === name)!, 60, 1);
    assert.ok(found, output.slice(-2_000));
    t.diagnostic(`${name}: found after ${worlds} worlds (${broke})`);
  }
});
