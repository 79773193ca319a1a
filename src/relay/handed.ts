import type { EventRow } from "./api.ts";

/** Rows handed over and not yet relayed at most: 25 MB. What is beyond it is read from the outbox. */
const maxHandedRows = 8_192;

/**
 * Committed rows as their writer in this process still has them: the relay then reads only which rows the outbox holds,
 * not what is in them (10 µs a row to send, read and parse again). A row is known by its subject and version,
 * which is written once; give only what is surely committed.
 */
export interface Handed {
  put(rows: readonly EventRow[]): void;
  /** The row, which is forgotten. */
  take(subject: string, version: number): EventRow | undefined;
  readonly size: number;
}

export function createHanded(maxRows = maxHandedRows): Handed {
  const rows = new Map<string, EventRow>();
  return {
    put(more) {
      for (const row of more) rows.set(nameOf(row.subject, row.events.at(-1)!.version), row);
      // Rows that were relayed before they were handed over are never taken: the oldest go first.
      for (const name of rows.keys()) {
        if (rows.size <= maxRows) break;
        rows.delete(name);
      }
    },
    take(subject, version) {
      const name = nameOf(subject, version);
      const row = rows.get(name);
      if (row) rows.delete(name);
      return row;
    },
    get size() {
      return rows.size;
    },
  };
}

const nameOf = (subject: string, version: number): string => `${subject}.${version}`;
