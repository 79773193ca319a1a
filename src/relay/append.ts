import { type Executor, statement } from "../platform/database.ts";
import type { EventRow } from "./api.ts";

/**
 * The outbox's way in: only writers of a fact append, in the transaction of that fact. Orders append inside their own
 * statement (orchestration/commit-sql.ts writes the same columns); everything else uses `appendEvents`.
 */
const insertEvents = statement(
  "outbox_append",
  `insert into outbox (lane, subject, version, client_id, doc, events)
   select r.lane, r.subject, r.version, r."clientId", r.doc, r.events
   from json_to_recordset($1::json) as r(lane smallint, subject text, version int, "clientId" text, doc json, events json)`,
);

/** Appends rows to the outbox, in order. Call it under the subject's row lock: per subject, id order is version order. */
export async function appendEvents(tx: Executor, rows: readonly EventRow[]): Promise<void> {
  if (rows.length === 0) return;
  const named = rows.map((row) => ({ ...row, version: row.events.at(-1)?.version ?? null }));
  await tx.run(insertEvents, [JSON.stringify(named)]);
}
