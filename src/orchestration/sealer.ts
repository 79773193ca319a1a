import { type Clock, sleep } from "../platform/clock.ts";
import { type Database, statement } from "../platform/database.ts";
import { laneCount } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";

const sealEveryMs = 5_000;

/** Rows that one commit seals (about 20 MB of text), and the rest of the last one's transaction; what is beyond follows at once. */
const maxRowsPerSeal = 50_000;

/** One journal row as text: what a seal covers. JSON, so that no two rows read the same; times in µs, so in any time zone. */
export const sealedLine = `json_build_array(j.order_id, j.id, j.version, j.lane, j.xid::text,
  (extract(epoch from j.at) * 1000000)::bigint, j.actor, j.source, j.entries::text)::text`;

/** The rows of a block, in one order whoever asks. */
export const sealedText = `string_agg(${sealedLine}, E'\\n' order by j.order_id, j.id)`;

/** Hash of a block: its head (which names the hash before) and its rows. Columns and rows are SQL expressions. */
export const sealHash = (
  of: Record<"before" | "lane" | "block" | "from" | "until" | "text", string>,
): string =>
  `encode(sha256(convert_to(json_build_array(${of.before}, ${of.lane}, ${of.block}, ${of.from}::text, ${of.until}::text)::text
    || E'\\n' || ${of.text}, 'UTF8')), 'hex')`;

/** What the first block of a lane names as the hash before it. */
export const firstHashBefore = "0".repeat(64);

const takeTurn = statement("seals.turn", "select pg_try_advisory_xact_lock(7046003) as mine");

// Complete by construction: every transaction below the oldest one running has ended, so no row can still appear below
// `until`. All lanes are sealed up to the same xid, so what is new is whatever lies above the highest of them; it is found by the index
// on xid. A lane without new rows gets no block; its next one reaches back to its last.
const sealNew = statement(
  "seals.add",
  `with heads as materialized (
     select n.lane, s.block, s.until_xid, s.hash
     from generate_series(0, ${laneCount - 1}) as n(lane)
     left join lateral (select block, until_xid, hash from seals where seals.lane = n.lane order by block desc limit 1) s on true
   ), bounds as materialized (
     select coalesce(max(until_xid), '0'::xid8) as sealed, pg_snapshot_xmin(pg_current_snapshot()) as complete from heads
   ), cut as materialized (
     select b.sealed, b.complete, coalesce((
       select (j.xid::text::bigint + 1)::text::xid8 from journal j
       where j.xid >= b.sealed and j.xid < b.complete order by j.xid offset ${maxRowsPerSeal} limit 1
     ), b.complete) as until
     from bounds b
   ), blocks as materialized (
     select h.lane, coalesce(h.block + 1, 0) as block, coalesce(h.until_xid, '0'::xid8) as from_xid, c.until as until_xid,
       n.entries, coalesce(h.hash, '${firstHashBefore}') as before, n.text
     from cut c
     join lateral (
       select j.lane, count(*)::int as entries, ${sealedText} as text
       from journal j where j.xid >= c.sealed and j.xid < c.until group by j.lane
     ) n on true
     join heads h on h.lane = n.lane
   ), added as (
     insert into seals (lane, block, from_xid, until_xid, entries, hash)
     select lane, block, from_xid, until_xid, entries,
       ${sealHash({ before: "before", lane: "lane", block: "block", from: "from_xid", until: "until_xid", text: "text" })}
     from blocks returning entries
   )
   select (select coalesce(sum(entries), 0)::int from added) as entries, c.until < c.complete as "more",
     c.sealed > c.complete as backwards
   from cut c`,
);

export interface SealOutcome {
  /** Journal rows sealed. */
  entries: number;
  /** More is complete already: call again. */
  more: boolean;
  /** The database's transaction ids are below what is sealed: it was restored by copying rows, not files. */
  backwards: boolean;
}

/**
 * Seals what is complete and not yet sealed, up to a limit: one block per lane that has something, in one transaction.
 * Safe beside others that do the same: one at a time, the others find nothing to do.
 */
export function sealOnce(database: Database): Promise<SealOutcome> {
  return database.transaction(async (tx) => {
    // A statement of its own: the next one's snapshot must see what the last holder of the lock committed.
    const [turn] = await tx.run<{ mine: boolean }>(takeTurn);
    if (!turn?.mine) return { entries: 0, more: false, backwards: false };
    const [outcome] = await tx.run<SealOutcome>(sealNew);
    return outcome!;
  });
}

/**
 * The audit chain (I9): every few seconds, chains new journal rows per lane. Writers never wait for it, and never
 * chain anything themselves. Any number of processes may run one.
 */
export function createSealer(options: { database: Database; clock: Clock; log: Log }): Service {
  const { database, clock, log } = options;
  let stopping = new AbortController();
  let running: Promise<void> | undefined;

  const sealAll = async () => {
    try {
      for (let more = true; more; ) {
        const outcome = await sealOnce(database);
        more = outcome.more;
        if (outcome.backwards) {
          log.error(
            "The journal can't be sealed: this database's transaction ids are below those already sealed",
          );
        }
      }
    } catch (error) {
      log.warn({ err: error }, "The journal could not be sealed just now; it is tried again");
    }
  };

  const run = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      await sealAll();
      await sleep(clock, sealEveryMs, signal);
    }
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
