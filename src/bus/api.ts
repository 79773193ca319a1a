import type { Executor } from "../platform/database.ts";
import type { EventRow } from "../relay/api.ts";

/** A row on the bus with its place: `position` is of its first event, the following ones count up by one. */
export interface LoggedRow extends EventRow {
  position: number;
  loggedAt: string;
}

/** Events in one row at most (a commit of an order writes a handful); a row with more is a dead letter. */
export const maxEventsPerRow = 64;

/** What consumers read from: event log table (embedded) or Kafka. */
export interface Bus {
  /**
   * Rows of which at least one event is after `after`, in order; resolves empty when there is none. A reader that
   * stopped inside a row gets that row again, whole. Fewer than `limit` may come though there are more. With `subject`,
   * only those of one order or channel, and then fewer than `limit` means that these are all.
   */
  read(options: { after: number; limit: number; subject?: string }): Promise<readonly LoggedRow[]>;
  /** Rows of these subjects that are before `before`, in order: what led up to it. Whoever asks bounds the subjects. */
  history(subjects: readonly string[], before: number): Promise<readonly LoggedRow[]>;
  /** The last position given out. */
  head(): Promise<number>;
  /** Calls `wake` when something may be new: a hint (losing one costs time, not data). Returns how to stop. */
  onPublished(wake: () => void): () => void;
  committed(consumer: string): Promise<number>;
  commit(consumer: string, position: number): Promise<void>;
}

/** An outbox row that the relay has claimed and checked. */
export interface OutboxRow extends EventRow {
  /** Its id in the outbox. */
  id: number;
}

/** What the relay publishes to. An adapter stands beside the event log by implementing this and `Bus`. */
export interface EventSink {
  /**
   * Puts the rows on the bus, in the order given. `tx` is the transaction that takes them off the outbox afterwards: an
   * adapter in the same database writes within it (the rows are still there to be copied by id); any other resolves
   * once the rows are safe, and gives them again when `tx` fails later. Throws when not all rows could be published.
   */
  publish(rows: readonly OutboxRow[], tx: Executor): Promise<Publication>;
}

export interface Publication {
  /** Call it once `tx` has committed: wakes the readers in this process. */
  announce(): void;
}

/** The last position that a row takes. */
export const lastPosition = (row: LoggedRow): number => row.position + row.events.length - 1;
