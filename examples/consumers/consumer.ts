import { DatabaseSync } from "node:sqlite";

/** What a consumer needs of an order; an event carries the whole of it (docs/events.md). */
export interface Order {
  id: string;
  version: number;
  status: string;
  customerId: string;
  currency: string;
  items: readonly { sku: string; quantity: number; unitPriceMinor: number }[];
  channel?: { id: string };
}

/** A downstream service: its tables, what it makes of a new version of an order, what it then knows. */
export interface Consumer {
  name: string;
  tables: string;
  /** Called once for each version of an order, in order, within the transaction that also moves the cursor. */
  handle(store: DatabaseSync, order: Order): void;
  summary(store: DatabaseSync): Record<string, number>;
  /** The summary that these orders must come to: how anyone can see that nothing was missed or counted twice. */
  expected(orders: readonly Order[]): Record<string, number>;
}

export interface StreamEvent {
  /** Of the stream: what `Last-Event-ID` resumes from. */
  position: string;
  order: Order | undefined;
}

const ownTables = `
  create table if not exists cursor (one integer primary key check (one = 1), position text not null);
  create table if not exists seen (order_id text primary key, version integer not null) without rowid;`;

export function openStore(consumer: Consumer, file: string): DatabaseSync {
  const store = new DatabaseSync(file);
  store.exec(
    `pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 5000; ${ownTables} ${consumer.tables}`,
  );
  return store;
}

/** `0` before the first event: from the oldest that is kept. */
export const positionOf = (store: DatabaseSync): string =>
  (store.prepare("select position from cursor").get()?.position as string | undefined) ?? "0";

/**
 * Effects and cursor are one transaction: a kill leaves both or none. Events come at least once, so what is not newer than what
 * was seen of its order is dropped.
 */
export function applyEvents(consumer: Consumer, store: DatabaseSync, events: readonly StreamEvent[]): void {
  store.exec("begin immediate");
  try {
    for (const { order, position } of events) {
      if (order && isNew(store, order)) consumer.handle(store, order);
      store
        .prepare("insert into cursor values (1, ?) on conflict do update set position = excluded.position")
        .run(position);
    }
    store.exec("commit");
  } catch (error) {
    store.exec("rollback");
    throw error;
  }
}

const isNew = (store: DatabaseSync, { id, version }: Order): boolean =>
  store
    .prepare(
      `insert into seen values (?, ?) on conflict do update set version = excluded.version
       where excluded.version > seen.version`,
    )
    .run(id, version).changes === 1;

export const totalOf = ({ items }: Order): number =>
  items.reduce((sum, { quantity, unitPriceMinor }) => sum + quantity * unitPriceMinor, 0);

/** The first row of a query whose columns are all numbers. */
export const numbers = (store: DatabaseSync, sql: string): Record<string, number> => ({
  ...(store.prepare(sql).get() as Record<string, number>),
});

export const sum = <T>(list: readonly T[], of: (each: T) => number): number =>
  list.reduce((total, each) => total + of(each), 0);
