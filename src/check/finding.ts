import { type Invariant, maxKeptViolations, type RuleAnswer, type Violation } from "./rule.ts";

/** What came of one rule. */
export interface Finding {
  invariant: Invariant;
  name: string;
  /** How many were looked at, and of what. */
  checked: number;
  of: string;
  violationCount: number;
  /** The first of them; `violationCount` says how many there are. */
  violations: Violation[];
}

export const newFinding = (rule: { invariant: Invariant; name: string; of: string }): Finding => ({
  invariant: rule.invariant,
  name: rule.name,
  of: rule.of,
  checked: 0,
  violationCount: 0,
  violations: [],
});

/** Counts a violation, and keeps it while there is room. */
export function addViolation(finding: Finding, violation: Violation): void {
  finding.violationCount += 1;
  if (finding.violations.length < maxKeptViolations) finding.violations.push(violation);
}

/** Adds what a rule answered. */
export function collect(finding: Finding, answer: RuleAnswer): void {
  finding.checked += answer.checked;
  for (const violation of answer.violations) addViolation(finding, violation);
}
