import { type InstanceOptions, makeInstance } from "../../bench/routing/instance.ts";
import { parseChannelsFile } from "../../src/optimization/channels-file.ts";
import type { AssignmentProblem } from "../../src/optimization/problem.ts";

/** A made-up city, as a problem. */
export const instance = (options: InstanceOptions): AssignmentProblem =>
  parseChannelsFile(JSON.stringify(makeInstance(options)));
