import { type Clock, sleep } from "../platform/clock.ts";
import { type Database, statement } from "../platform/database.ts";
import { laneCount } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";

const sealEveryMs = 5_000;

/** Rows that one commit seals at most (about 20 MB of text); what is beyond it follows at once. */
const maxRowsPerSeal = 50_000;

/** One journal row as text: what a seal covers. JSON, so that no two rows read the same; times in µs, so in any time zone. */
const sealedLine = `json_build_array(j.order_id, j.id, j.version, j.lane, j.xid::text,
  (extract(epoch from j.at) * 1000000)::bigint, j.actor, j.source, j.entries::text)::text`;

/** The rows of a block, in one order whoever asks. */
export const sealedText = `string_agg(${sealedLine}, E'\\n' order by j.order_id, j.id)`;

/** Hash of a block: its head (which names the hash before) and its rows. Columns and rows are SQL expressions. */
export const sealHash = (
  of: Record<"before" | "lane" | "block" | "from" | "until" | "text", string>,
): string =>
  `encode(sha256(convert_to(json_build_array(${of.before}, ${of.lane}, ${of.block}, ${of.from}, ${of.until})::text
    || E'\\n' || ${of.text}, 'UTF8')), 'hex')`;

/** What the first block of a lane names as the hash before it. */
export const firstHashBefore = "0".repeat(64);

const readLastId = statement("seals.last_id", "select last_value as id from journal_id_seq");
const readXid = statement("seals.xid", "select pg_current_xact_id()::text as xid");

/** A place in the journal, and the transaction before which all that could write below it began. */
export interface Mark {
  lastId: number;
  xid: string;
}

/**
 * Marks where the journal ends now. Two statements, in this order: whoever drew an id up to `lastId` had its transaction's
 * number before (the column xid stands before id), so that number is below `xid`, which is drawn after.
 */
export function markJournal(database: Database): Promise<Mark> {
  return database.transaction(async (tx) => {
    const [last] = await tx.run<{ id: number }>(readLastId);
    const [own] = await tx.run<{ xid: string }>(readXid);
    return { lastId: last!.id, xid: own!.xid };
  });
}

// Whether a writer below the mark is still at work is asked by its lock on its own number, not by the snapshot's horizon:
// that one counts the transactions of the server's other databases too. A number is locked before the row's id is drawn.
const takeTurn = statement(
  "seals.turn",
  `select pg_try_advisory_xact_lock(7046003) as mine, exists (
     select from pg_locks l left join pg_stat_activity a using (pid)
     where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
       and age(l.transactionid) > age($1::xid8::xid)
       and (a.pid is null or a.datname = current_database() and a.backend_type = 'client backend')
   ) as "tooEarly"`,
);

// Complete by construction: once every transaction below the mark's has ended, no row up to its id can still appear. Ids, not
// transaction numbers, say what is sealed: they survive a dump and restore. All lanes are sealed up to the same id, so what
// is new lies above the highest; a lane without new rows gets no block, and its next one reaches back to its last.
const sealNew = statement(
  "seals.add",
  `with heads as materialized (
     select n.lane, s.block, s.until_id, s.hash
     from generate_series(0, ${laneCount - 1}) as n(lane)
     left join lateral (select block, until_id, hash from seals where seals.lane = n.lane order by block desc limit 1) s on true
   ), fresh as materialized (
     select first.id from (select coalesce(max(until_id), 0) as sealed from heads) h
     cross join lateral (select j.id from journal j where j.id >= h.sealed order by j.id limit 1) first
     where first.id <= $1
   ), bounds as materialized (
     select id as first, least($1 + 1, id + ${maxRowsPerSeal}) as until from fresh
   ), blocks as materialized (
     select h.lane, coalesce(h.block + 1, 0) as block, coalesce(h.until_id, 0) as from_id, b.until as until_id,
       n.entries, coalesce(h.hash, '${firstHashBefore}') as before, n.text
     from bounds b
     join lateral (
       select j.lane, count(*)::int as entries, ${sealedText} as text
       from journal j where j.id >= b.first and j.id < b.until group by j.lane
     ) n on true
     join heads h on h.lane = n.lane
   ), added as (
     insert into seals (lane, block, from_id, until_id, entries, hash)
     select lane, block, from_id, until_id, entries,
       ${sealHash({ before: "before", lane: "lane", block: "block", from: "from_id", until: "until_id", text: "text" })}
     from blocks returning entries
   )
   select (select coalesce(sum(entries), 0)::int from added) as entries,
     coalesce((select until <= $1 from bounds), false) as "more"`,
);

export interface SealOutcome {
  /** Journal rows sealed. */
  entries: number;
  /** There is more up to the mark: call again. */
  more: boolean;
  /** A transaction that may write below the mark is still running: call again later. */
  tooEarly: boolean;
}

/**
 * Seals what is not yet sealed up to the mark, or as much of it as one commit takes: one block per lane that has something. Safe beside
 * others that do the same: one at a time, the others find nothing to do.
 */
export function sealUpTo(database: Database, mark: Mark): Promise<SealOutcome> {
  return database.transaction(async (tx) => {
    // A statement of its own: the next one's snapshot must see what the last holder of the lock, and the writers, committed.
    const [turn] = await tx.run<{ mine: boolean; tooEarly: boolean }>(takeTurn, [mark.xid]);
    if (!turn?.mine || turn.tooEarly) return { entries: 0, more: false, tooEarly: true };
    const [outcome] = await tx.run<Omit<SealOutcome, "tooEarly">>(sealNew, [mark.lastId]);
    return { ...outcome!, tooEarly: false };
  });
}

/** Seals everything up to the mark, commit by commit. */
async function sealAllUpTo(database: Database, mark: Mark): Promise<SealOutcome> {
  for (let entries = 0; ; ) {
    const outcome = await sealUpTo(database, mark);
    entries += outcome.entries;
    if (!outcome.more) return { ...outcome, entries };
  }
}

/** Seals what is there now, unless a transaction under way may still add to it. */
export const sealOnce = async (database: Database): Promise<SealOutcome> =>
  sealAllUpTo(database, await markJournal(database));

/**
 * The audit chain (I9): every few seconds, chains new journal rows per lane. Writers never wait for it, and never
 * chain anything themselves. Any number of processes may run one.
 */
export function createSealer(options: { database: Database; clock: Clock; log: Log }): Service {
  const { database, clock, log } = options;
  let stopping = new AbortController();
  let running: Promise<void> | undefined;
  let mark: Mark | undefined;

  const sealAll = async () => {
    try {
      const upTo = mark ?? (await markJournal(database));
      const outcome = await sealAllUpTo(database, upTo);
      mark = outcome.tooEarly ? upTo : undefined;
    } catch (error) {
      log.warn({ err: error }, "The journal could not be sealed just now; it is tried again");
    }
  };

  const run = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      await sealAll();
      await sleep(clock, sealEveryMs, signal);
    }
    // What the drained services wrote last; nothing is lost when it can't be sealed now.
    mark = undefined;
    await sealAll();
  };

  return {
    name: "sealer",
    async start() {
      stopping = new AbortController();
      running = run(stopping.signal);
    },
    async stop() {
      stopping.abort();
      await running;
      running = undefined;
    },
  };
}
