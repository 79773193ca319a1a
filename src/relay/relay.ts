import type { EventSink, OutboxRow } from "../bus/api.ts";
import { eventId } from "../bus/events.ts";
import { createWaker } from "../bus/wake.ts";
import { type Clock, sleep } from "../platform/clock.ts";
import { type Database, sqlState } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Service } from "../platform/service.ts";
import type { EventRow } from "./api.ts";
import { validateRow } from "./events.ts";
import { createHanded, type Handed } from "./handed.ts";
import * as store from "./store.ts";

export interface RelayDependencies {
  database: Database;
  bus: EventSink;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** Names this process; another one in each start. */
  holder: string;
  limits?: Partial<typeof defaultLimits>;
}

const defaultLimits = {
  /** Rows in one move at most. */
  maxBatchRows: 2_000,
  /** Least time from a move that was not full to the next: commits in between share its fixed cost of 2 ms. */
  paceMs: 25,
  /** An idle relay looks this often at least; a poke makes it look at once. */
  idleMs: 500,
  /** A relay that has not renewed for this long may be taken over by a waiting one. */
  leaseMs: 2_000,
  /** How long `stop` goes on moving what is there. */
  drainMs: 5_000,
};
type Limits = typeof defaultLimits;

export interface Relay extends Service {
  /**
   * Something was appended: look now. Losing a poke costs `idleMs`, not data. `committed`: the rows, where the writer still
   * has them, which spares reading them.
   */
  poke(committed?: readonly EventRow[]): void;
}

/**
 * Moves the outbox to the bus: one loop; each move is one transaction that holds the fence of its lanes, puts the good
 * rows on the bus, makes dead letters of the bad ones and deletes both. A relay that starts takes all lanes over; the
 * one before it finds itself fenced off and waits until they are free.
 */
export function createRelay(dependencies: RelayDependencies): Relay {
  const { database, clock, log, holder } = dependencies;
  const limits: Limits = { ...defaultLimits, ...dependencies.limits };
  const waker = createWaker(clock);
  const handed = createHanded();
  const mover = createMover(dependencies, handed);
  let claim: store.Claim = new Map();
  let renewedMs = 0;
  let stopping = false;
  let loop: Promise<void> | undefined;
  let batchRows = limits.maxBatchRows;

  /** Also when the clock was set back: how long ago the last renewal was is then not known. */
  const isRenewalDue = (): boolean => {
    const sinceMs = clock.nowMs() - renewedMs;
    return sinceMs < 0 || sinceMs >= limits.leaseMs / 3;
  };

  /** Keeps the lease alive, and takes lanes that came free. */
  async function tendClaim(): Promise<void> {
    if (!isRenewalDue()) return;
    renewedMs = clock.nowMs();
    const kept = await store.renewClaim(database, holder, limits.leaseMs, claim);
    if (kept.size < claim.size) log.warn({ lost: claim.size - kept.size }, "relay: lanes were taken over");
    const found = store.holdsAll(kept)
      ? new Map<number, number>()
      : await store.claimLanes(database, holder, limits.leaseMs, false);
    if (found.size > 0) log.info({ lanes: found.size }, "relay: free lanes taken");
    claim = new Map([...kept, ...found]);
  }

  /** Rows moved; a batch that the database refuses is halved until the row that it refuses is alone, and buried. */
  async function moveOnce(): Promise<number> {
    try {
      const moved = await mover.move(claim, batchRows);
      batchRows = Math.min(batchRows * 2, limits.maxBatchRows);
      return moved;
    } catch (error) {
      // Taken over, deadlock, shutdown: the same rows may pass the next time. What is left is an error of the data.
      if (!isDataError(error)) throw error;
      if (batchRows > 1) batchRows = Math.ceil(batchRows / 2);
      else await mover.bury(claim, `the bus refused it: ${(error as Error).message}`);
      return batchRows;
    }
  }

  /** One round; resolves when the next one is due. */
  async function round(): Promise<void> {
    await tendClaim();
    const moved = claim.size > 0 ? await moveOnce() : 0;
    if (moved >= batchRows || stopping) return;
    dependencies.metrics.relayLag.set(0);
    if (moved > 0) await sleep(clock, limits.paceMs);
    await idle();
  }

  /** Until poked, it peeks: often at first, then ever more seldom. A peek takes no locks and writes nothing. */
  async function idle(): Promise<void> {
    for (let waitMs = limits.paceMs; ; waitMs = Math.min(waitMs * 2, limits.idleMs)) {
      const poked = await waker.wait(waitMs);
      if (poked || stopping || isRenewalDue()) return;
      if (claim.size > 0 && (await store.isWaiting(database, claim))) return;
    }
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping) {
      try {
        await round();
        failures = 0;
      } catch (error) {
        failures += 1;
        log.warn({ err: error, failures }, "relay: a move failed and is tried again");
        await waker.wait(Math.min(50 * 2 ** failures, 2_000));
      }
    }
  }

  async function drain(): Promise<void> {
    const untilMs = clock.nowMs() + limits.drainMs;
    try {
      while (clock.nowMs() < untilMs && (await moveOnce()) > 0);
      await store.releaseClaim(database, holder, claim);
    } catch (error) {
      log.warn({ err: error }, "relay: stopped before the outbox was empty; the next start goes on");
    }
  }

  return {
    name: "relay",
    poke(committed = []) {
      if (loop) handed.put(committed);
      waker.wake();
    },
    async start() {
      claim = await store.claimLanes(database, holder, limits.leaseMs, true);
      renewedMs = clock.nowMs();
      stopping = false;
      loop = run();
    },
    async stop() {
      if (!loop) return;
      stopping = true;
      waker.wake();
      await loop;
      loop = undefined;
      await drain();
    },
  };
}

