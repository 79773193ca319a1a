import { type Executor, statement } from "../platform/database.ts";

export type Invariant = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I8" | "I9";

/** Something that an invariant forbids: of which order (or slot, key, lane…), and what is wrong there, in words. */
export interface Violation {
  subject: string;
  what: string;
}

interface RuleHead {
  invariant: Invariant;
  /** What holds, as a sentence. */
  name: string;
  /** What is counted as looked at, in the plural. */
  of: string;
}

/**
 * A rule about one order at a time. `sql` selects (subject, what) of those that break it among the orders with
 * $1 < id <= $2: it is run range by range, so that memory is bounded however many orders there are.
 */
export interface OrderRule extends RuleHead {
  sql: string;
}

/** Rules that read the same prepared rows: `shared` (common table expressions, without `with`) is run once for all of them. */
export interface RuleSet {
  shared?: string;
  rules: readonly OrderRule[];
}

/** One statement for a set: (rule, subject, what), `rule` being the index in the set. */
export const sqlOfSet = ({ shared, rules }: RuleSet): string =>
  `${shared === undefined ? "" : `with ${shared} `}${rules
    .map(({ sql }, index) => `select ${index} as rule, subject, what from (${sql}) r${index}`)
    .join(" union all ")}`;

/** A rule about the whole: run once, in one snapshot. */
export interface WholeRule extends RuleHead {
  run(tx: Executor): Promise<RuleAnswer>;
}

export interface RuleAnswer {
  checked: number;
  violations: readonly Violation[];
}

/** Violations of one rule that are kept and told; the others are counted. */
export const maxKeptViolations = 100;

/** A whole rule that two statements make: how many there are, and (subject, what) of those that break it. */
export function wholeRule(head: RuleHead, counting: string, breaking: string): WholeRule {
  return {
    ...head,
    async run(tx) {
      const [counted] = await tx.run<{ count: number }>(statement("", counting));
      const violations = await tx.run<Violation>(statement("", breaking));
      return { checked: counted?.count ?? 0, violations };
    },
  };
}

/** SQL list of literals; for words from our own tables only. */
export const sqlList = (words: readonly string[]): string =>
  words.map((word) => `'${word.replaceAll("'", "''")}'`).join(", ");
