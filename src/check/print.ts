import type { CheckReport } from "./check.ts";
import type { Finding } from "./finding.ts";

const number = (value: number): string => value.toLocaleString("en-US");

const findingLines = (finding: Finding): string[] => {
  const wrong = finding.violationCount;
  const head = `${finding.invariant}  ${wrong === 0 ? "ok   " : "WRONG"}  ${finding.name} (${number(finding.checked)} ${finding.of}${wrong === 0 ? "" : `, ${number(wrong)} wrong`})`;
  const told = finding.violations.map(({ subject, what }) => `           ${subject}: ${what}`);
  const untold = wrong - told.length;
  return [head, ...told, ...(untold > 0 ? [`           … and ${number(untold)} more`] : [])];
};

/** The report for a person: a line per rule, each violation below it, then notes and what was not checked. */
export function toText(report: CheckReport): string[] {
  const wrong = report.findings.filter((finding) => finding.violationCount > 0).length;
  const verdict = report.ok ? "every rule holds" : `${wrong} of ${report.findings.length} rules broken`;
  return [
    ...report.findings.flatMap(findingLines),
    ...report.notes.map((note) => `note       ${note}`),
    ...report.notChecked.map((reason) => `not seen   ${reason}`),
    `${report.ok ? "ok" : "WRONG"}: ${verdict}, ${number(report.orders)} orders in ${(report.ms / 1_000).toFixed(1)} s`,
  ];
}

export const toJson = (report: CheckReport): string => JSON.stringify(report);