/** SQLSTATE classes of data that does not fit (22, 23, 54): sending the same again would fail again. */
const isDataError = (error: unknown): boolean => /^(22|23|54)/.test(sqlState(error) ?? "");

/** The two things done to a batch, each in one transaction. */
function createMover({ database, bus, clock, log, metrics, holder }: RelayDependencies, handed: Handed) {
  function reportAge(rows: readonly OutboxRow[]): void {
    const oldestMs = Date.parse(rows[0]?.events[0]?.at ?? "");
    metrics.relayLag.set(Number.isNaN(oldestMs) ? 0 : Math.max(0, clock.nowMs() - oldestMs) / 1_000);
  }

  function report(good: readonly OutboxRow[], bad: readonly store.BadRow[]): void {
    const byType: Record<string, number> = {};
    for (const row of good) for (const { type } of row.events) byType[type] = (byType[type] ?? 0) + 1;
    for (const [type, events] of Object.entries(byType)) metrics.published.inc({ type }, events);
    if (bad.length > 0) metrics.deadLetters.inc({ subscriber: "schema" }, bad.length);
    for (const { eventId: event, reason } of bad) log.error({ event, reason }, "relay: dead letter");
  }

  return {
    /** Moves up to `limit` rows; resolves to how many. Throws, having changed nothing, when the bus or database fails. */
    async move(claim: store.Claim, limit: number): Promise<number> {
      const { rows, good, bad, publication } = await database.transaction(async (tx) => {
        const rows = await store.readClaimed(tx, holder, claim, limit, handed);
        if (rows.length === 0) return { rows, good: [], bad: [] };
        reportAge(rows);
        const { good, bad } = sortOut(rows);
        const publication = good.length > 0 ? await bus.publish(good, tx) : undefined;
        await store.settle(tx, rows, bad);
        return { rows, good, bad, publication };
      });
      publication?.announce();
      report(good, bad);
      return rows.length;
    },

    /** Makes a dead letter of the oldest row: the one that can't be moved. */
    async bury(claim: store.Claim, reason: string): Promise<void> {
      const bad = await database.transaction(async (tx) => {
        const rows = await store.readClaimed(tx, holder, claim, 1);
        const bad = rows.map((row) => ({ row, eventId: nameOf(row), reason }));
        await store.settle(tx, rows, bad);
        return bad;
      });
      report([], bad);
    },
  };
}

/**
 * The rows that may be published and those that may not. Beside its schema a row must come after the rows of its
 * subject that precede it here: outbox ids are taken under the subject's lock, so a step back is a writer's mistake.
 */
export function sortOut(rows: readonly OutboxRow[]): { good: OutboxRow[]; bad: store.BadRow[] } {
  const good: OutboxRow[] = [];
  const bad: store.BadRow[] = [];
  const reached = new Map<string, number>();
  for (const row of rows) {
    const reason = validateRow(row) ?? stepBack(row, reached.get(row.subject));
    if (reason !== null) bad.push({ row, eventId: nameOf(row), reason });
    else {
      good.push(row);
      reached.set(row.subject, Math.max(reached.get(row.subject) ?? 0, row.events.at(-1)!.version));
    }
  }
  return { good, bad };
}

const stepBack = (row: OutboxRow, reached: number | undefined): string | null => {
  const { version, replay } = row.events[0]!;
  // A channel's room changes without a new version.
  const isSame = version === reached && row.subject.startsWith("chn_");
  return reached === undefined || version > reached || isSame || replay
    ? null
    : `version ${version} comes after version ${reached}`;
};

/** The id of the row's first event, as far as one can tell. */
function nameOf(row: OutboxRow): string {
  const first = Array.isArray(row.events) ? row.events[0] : undefined;
  return first?.type ? eventId(row.subject, first) : `${row.subject}.outbox.${row.id}`;
}
