import { type Bus, type LoggedRow, lastPosition } from "../bus/api.ts";
import { unfold } from "../bus/events.ts";
import type { EventType } from "../relay/api.ts";

/** An event of the bus, written out once for all webhooks that get it. */
export interface ReadyEvent {
  position: number;
  eventId: string;
  type: EventType;
  readonly bytes: Buffer;
}

export interface Reader {
  /** Rows after a position, in order; empty when there is none. */
  read(after: number): Promise<readonly LoggedRow[]>;
  /** The row's events. */
  eventsOf(row: LoggedRow): readonly ReadyEvent[];
}

const maxRows = 500;
const maxKeptPages = 8;

/** Reads the bus for all webhooks of a process: those that are about as far share a page, and each event is written out once. */
export function createReader(bus: Pick<Bus, "read">): Reader {
  let pages: { from: number; rows: readonly LoggedRow[]; to: number }[] = [];
  const underWay = new Map<number, Promise<readonly LoggedRow[]>>();
  const events = new WeakMap<LoggedRow, readonly ReadyEvent[]>();

  async function load(after: number): Promise<readonly LoggedRow[]> {
    const rows = await bus.read({ after, limit: maxRows });
    const last = rows.at(-1);
    if (last) pages = [...pages.slice(1 - maxKeptPages), { from: after, rows, to: lastPosition(last) }];
    return rows;
  }

  return {
    read(after) {
      const page = pages.find(({ from, to }) => from <= after && after < to);
      if (page) return Promise.resolve(page.rows.filter((row) => lastPosition(row) > after));
      const known = underWay.get(after);
      if (known) return known;
      const reading = load(after).finally(() => underWay.delete(after));
      underWay.set(after, reading);
      return reading;
    },
    eventsOf(row) {
      const known = events.get(row);
      if (known) return known;
      const made = unfold(row).map((event, index): ReadyEvent => {
        let bytes: Buffer | undefined;
        return {
          position: row.position + index,
          eventId: event.id,
          type: event.type,
          get bytes() {
            bytes ??= Buffer.from(JSON.stringify(event));
            return bytes;
          },
        };
      });
      events.set(row, made);
      return made;
    },
  };
}
