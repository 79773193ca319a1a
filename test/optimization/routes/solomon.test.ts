import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fileText, solomonText } from "../../../bench/routes/recipe.ts";
import { verify } from "../../../bench/routes/verify.ts";
import { readSolomon } from "../../../src/optimization/routes/solomon.ts";

const folder = mkdtempSync(join(tmpdir(), "uoop-routes-"));
after(() => rmSync(folder, { recursive: true }));
const main = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));

function solve(texts: Readonly<Record<string, string>>, ...options: string[]) {
  const paths = Object.entries(texts).map(([name, text]) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  });
  const run = spawnSync(process.execPath, [main, "solve", "routes", ...paths, ...options], {
    encoding: "utf8",
  });
  return { code: run.status, out: run.stdout, error: run.stderr, paths };
}

const depot = "50 50 0 0 200 0";
const near = "50 60 10 0 100 5";

test("uoop solve routes: a JSON line for each file, feasible by the file's text, with the file's customer numbers", () => {
  const texts = { "a.txt": solomonText(11), "b.txt": solomonText(12).replaceAll("\n", "\r\n") };
  for (const deadline of ["0", "300"]) {
    const { code, out, error, paths } = solve(texts, "--deadline-ms", deadline, "--json");
    assert.equal(error, "");
    assert.equal(code, 0);
    const answers = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      answers.map(({ file }) => file),
      paths,
    );
    for (const [index, answer] of answers.entries()) {
      assert.deepEqual(Object.keys(answer), ["file", "vehicles", "distance", "ms", "routes"]);
      assert.deepEqual(verify(Object.values(texts)[index]!.replaceAll("\r", ""), answer), []);
    }
  }
});

test("uoop solve routes without --json: a row for each file", () => {
  const { code, out } = solve({ "c.txt": fileText(2, 20, [depot, near]) }, "--deadline-ms", "0");
  assert.equal(code, 0);
  assert.match(out, /^file +vehicles +distance +ms\n.*c\.txt +1 +20\.00 +\d+\n$/);
});

test("customers that can never be served are said with the reason, the others are served, and the exit code is 1", () => {
  const rows = [depot, near, "50 70 21 0 100 5", "90 90 1 0 5 0", "0 0 1 150 199 0"];
  const { code, out, error } = solve({ "d.txt": fileText(3, 20, rows) }, "--deadline-ms", "50", "--json");
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(out).routes, [[1]]);
  assert.match(error, /d\.txt: customers 2: can never be served: demand above/);
  assert.match(error, /d\.txt: customers 3: can never be served: not reached before its due date/);
  assert.match(error, /d\.txt: customers 4: can never be served: no way back/);
});

test("too few vehicles: as many as possible are served, the others are named", () => {
  const rows = [depot, near, "50 40 10 0 100 5", "60 50 10 0 100 5"];
  const { code, out, error } = solve({ "e.txt": fileText(1, 20, rows) }, "--deadline-ms", "50", "--json");
  assert.equal(code, 1);
  assert.equal(JSON.parse(out).routes.flat().length, 2);
  assert.match(error, /customers \d: found no room in 1 vehicles within the deadline/);
});

const bad: readonly [name: string, text: string, says: RegExp][] = [
  ["an empty file", "", /no line NUMBER CAPACITY/],
  ["another format", "5 100\n1 2 3\n", /no line NUMBER CAPACITY/],
  ["no table", fileText(1, 1, []).split("CUSTOMER")[0]!, /no line of column names/],
  ["no depot", fileText(1, 1, []), /no depot/],
  [
    "a word for a number",
    fileText(1, 20, [depot, "50 sixty 10 0 100 5"]),
    /line 11: “sixty” is not a number/,
  ],
  ["not a number", fileText(1, 20, [depot, "50 NaN 10 0 100 5"]), /line 11: “NaN” is not a number/],
  ["a row cut off", fileText(1, 20, [depot, "50 60 10 0"]), /line 11: expected 7 numbers .*, found 5/],
  [
    "a negative demand",
    fileText(1, 20, [depot, "50 60 -1 0 100 5"]),
    /line 11: customer 1 has a negative demand/,
  ],
  ["a negative service", fileText(1, 20, [depot, "50 60 1 0 100 -5"]), /line 11: .* negative service time/],
  [
    "a window reversed",
    fileText(1, 20, [depot, "50 60 1 100 10 5"]),
    /line 11: customer 1 is due \(10\) before/,
  ],
  ["no vehicles", fileText(0, 20, [depot, near]), /line 5: NUMBER must be a whole number from 1/],
  ["half a vehicle", fileText(1.5, 20, [depot, near]), /line 5: NUMBER must be a whole number/],
  ["a negative capacity", fileText(1, -1, [depot, near]), /line 5: CAPACITY must not be negative/],
  [
    "a customer twice",
    fileText(1, 20, [depot, near]).replace(/ {4}1 {3}/, "    0   "),
    /line 11: customer 0 is there twice/,
  ],
  ["too many", fileText(1, 20, [depot, ...Array(2_001).fill(near)]), /2001 customers; 2000 is the most/],
];

for (const [name, text, says] of bad) {
  test(`a file that is not understood is refused with what and where: ${name}`, () => {
    assert.throws(() => readSolomon(text), says);
  });
}

test("a file that is not understood, or not there, is named, nothing is printed, and the exit code is 2", () => {
  const wrong = solve(
    { "good.txt": fileText(1, 20, [depot, near]), "bad.txt": "x" },
    "--deadline-ms",
    "0",
    "--json",
  );
  assert.equal(wrong.code, 2);
  assert.equal(wrong.out, "");
  assert.match(wrong.error, /bad\.txt: there is no line NUMBER CAPACITY/);
  const missing = spawnSync(process.execPath, [main, "solve", "routes", "nowhere.txt"], { encoding: "utf8" });
  assert.equal(missing.status, 2);
  assert.match(missing.stderr, /nowhere\.txt: ENOENT/);
  const negative = solve({ "f.txt": fileText(1, 20, [depot, near]) }, "--deadline-ms", "-1");
  assert.equal(negative.code, 2);
});
