/**
 * `npm run chaos -- --rounds 50 --seed 7`: kills the platform again and again, and says what became of the orders. Exit code
 * 0 when nothing was lost, booked twice or left behind, 1 otherwise. docs/chaos.md says what is done and what is looked at.
 */
import { parseArgs } from "node:util";
import { runChaos } from "./chaos.ts";
import { type Victim, victims } from "./programs.ts";
import type { RoundReport } from "./round.ts";

const usage = `Usage: npm run chaos -- [--rounds 50] [--orders 200] [--seed N] [--trouble 0.2] [--victims main,group]
  --rounds   kills, at least
  --orders   orders in flight at each
  --seed     repeats the circumstances of an earlier run
  --trouble  share of partner calls that are refused, fail or are never answered
  --victims  whom the rounds hit, in turn: main (the main process), group (with PostgreSQL), postgres (that alone) are
             killed; frozen (the main process) and frozen-postgres are stopped for up to nine seconds
  --json     print one JSON object at the end and nothing else`;

function readOptions() {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean", default: false },
      rounds: { type: "string", default: "50" },
      orders: { type: "string", default: "200" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      trouble: { type: "string", default: "0.2" },
      victims: { type: "string", default: "main,group" },
      json: { type: "boolean", default: false },
    },
  });
  const number = (name: "rounds" | "orders" | "seed" | "trouble", most: number): number => {
    const value = Number(values[name]);
    if (values[name] === "" || !(value >= 0 && value <= most))
      throw new Error(`--${name} can't be ${values[name]}`);
    return value;
  };
  const named = values.victims.split(",");
  const unknown = named.find((one) => !(victims as readonly string[]).includes(one));
  if (unknown !== undefined) throw new Error(`--victims can't name "${unknown}"`);
  return {
    help: values.help,
    rounds: number("rounds", 100_000),
    orders: number("orders", 5_000),
    seed: number("seed", Number.MAX_SAFE_INTEGER),
    trouble: number("trouble", 1),
    victims: named as Victim[],
    json: values.json,
  };
}

function optionsOrExit(): Omit<ReturnType<typeof readOptions>, "help"> {
  try {
    const { help, ...options } = readOptions();
    if (!help) return options;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}

const options = optionsOrExit();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const line = (report: RoundReport): string => {
  const { round, victim, kills, acknowledged, unanswered, replayed, recoveryMs, settledMs } = report;
  const { ends, wasted, wrong } = report;
  const ended = Object.entries(ends).map(([status, count]) => `${status} ${count}`);
  return [
    `round ${String(round).padStart(3)}`,
    `${kills} × ${victim}`.padEnd(12),
    `acknowledged ${String(acknowledged).padStart(4)}`,
    `cut off ${String(unanswered).padStart(4)}, of them stored ${String(replayed).padStart(4)}`,
    `ready after ${String(recoveryMs).padStart(5)} ms`,
    `all ended ${String(settledMs).padStart(6)} ms later`,
    ended.join(", "),
    ...(wasted === 0 ? [] : [`cooked for nothing ${wasted}`]),
    ...shortened(wrong).map((what) => `\n    WRONG ${what}`),
  ].join("  ");
};

const maxShown = 10;

/** The first of many: what goes wrong with all orders of a round need not be said of each. */
function shortened(wrong: readonly string[]): readonly string[] {
  const left = wrong.length - maxShown;
  return left <= 0 ? wrong : [...wrong.slice(0, maxShown), `… and ${left} more`];
}

const say = (text: string): void => (options.json ? undefined : console.log(text));

say(
  `${options.rounds} rounds of ${options.orders} orders, ${options.trouble * 100} % of partner calls in trouble, seed ${options.seed}`,
);
const report = await runChaos({ ...options, onRound: (round) => say(line(round)) });
const total = (of: (round: RoundReport) => number) =>
  report.rounds.reduce((sum, round) => sum + of(round), 0);
const recoveries = report.rounds.map((round) => round.recoveryMs).toSorted((a, b) => a - b);
const middle = recoveries[Math.floor(recoveries.length / 2)] ?? 0;
if (options.json) console.log(JSON.stringify(summary()));
say(
  [
    `${total((round) => round.kills)} kills, ${report.check.orders} orders in the database`,
    `acknowledged before a kill ${total((round) => round.acknowledged)}, cut off ${total((round) => round.unanswered)}, of them stored ${total((round) => round.replayed)}`,
    `ready again after ${middle} ms in the median, ${recoveries.at(-1)} ms at most`,
    `events told again after a resumption: ${report.repeatedEvents}`,
    `bookings that differed and were put right: ${report.differences}`,
    `uoop check: ${report.check.findings.length} rules, ${report.check.ok ? "all hold" : "BROKEN"}`,
    ...report.check.notes.map((note) => `note: ${note}`),
    ...shortened(report.wrong).map((what) => `WRONG ${what}`),
    report.wrong.length === 0 ? "ok" : `data and logs are kept in ${report.folder}`,
  ].join("\n"),
);
process.exit(report.wrong.length === 0 ? 0 : 1);

/** The rounds as figures: each of `lost` to `eventsOutOfOrder` must be 0. */
function summary() {
  const { check, wrong } = report;
  const broken = (invariant: string) =>
    check.findings
      .filter((finding) => finding.invariant === invariant)
      .reduce((sum, { violationCount }) => sum + violationCount, 0);
  const said = (pattern: RegExp) => wrong.filter((what) => pattern.test(what)).length;
  return {
    rounds: report.rounds.length,
    kills: total((round) => round.kills),
    orders: check.orders,
    acknowledged: total((round) => round.acknowledged),
    lost: broken("I1"),
    doubled: broken("I4") + broken("I6"),
    oversold: broken("I2"),
    stuck: total((round) => round.ends.stuck ?? 0),
    eventsMissing: broken("I5"),
    eventsOutOfOrder: said(/^event stream/),
    recoveryMsP50: middle,
    recoveryMsMax: recoveries.at(-1) ?? 0,
    wrong,
    seed: options.seed,
  };
}
