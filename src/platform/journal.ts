import { type Executor, statement } from "./database.ts";

/** One row of the journal: who changed what, when and from where. Append only; a sealer chains the rows afterwards. */
export interface JournalRow {
  /** An order's or a channel's id. */
  subject: string;
  version: number;
  lane: number;
  /** RFC 3339. */
  at: string;
  actor: string;
  source: string | null;
  entries: readonly object[];
}

const insert = statement(
  "journal_append",
  `insert into journal (order_id, version, lane, at, actor, source, entries)
   select r.subject, r.version, r.lane, r.at, r.actor, r.source, r.entries
   from json_to_recordset($1::json)
     as r(subject text, version int, lane smallint, at timestamptz, actor text, source text, entries json)`,
);

/** Appends in the transaction of the change itself. Orders do it inside their own statement (orchestration/commit-sql.ts). */
export async function appendJournal(tx: Executor, rows: readonly JournalRow[]): Promise<void> {
  if (rows.length > 0) await tx.run(insert, [JSON.stringify(rows)]);
}
