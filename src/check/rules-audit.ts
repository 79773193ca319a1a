import { firstHashBefore, sealedText, sealHash } from "../orchestration/sealer.ts";
import { type Executor, statement } from "../platform/database.ts";
import { type RuleAnswer, sqlList, type Violation, type WholeRule } from "./rule.ts";

/** Journal rows that one statement hashes at about the most: 40 MB of text. */
const maxRowsAtOnce = 100_000;

/** A turn of the sealer: all lanes were sealed up to `until`. */
interface Turn {
  until: number;
  entries: number;
}

const listTurns = statement(
  "check.seal_turns",
  "select until_id as until, sum(entries)::bigint as entries from seals group by until_id order by until_id",
);

const listGaps = statement(
  "check.seal_gaps",
  `select format('lane %s block %s', lane, block) as subject,
     format('follows block %s; covers rows from %s, the block before ended at %s', block_before, from_id, until_before) as what
   from (
     select lane, block, from_id, lag(block, 1, -1::bigint) over w as block_before, lag(until_id, 1, 0::bigint) over w as until_before
     from seals window w as (partition by lane order by block)
   ) s
   where block <> block_before + 1 or from_id <> until_before
   limit 1000`,
);

const recomputed = sealHash({
  before: `coalesce(before.hash, ${sqlList([firstHashBefore])})`,
  lane: "s.lane",
  block: "s.block",
  from: "s.from_id",
  until: "s.until_id",
  text: "f.text",
});

// $1: the ids at which turns ended, ascending, the first being where this stretch begins. A row is of the first turn that ended above it.
const compareStretch = statement(
  "check.seal_stretch",
  `with found as (
     select j.lane, ($1::bigint[])[1 + width_bucket(j.id, $1::bigint[])] as until, count(*) as entries,
       ${sealedText} as text, (array_agg(distinct j.order_id))[1:3] as sample, count(distinct j.order_id) as orders
     from journal j
     where j.id >= ($1::bigint[])[1] and j.id < ($1::bigint[])[cardinality($1::bigint[])]
     group by 1, 2
   ), sealed as (
     select * from seals
     where until_id > ($1::bigint[])[1] and until_id <= ($1::bigint[])[cardinality($1::bigint[])]
   ), compared as (
     select coalesce(s.lane, f.lane) as lane, s.block, coalesce(s.until_id, f.until) as until, s.entries, f.entries as found,
       f.sample, f.orders, s.hash, ${recomputed} as expected
     from sealed s
     full join found f on f.lane = s.lane and f.until = s.until_id
     left join seals before on before.lane = s.lane and before.block = s.block - 1
   )
   select format('lane %s block %s', lane, coalesce(block::text, 'none')) as subject, case
       when block is null then format('%s rows below number %s are in no block: %s', found, until, array_to_string(sample, ' '))
       when found is null then format('all %s rows are gone', entries)
       when found <> entries then format('%s rows were sealed, %s are there: of %s orders, %s', entries, found, orders, array_to_string(sample, ' '))
       else format('a row was changed after it was sealed: %s rows of %s orders, %s', entries, orders, array_to_string(sample, ' '))
     end as what
   from compared where hash is distinct from expected or entries is distinct from found
   limit 1000`,
);

/** Turns in stretches of at most `maxRowsAtOnce` rows (a larger single turn stands alone): the ids between them. */
export function stretches(turns: readonly Turn[], maxRows: number): number[][] {
  const all: number[][] = [];
  let bounds = [0];
  let rows = 0;
  for (const turn of turns) {
    if (rows > 0 && rows + turn.entries > maxRows) {
      all.push(bounds);
      bounds = [bounds.at(-1)!];
      rows = 0;
    }
    bounds.push(turn.until);
    rows += turn.entries;
  }
  return bounds.length > 1 ? [...all, bounds] : all;
}

/** I9: the audit chain, recomputed from the journal's rows. */
export const sealRule: WholeRule = {
  invariant: "I9",
  name: "the audit chain verifies: every sealed journal row is as it was sealed, and none was added or taken",
  of: "sealed rows",
  async run(tx: Executor): Promise<RuleAnswer> {
    const turns = await tx.run<Turn>(listTurns);
    const violations: Violation[] = await tx.run<Violation>(listGaps);
    for (const bounds of stretches(turns, maxRowsAtOnce)) {
      violations.push(...(await tx.run<Violation>(compareStretch, [bounds])));
    }
    return { checked: turns.reduce((sum, turn) => sum + turn.entries, 0), violations };
  },
};
