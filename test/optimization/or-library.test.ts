import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatError, parseGap } from "../../src/optimization/gap/or-library.ts";

const bad: readonly [string, string, RegExp][] = [
  ["empty", "", /line 1: it ends before the number of agents/],
  ["zero agents", "0 5", /line 1: the number of agents must be a whole number from 1 to \d+, and is "0"/],
  ["a half number", "1 1\n1.5 1 1", /line 2: the cost of agent 0, job 0 .* is "1.5"/],
  ["a negative cost", "1 2\n1 -1\n1 1\n9", /line 2: the cost of agent 0, job 1 .* is "-1"/],
  ["a negative use", "1 1\n1\n-3\n9", /line 3: the use of agent 0, job 0 .* is "-3"/],
  ["NaN", "1 1\n1\n1\nNaN", /line 4: the capacity of agent 0 .* is "NaN"/],
  ["a number too large", "1 1\n1\n1\n99999999999", /line 4: the capacity of agent 0 .* is "99999999999"/],
  ["too short", "2 2\n1 1\n1 1\n1 1\n1 1\n9\n", /line 6: it ends before the capacity of agent 1/],
  ["too long", "1 1\n1\n1\n9\n7", /line 5: there is more after the last capacity/],
  ["too large", "1000 1000\n1", /line 1: 1000 agents × 1000 jobs is more than can be solved/],
];

for (const [name, text, message] of bad) {
  test(`a text that is no instance (${name}) is refused, with what is wrong on which line`, () => {
    assert.throws(
      () => parseGap(text),
      (error) => error instanceof FormatError && message.test(error.message),
    );
  });
}

test("costs and uses are read by agent, then job, over any line breaks", () => {
  const problem = parseGap("2 3\r\n 1 2 3 4\n5 6\n\n7 8 9 10 11 12 13\t14\n");
  assert.deepEqual([...problem.cost], [1, 4, 2, 5, 3, 6]);
  assert.deepEqual([...problem.use], [7, 10, 8, 11, 9, 12]);
  assert.deepEqual([...problem.capacity], [13, 14]);
});
