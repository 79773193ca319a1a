import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { generateGap } from "../../bench/gap/generate.ts";
import { verifyGap } from "./gap-verifier.ts";

const folder = mkdtempSync(join(tmpdir(), "uoop-gap-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const main = join(import.meta.dirname, "..", "..", "src", "main.ts");
const gap = (...options: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "solve", "gap", ...options], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
};

let files = 0;
function file(text: string): string {
  const path = join(folder, `${files++}.txt`);
  writeFileSync(path, text);
  return path;
}

test("a line of JSON for each file, with an assignment that the file confirms", () => {
  const texts = [generateGap("A", 5, 40, 1), generateGap("C", 5, 40, 2)];
  const paths = texts.map(file);
  const { status, stdout, stderr } = gap(...paths, "--json", "--deadline-ms", "20000");
  assert.equal(stderr, "");
  assert.equal(status, 0);
  const lines = stdout.trim().split("\n");
  assert.equal(lines.length, 2);
  for (const [index, line] of lines.entries()) {
    const answer = JSON.parse(line);
    assert.deepEqual(Object.keys(answer), ["file", "objective", "bound", "status", "ms", "assignment"]);
    assert.equal(answer.file, paths[index]);
    assert.equal(answer.status, "optimal");
    assert.equal(answer.bound, answer.objective);
    assert.deepEqual(verifyGap(texts[index]!, answer.assignment), {
      objective: answer.objective,
      broken: [],
    });
  }
});

test("without --json a table; a deadline of 0 gives the greedy answer", () => {
  const { status, stdout } = gap(file(generateGap("D", 5, 40, 1)), "--deadline-ms", "0");
  assert.equal(status, 0);
  assert.match(stdout, /^file .*objective .*bound .*gap .*ms .*status\n.*\d+ .*\d+ .*%.* feasible\n$/);
});

test("no solution: null in the line, the reason beside it, exit code 1", () => {
  const { status, stdout, stderr } = gap(file("2 3  1 1 1 1 1 1  5 5 5 4 4 4  6 5"), "--json");
  assert.equal(status, 1);
  const { objective, bound, assignment, status: said } = JSON.parse(stdout);
  assert.deepEqual([objective, bound, assignment, said], [null, null, null, "infeasible"]);
  assert.match(stderr, /\.txt: capacity is short by 1: all jobs take at least 12, agents have 11/);
});

test("a file that is wrong is named, with what and where, before anything is solved; exit code 2", () => {
  const path = file("1 2\n1 -1\n1 1\n9");
  const { status, stdout, stderr } = gap(file(generateGap("A", 5, 40, 1)), path, "--json");
  assert.equal(status, 2);
  assert.equal(stdout, "");
  assert.ok(stderr.startsWith(`${path}: line 2: the cost of agent 0, job 1`), stderr);
});

test("a file that is not there, a folder and a wrong deadline are refused; exit code 2", () => {
  const missing = gap(join(folder, "missing.txt"));
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /missing\.txt: ENOENT/);
  assert.equal(gap(folder).status, 2);
  for (const deadline of ["-1", "NaN"])
    assert.equal(gap(file("1 1 1 1 1"), "--deadline-ms", deadline).status, 2, deadline);
});
