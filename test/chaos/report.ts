import type { ChaosReport } from "./chaos.ts";
import type { RoundReport } from "./round.ts";

/** What `uoop chaos --json` prints. Each of `lost` to `eventsOutOfOrder` must be 0. */
export interface ChaosSummary {
  rounds: number;
  /** Blows: one or two a round. */
  kills: number;
  orders: number;
  /** Orders that had been answered when their round's blow came. */
  acknowledged: number;
  lost: number;
  doubled: number;
  oversold: number;
  stuck: number;
  eventsMissing: number;
  eventsOutOfOrder: number;
  recoveryMsP50: number;
  recoveryMsMax: number;
  /** From SIGKILL of one of several processes until its orders moved again; null: nothing was measured. */
  takeoverMsP50: number | null;
  takeoverMsMax: number | null;
  takeovers: number;
  wrong: readonly string[];
}

export function summarise({ rounds, check, wrong }: ChaosReport): ChaosSummary {
  const broken = (invariant: string) =>
    check.findings
      .filter((finding) => finding.invariant === invariant)
      .reduce((sum, { violationCount }) => sum + violationCount, 0);
  const total = totalOf(rounds);
  const recoveries = sorted(rounds.map((round) => round.recoveryMs));
  const takeovers = sorted(rounds.flatMap((round) => round.takeoversMs));
  return {
    rounds: rounds.length,
    kills: total((round) => round.kills),
    orders: check.orders,
    acknowledged: total((round) => round.acknowledged),
    lost: broken("I1"),
    doubled: broken("I4") + broken("I6"),
    oversold: broken("I2"),
    stuck: total((round) => round.ends.stuck ?? 0),
    eventsMissing: broken("I5"),
    eventsOutOfOrder: wrong.filter((what) => what.startsWith("event stream")).length,
    recoveryMsP50: middle(recoveries) ?? 0,
    recoveryMsMax: recoveries.at(-1) ?? 0,
    takeoverMsP50: middle(takeovers),
    takeoverMsMax: takeovers.at(-1) ?? null,
    takeovers: takeovers.length,
    wrong,
  };
}

const sorted = (numbers: readonly number[]): readonly number[] => numbers.toSorted((a, b) => a - b);
const middle = (numbers: readonly number[]): number | null => numbers[Math.floor(numbers.length / 2)] ?? null;
const totalOf = (rounds: readonly RoundReport[]) => (of: (round: RoundReport) => number) =>
  rounds.reduce((sum, round) => sum + of(round), 0);

/** A round in a line, and what was wrong below it. */
export function roundLine(report: RoundReport): string {
  const { round, victim, kills, acknowledged, unanswered, replayed, recoveryMs, settledMs } = report;
  const { ends, wasted, wrong, skipped, takeoversMs } = report;
  const ended = Object.entries(ends).map(([status, count]) => `${status} ${count}`);
  return [
    `round ${String(round).padStart(4)}`,
    `${kills} × ${victim}`.padEnd(19),
    `acknowledged ${String(acknowledged).padStart(4)}`,
    `unanswered ${String(unanswered).padStart(4)}, of them stored ${String(replayed).padStart(4)}`,
    `ready after ${String(recoveryMs).padStart(5)} ms`,
    ...(takeoversMs.length === 0 ? [] : [`taken over after ${takeoversMs.join(", ")} ms`]),
    `all ended ${String(settledMs).padStart(6)} ms later`,
    ended.join(", "),
    ...(wasted === 0 ? [] : [`cooked for nothing ${wasted}`]),
    ...(skipped === undefined ? [] : [`NOT HIT: ${skipped}`]),
    ...shortened(wrong).map((what) => `\n    WRONG ${what}`),
  ].join("  ");
}

const maxShown = 10;

/** The first of many: what goes wrong with all orders of a round need not be said of each. */
function shortened(wrong: readonly string[]): readonly string[] {
  const left = wrong.length - maxShown;
  return left <= 0 ? wrong : [...wrong.slice(0, maxShown), `… and ${left} more`];
}

/** The whole run, for a terminal. */
export function reportLines(report: ChaosReport): readonly string[] {
  const summary = summarise(report);
  const total = totalOf(report.rounds);
  return [
    `${summary.kills} blows, ${summary.orders} orders in the database`,
    `acknowledged before a blow ${summary.acknowledged}, not answered ${total((round) => round.unanswered)}, of them stored ${total((round) => round.replayed)}`,
    `ready again after ${summary.recoveryMsP50} ms in the median, ${summary.recoveryMsMax} ms at most`,
    ...(summary.takeovers === 0
      ? []
      : [
          `orders of a killed process moved again after ${summary.takeoverMsP50} ms in the median, ${summary.takeoverMsMax} ms at most (${summary.takeovers} kills)`,
        ]),
    `events told again after a resumption: ${report.repeatedEvents}`,
    `bookings that differed and were put right: ${report.differences}`,
    `uoop check: ${report.check.findings.length} rules, ${report.check.ok ? "all hold" : "BROKEN"}`,
    ...report.check.notes.map((note) => `note: ${note}`),
    ...shortened(report.wrong).map((what) => `WRONG ${what}`),
    ...(report.wrong.length === 0 ? ["ok"] : []),
    ...(!report.kept ? [] : [`data and logs are kept in ${report.folder}`]),
  ];
}
