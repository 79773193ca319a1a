import type { AssignmentProblem } from "../problem.ts";

/** What a file may ask for at most: agents times jobs, and jobs. */
const maxPairs = 200_000;
const maxJobs = 2_000;
/** Of one cost, use or capacity. */
const maxNumber = 2 ** 31 - 1;

/** A text that is no instance; the message says what is wrong, and on which line. */
export class FormatError extends Error {}

/**
 * Reads the OR-Library's format of the generalised assignment problem (people.brunel.ac.uk/~mastjjb/jeb/orlib/gapinfo.html, one instance):
 * agents and jobs; for each agent its costs of all jobs; for each agent what the jobs take of it; capacities. All whole
 * numbers from 0, parted by white space. Throws a FormatError.
 */
export function parseGap(text: string): AssignmentProblem {
  const next = reader(text);
  const agents = next("the number of agents", 1);
  const jobs = next("the number of jobs", 1);
  if (jobs > maxJobs || agents * jobs > maxPairs) {
    const limit = `at most ${maxJobs} jobs, and ${maxPairs} for agents × jobs`;
    throw new FormatError(`line 1: ${agents} agents × ${jobs} jobs is more than can be solved (${limit})`);
  }
  const cost = new Float64Array(jobs * agents);
  const use = new Int32Array(jobs * agents);
  const matrix = (into: Float64Array | Int32Array, what: string): void => {
    for (let agent = 0; agent < agents; agent += 1)
      for (let job = 0; job < jobs; job += 1)
        into[job * agents + agent] = next(() => `${what} of agent ${agent}, job ${job}`);
  };
  matrix(cost, "the cost");
  matrix(use, "the use");
  const capacity = Int32Array.from({ length: agents }, (_, agent) =>
    next(() => `the capacity of agent ${agent}`),
  );
  next.end();
  return {
    orders: jobs,
    channels: agents,
    resources: 1,
    cost,
    use,
    orderStride: agents,
    channelStride: 1,
    capacity,
    unservedCost: Number.POSITIVE_INFINITY,
  };
}

function reader(text: string) {
  const words = text.matchAll(/\S+/g);
  const lineOf = (at: number): number => text.slice(0, at).split("\n").length;
  const next = (what: string | (() => string), least = 0): number => {
    const name = typeof what === "string" ? what : what();
    const { value: match } = words.next();
    if (!match) throw new FormatError(`line ${lineOf(text.trimEnd().length)}: it ends before ${name}`);
    const word = match[0];
    const value = /^[+-]?\d+$/.test(word) ? Number(word) : Number.NaN;
    if (value >= least && value <= maxNumber) return value;
    const seen = word.length > 40 ? `${word.slice(0, 40)}…` : word;
    throw new FormatError(
      `line ${lineOf(match.index)}: ${name} must be a whole number from ${least} to ${maxNumber}, and is ${JSON.stringify(seen)}`,
    );
  };
  const end = (): void => {
    const { value: match } = words.next();
    if (match) throw new FormatError(`line ${lineOf(match.index)}: there is more after the last capacity`);
  };
  return Object.assign(next, { end });
}
