import type { Item } from "./chains.ts";
import type { Sent } from "./send.ts";

/** What happened at one webhook since it was last saved. */
export interface Tally {
  delivered: number;
  retried: number;
  requests: number;
  failedRequests: number;
  responseMs: number;
  lastDeliveredMs: number | null;
  lastError: string | null;
  /** Ids of events that were pending in the database and are not any more. */
  removed: string[];
  /** Given up: they become dead letters. */
  dead: Item[];
}

export const newTally = (): Tally => ({
  delivered: 0,
  retried: 0,
  requests: 0,
  failedRequests: 0,
  responseMs: 0,
  lastDeliveredMs: null,
  lastError: null,
  removed: [],
  dead: [],
});

/** Counts a request with so many events, `retried` of them sent before. */
export function countRequest(tally: Tally, sent: Sent, events: number, retried: number): void {
  tally.requests += 1;
  tally.responseMs += sent.ms;
  tally.retried += retried;
  if (sent.ok) tally.delivered += events;
  else tally.failedRequests += 1;
}
