import { type Clock, systemClock } from "../platform/clock.ts";
import { type Database, type Executor, openDatabase, statement } from "../platform/database.ts";
import { acknowledgedRules, readAcknowledged } from "./acknowledged.ts";
import { addViolation, collect, type Finding, newFinding } from "./finding.ts";
import { checkLedger } from "./ledger.ts";
import { lagNotes, whatCannotBeSeen } from "./notes.ts";
import { toJson, toText } from "./print.ts";
import { type RuleSet, sqlOfSet, type Violation, type WholeRule } from "./rule.ts";
import { sealRule } from "./rules-audit.ts";
import { bookingRules, capacityRules } from "./rules-capacity.ts";
import { eventRules, journalRules, viewRules } from "./rules-events.ts";
import { keyRules, orderRules } from "./rules-orders.ts";
import { webhookRules } from "./rules-webhooks.ts";
import { inSnapshot } from "./snapshot.ts";

/** Every rule, in the order of the invariants (DESIGN.md §6). */
const perOrder: readonly RuleSet[] = [orderRules, bookingRules, eventRules, journalRules, viewRules];
const perDatabase: readonly WholeRule[] = [...capacityRules, ...keyRules, ...webhookRules, sealRule];

/** Orders that one snapshot covers; about 1 s of work. */
const defaultRangeOrders = 20_000;

export interface CheckOptions {
  /** The database, or where it is. */
  database?: Database;
  databaseUrl?: string;
  /** NDJSON, a client's record of the answers that it got (docs/checking.md). */
  acknowledgedFile?: string;
  /** With the above: every acknowledged order must have ended. */
  ended?: boolean;
  /** Base URL of the channel simulator, whose ledger is compared with the attempts. */
  ledgerUrl?: string;
  /** One JSON object instead of lines. */
  json?: boolean;
  /** Takes the report, line by line. */
  out: (line: string) => void;
  clock?: Clock;
  /** Orders that one snapshot covers at most. */
  rangeOrders?: number;
}

export interface CheckReport {
  ok: boolean;
  orders: number;
  /** Each rule with what it looked at and what breaks it. */
  findings: readonly Finding[];
  /** Worth knowing, not wrong: lags, dead letters. */
  notes: readonly string[];
  /** What was not or can't be checked, and why. */
  notChecked: readonly string[];
  ms: number;
}

/**
 * Asserts the invariants I1–I9, as far as a database, a client's record and a channel's ledger show them. Reads in
 * snapshots, so the database may be live. Throws when it can't be read (not for what it finds there).
 */
export async function runCheck(options: CheckOptions): Promise<CheckReport> {
  const clock = options.clock ?? systemClock;
  const startedMs = clock.nowMs();
  const database = options.database ?? openForCheck(options.databaseUrl);
  try {
    const report = await checkAll(database, options, clock);
    const timed = { ...report, ms: clock.nowMs() - startedMs };
    for (const line of options.json ? [toJson(timed)] : toText(timed)) options.out(line);
    return timed;
  } finally {
    if (!options.database) await database.close();
  }
}

function openForCheck(url: string | undefined): Database {
  if (!url) throw new Error("There is no database to check: give its URL");
  return openDatabase(url, { connections: 2, application: "uoop-check" });
}

async function checkAll(
  database: Database,
  options: CheckOptions,
  clock: Clock,
): Promise<Omit<CheckReport, "ms">> {
  const { orders, findings } = await checkOrders(database, options.rangeOrders ?? defaultRangeOrders);
  for (const rule of perDatabase) {
    const finding = newFinding(rule);
    collect(finding, await inSnapshot(database, (tx) => rule.run(tx)));
    findings.push(finding);
  }
  if (options.acknowledgedFile) {
    const records = readAcknowledged(options.acknowledgedFile);
    findings.push(...(await acknowledgedRules(database, records, options.ended ?? false)));
  }
  if (options.ledgerUrl) findings.push(...(await checkLedger(database, options.ledgerUrl, clock)));
  findings.sort((one, other) => one.invariant.localeCompare(other.invariant));
  return {
    ok: findings.every((finding) => finding.violationCount === 0),
    orders,
    findings,
    notes: await inSnapshot(database, lagNotes),
    notChecked: whatCannotBeSeen(options),
  };
}

const endOfRange = statement(
  "check.range_end",
  "select id from orders where id > $1 order by id offset $2 limit 1",
);
const countRange = statement(
  "check.range_count",
  "select count(*) as count from orders where id > $1 and id <= $2",
);

/** Around every order's id in byte order (journal and bus also tell of channels). The last range takes in what arrives meanwhile. */
const beforeFirstId = "ord_";
const afterLastId = "ord_~";

async function checkOrders(database: Database, rangeOrders: number) {
  const findings = perOrder.map(({ rules }) => rules.map(newFinding));
  let orders = 0;
  for (let from = beforeFirstId, done = false; !done; ) {
    await inSnapshot(database, async (tx) => {
      const [end] = await tx.run<{ id: string }>(endOfRange, [from, rangeOrders - 1]);
      const to = end?.id ?? afterLastId;
      const [counted] = await tx.run<{ count: number }>(countRange, [from, to]);
      orders += counted?.count ?? 0;
      await checkRange(tx, findings, from, to, counted?.count ?? 0);
      from = to;
      done = end === undefined;
    });
  }
  return { orders, findings: findings.flat() };
}

async function checkRange(
  tx: Executor,
  findings: readonly Finding[][],
  from: string,
  to: string,
  checked: number,
) {
  for (const [setIndex, set] of perOrder.entries()) {
    const query = statement(`check.orders_${setIndex}`, sqlOfSet(set));
    const broken = await tx.run<Violation & { rule: number }>(query, [from, to]);
    for (const finding of findings[setIndex]!) finding.checked += checked;
    for (const { rule, subject, what } of broken) addViolation(findings[setIndex]![rule]!, { subject, what });
  }
}
