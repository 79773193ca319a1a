import type { EventRow } from "../relay/api.ts";

/** A row on the bus with its place: `position` is of its first event, the following ones count up by one. */
export interface LoggedRow extends EventRow {
  position: number;
  loggedAt: string;
}

/** What the relay publishes to and consumers read from: event log table (embedded) or Kafka. */
export interface Bus {
  /** Rows after `position`, in order; resolves empty when there is none. `subject` narrows to one order. */
  read(options: { after: number; limit: number; subject?: string }): Promise<readonly LoggedRow[]>;
  /** The last position given out. */
  head(): Promise<number>;
  /** Calls `wake` when something may be new: a hint (losing one costs time, not data). Returns how to stop. */
  onPublished(wake: () => void): () => void;
  committed(consumer: string): Promise<number>;
  commit(consumer: string, position: number): Promise<void>;
}
