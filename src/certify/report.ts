/** One exchange of a check: what was sent, what the protocol asks for, what came. */
export interface Step {
  sent: string;
  expected: string;
  came: string;
  ok: boolean;
}

export interface CheckResult {
  /** Stable name, `cancel.unknown`. */
  id: string;
  /** The rule, as a sentence. */
  rule: string;
  /** Where it is written. */
  section: string;
  verdict: "passed" | "failed" | "skipped";
  steps: Step[];
  /** Why it was skipped. */
  note?: string;
}

/** What `uoop certify --json` prints. */
export interface CertifyReport {
  endpoint: string;
  ok: boolean;
  passed: number;
  failed: number;
  skipped: number;
  /** The slowest answer and the limit, milliseconds. */
  slowestMs: number;
  timeoutMs: number;
  checks: CheckResult[];
}

const marks = { passed: "ok     ", failed: "WRONG  ", skipped: "skipped" } as const;

function checkLines(check: CheckResult): string[] {
  const head = `${marks[check.verdict]}  ${check.id}: ${check.rule}`;
  if (check.verdict === "passed") return [head];
  if (check.verdict === "skipped") return [head, `           ${check.note}`];
  return [
    head,
    `           see ${check.section}`,
    ...check.steps.flatMap(({ sent, expected, came, ok }) =>
      ok
        ? [`           ${sent} → ${came}`]
        : [
            `         ! sent      ${sent}`,
            `           expected  ${expected}`,
            `           came      ${came}`,
          ],
    ),
  ];
}

/** The report for a person: a line per rule; of a broken one, all that was sent up to where it broke. */
export function toText(report: CertifyReport): string[] {
  const { passed, failed, skipped, slowestMs } = report;
  return [
    ...report.checks.flatMap(checkLines),
    `${report.ok ? "ok" : "WRONG"}: ${passed} rules kept, ${failed} broken, ${skipped} skipped; slowest answer ${slowestMs} ms (${report.endpoint})`,
  ];
}
