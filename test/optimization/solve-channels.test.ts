import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeInstance } from "../../bench/routing/instance.ts";
import { InstanceError, parseChannelsFile } from "../../src/optimization/channels-file.ts";
import { verify } from "./verify.ts";

const folder = mkdtempSync(join(tmpdir(), "uoop-solve-"));
after(() => rmSync(folder, { recursive: true }));

const main = new URL("../../src/main.ts", import.meta.url).pathname;
const solve = (...args: string[]) =>
  spawnSync(process.execPath, [main, "solve", "channels", ...args], { encoding: "utf8" });
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

const small = makeInstance({ seed: 3, orders: 200, channels: 8, load: 0.95 });

interface Answer {
  objective: number;
  bound: number;
  served: number;
  method: string;
  ms: number;
  assignment: (number | null)[];
}

test("the answer has exactly the promised fields, and what it says is so", () => {
  const text = JSON.stringify(small);
  for (const deadline of ["300", "0"]) {
    const { status, stdout, stderr } = solve(file("small.json", text), "--deadline-ms", deadline, "--json");
    assert.equal(status, 0, stderr);
    const answer = JSON.parse(stdout) as Answer;
    assert.deepEqual(Object.keys(answer), ["objective", "bound", "served", "method", "ms", "assignment"]);
    const assignment = answer.assignment.map((channel) => channel ?? -1);
    assert.equal(answer.objective, verify(parseChannelsFile(text), assignment));
    assert.equal(answer.served, assignment.filter((channel) => channel >= 0).length);
    assert.ok(answer.bound <= answer.objective);
    assert.equal(answer.method === "regret", deadline === "0");
  }
});

test("without --json it is a table for people", () => {
  const { status, stdout } = solve(file("small.json", JSON.stringify(small)), "--deadline-ms", "100");
  assert.equal(status, 0);
  assert.match(stdout, /^orders × channels +200 × 8\n/);
});

test("a file that is not there, is not JSON or is wrong is said so, with exit code 2", () => {
  const missing = solve(join(folder, "nowhere.json"));
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /nowhere\.json: ENOENT/);
  const broken = solve(file("broken.json", '{"orders": ['));
  assert.equal(broken.status, 2);
  assert.match(broken.stderr, /broken\.json: It is not JSON/);
  const negative = solve(file("negative.json", JSON.stringify({ ...small, unservedCost: -1 })));
  assert.equal(negative.status, 2);
  assert.match(negative.stderr, /unservedCost is not a number of 0 or more/);
  assert.equal(solve(folder).status, 2);
  assert.equal(solve(file("small.json", JSON.stringify(small)), "--deadline-ms", "-1").status, 2);
});

/** An instance with one order and two channels, changed. */
const changed = (change: object): string =>
  JSON.stringify({
    resources: ["meals"],
    unservedCost: 100,
    channels: [{ capacity: [3] }, { capacity: [0] }],
    orders: [{ units: [1], cost: [5, null] }],
    ...change,
  });

test("what a file must have is asked for by name", () => {
  assert.doesNotThrow(() => parseChannelsFile(changed({})));
  assert.equal(parseChannelsFile(changed({ orders: [] })).orders, 0);
  const wrong: [object, RegExp][] = [
    [{ channels: [], orders: [] }, /^There are no channels/],
    [{ channels: [{ capacity: [0] }, { capacity: [0] }] }, /^No channel has any capacity/],
    [{ resources: "meals" }, /^resources is not a list/],
    [{ channels: [{ capacity: [3] }, {}] }, /^channels\[1\]\.capacity is not a list/],
    [
      { channels: [{ capacity: [3] }, { capacity: [1, 2] }] },
      /^channels\[1\]\.capacity has 2 entries, not 1/,
    ],
    [
      { channels: [{ capacity: [2.5] }, { capacity: [1] }] },
      /^channels\[0\]\.capacity\[0\] is not a whole number/,
    ],
    [{ orders: [null] }, /^orders\[0\]\.units is not a list/],
    [{ orders: [{ units: [-1], cost: [5, null] }] }, /^orders\[0\]\.units\[0\] is not a whole number/],
    [{ orders: [{ units: [1], cost: [5] }] }, /^orders\[0\]\.cost has 1 entries, not 2/],
    [{ orders: [{ units: [1], cost: [5, -1] }] }, /^orders\[0\]\.cost\[1\] is not a number of 0 or more/],
    [{ orders: [{ units: [1], cost: [5, "NaN"] }] }, /^orders\[0\]\.cost\[1\] is not a number/],
    [{ unservedCost: null }, /^unservedCost is not a number/],
    [
      { orders: Array.from({ length: 100_001 }, () => null) },
      /^There are 100001 orders; 100000 is the limit/,
    ],
  ];
  for (const [change, message] of wrong) {
    const error = { name: "Error", message };
    assert.throws(() => parseChannelsFile(changed(change)), error, JSON.stringify(change).slice(0, 80));
  }
  assert.throws(() => parseChannelsFile("[]"), InstanceError);
  const notANumber = changed({}).replace("[5,null]", "[NaN,null]");
  assert.throws(() => parseChannelsFile(notANumber), /It is not JSON/);
  const huge = changed({}).replace("[5,null]", "[1e999,null]");
  assert.throws(() => parseChannelsFile(huge), /^Error: orders\[0\]\.cost\[0\] is not a number/);
});
