import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { currentCommit, describeMachine } from "../../bench/report/machine.ts";
import type { ChaosOptions } from "./chaos.ts";
import type { ChaosSummary } from "./report.ts";

const file = join(import.meta.dirname, "..", "..", "bench", "RELIABILITY.md");

const columns = [
  ...["date, UTC", "commit", "machine", "seed", "processes", "victims", "rounds", "blows", "orders"],
  ...["acknowledged", "lost", "doubled", "oversold", "stuck", "events missing", "out of order"],
  ...["other faults", "recovery ms p50 / max", "takeover ms p50 / max", "rounds in all"],
];

const head = [
  "# Reliability, measured",
  "",
  "Written by `uoop chaos --record`, a line a run, oldest first; docs/chaos.md says what is done and looked at. A commit with a `+` had local",
  "changes. Takeover: from SIGKILL of a process until its orders move again. The last column counts the rounds of all runs so far.",
  "",
  `| ${columns.join(" | ")} |`,
  `|${columns.map(() => "---").join("|")}|`,
].join("\n");

/** Adds the run to bench/RELIABILITY.md. */
export function recordRun(
  options: Pick<ChaosOptions, "seed" | "processes" | "victims" | "skewSeconds">,
  summary: ChaosSummary,
  path = file,
): void {
  const text = existsSync(path) ? readFileSync(path, "utf8").trimEnd() : head;
  const machine = describeMachine();
  const before = Number(text.match(/\| (\d+) \|$/)?.[1] ?? 0);
  const cells = [
    new Date().toISOString().slice(0, 16).replace("T", " "),
    currentCommit() ?? "none",
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB`,
    options.seed,
    options.processes,
    `${options.victims.join(", ")}${options.skewSeconds > 0 ? `; clocks ± ${options.skewSeconds} s` : ""}`,
    ...[summary.rounds, summary.kills, summary.orders, summary.acknowledged, summary.lost, summary.doubled],
    ...[summary.oversold, summary.stuck, summary.eventsMissing, summary.eventsOutOfOrder],
    summary.wrong.length,
    `${summary.recoveryMsP50} / ${summary.recoveryMsMax}`,
    summary.takeovers === 0 ? "–" : `${summary.takeoverMsP50} / ${summary.takeoverMsMax}`,
    before + summary.rounds,
  ];
  writeFileSync(path, `${text}\n| ${cells.join(" | ")} |\n`);
}
