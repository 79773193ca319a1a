import type { LoggedRow } from "../bus/api.ts";
import type { OrderState } from "../orchestration/order.ts";
import { lastState } from "../relay/snapshot.ts";

/** An order's view as one row of the store. */
export interface ViewRow {
  id: string;
  client: string;
  customer: string;
  channel: string | null;
  status: string;
  version: number;
  created: string;
  doc: Readonly<Record<string, unknown>>;
  state: Readonly<Record<string, unknown>>;
}

/**
 * The newest view of each order that the rows tell of, by id. What came before in the same chunk need not be written,
 * and what was already validated by the relay is not checked again.
 */
export function newestViews(rows: readonly LoggedRow[]): ViewRow[] {
  const newest = new Map<string, LoggedRow>();
  for (const row of rows) {
    if (row.clientId === null) continue;
    const before = newest.get(row.subject);
    if (!before || versionOf(row) > versionOf(before)) newest.set(row.subject, row);
  }
  return [...newest.values()].map(toView).sort((a, b) => (a.id < b.id ? -1 : 1));
}

const versionOf = (row: LoggedRow): number => row.events.at(-1)!.version;

function toView(row: LoggedRow): ViewRow {
  const state = lastState(row);
  const { status, version, legs } = state as unknown as OrderState;
  const { customerId, createdAt } = row.doc as { customerId: string; createdAt: string };
  return {
    id: row.subject,
    client: row.clientId!,
    customer: customerId,
    channel: legs[0]?.channel.id ?? null,
    status,
    version,
    created: createdAt,
    doc: row.doc,
    state,
  };
}
