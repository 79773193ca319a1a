import { type LoggedRow, lastPosition } from "./api.ts";

/**
 * The newest rows that this process put on the bus, already parsed: consumers beside the relay read them from here, so
 * that a row is parsed once and not once per consumer. At 5,000 rows/s it holds most of a second.
 */
export interface Tail {
  /** Takes rows that are committed. Rows that don't follow on from what is there begin it anew. */
  append(rows: readonly LoggedRow[]): void;
  /** The rows after `after`; undefined when not all of them are here. */
  read(after: number, limit: number): readonly LoggedRow[] | undefined;
}

/** At most `maxRows` are kept; older ones are read from the database. */
export function createTail(maxRows: number): Tail {
  let rows: LoggedRow[] = [];

  return {
    append(more) {
      const [first] = more;
      const last = rows.at(-1);
      if (!first) return;
      if (last && lastPosition(last) + 1 !== first.position) rows = [];
      for (const row of more) rows.push(row);
      // Cut half as late as could be: a slice per append would copy the whole list each time.
      if (rows.length > maxRows * 1.5) rows = rows.slice(-maxRows);
    },
    read(after, limit) {
      const first = rows[0];
      const last = rows.at(-1);
      if (!first || !last || after + 1 < first.position || after >= lastPosition(last)) return undefined;
      const from = indexAfter(rows, after);
      return rows.slice(from, from + limit);
    },
  };
}

/** Index of the first row that has an event after `after`; there is one. */
function indexAfter(rows: readonly LoggedRow[], after: number): number {
  let low = 0;
  let high = rows.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lastPosition(rows[middle]!) > after) high = middle;
    else low = middle + 1;
  }
  return low;
}
