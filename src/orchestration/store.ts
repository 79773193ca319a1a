import type { StockNow } from "../capacity/api.ts";
import type { DecisionRecord } from "../optimization/decision.ts";
import {
  boolColumn,
  intColumn,
  jsonColumn,
  textColumn,
  timeColumn,
  uuidColumn,
} from "../platform/columns.ts";
import { type Database, type Statement, sqlState } from "../platform/database.ts";
import type { EventRow } from "../relay/api.ts";
import type { Actor, ChannelCallback } from "./api.ts";
import type { AttemptChange, Carried, Change, Decision, Take } from "./carried.ts";
import * as sql from "./commit-sql.ts";
import { newDoc } from "./contacts.ts";
import { deadlineOf, type Patience } from "./deadlines.ts";
import { createOrderReader, type OrderReader } from "./order-reader.ts";
import { changesOf, stockInput } from "./stock-rows.ts";

/** The one writer of orders, attempts, order_contacts, idempotency_keys and channel_callbacks. */
export interface OrderStore extends OrderReader {
  /** Stores new orders with the units that they want. In input order: granted, stored without them, or the key is known. */
  insert(orders: readonly NewOrder[]): Promise<Committed<"granted" | "stored" | "replay">>;
  /** Writes decisions. In input order: written with its units, written without, or the guard was lost (read it again). */
  advance(writes: readonly OrderWrite[]): Promise<Committed<"granted" | "base" | "lost">>;
}

export interface NewOrder {
  order: Pick<Carried, "id" | "lane" | "clientId" | "doc" | "personal">;
  decision: Decision;
  keyHash: string;
  bodyHash: string;
  by: Actor;
}

export interface OrderWrite {
  order: Carried;
  decision: Decision;
  by: Actor;
  /** Cancels, callbacks and timers: guarded by revision only. */
  intent: boolean;
  /** A report to be remembered with it. */
  report?: ReportRow;
}

export interface ReportRow {
  channelId: string;
  callbackId: string;
  orderId: string;
  leg: number;
  attempt: number;
  kind: ChannelCallback["kind"];
  doc: { at: string; reason?: string };
  outcome: "applied" | "kept" | "ignored";
}

/** `owner: false`: this process's lease was taken; nothing was written. */
export interface Committed<Outcome> {
  owner: boolean;
  outcomes: readonly Outcome[];
  slots: readonly { slotId: string; reserved: number; sellable: number }[];
}

/** What the statements answer: one row; the orders as their places in the batch. */
interface Answer {
  owner: boolean;
  granted: string | null;
  base: string | null;
  slots: Committed<unknown>["slots"] | null;
  stock?: readonly StockNow[] | null;
}

/** Who writes: every statement proves that it is still the owner's epoch (I8). */
export interface OwnerIdentity {
  readonly id: string;
  readonly epoch: number;
}

/**
 * `onAppended`: what was surely committed to the outbox. `patience`: what deadlines are stored with each version. `onStock`: what is free
 * now of the stock that a commit had to do with.
 */
export function createOrderStore(
  database: Database,
  owner: () => OwnerIdentity,
  onAppended: (rows: readonly EventRow[]) => void,
  patience: Patience,
  onStock: (stock: readonly StockNow[]) => void = () => undefined,
): OrderStore {
  const commit = async (statement: Statement, columns: readonly unknown[]) => {
    const { id, epoch } = owner();
    const [answer] = await retryDeadlock(() => database.run<Answer>(statement, [id, epoch, ...columns]));
    if (answer!.stock) onStock(answer!.stock);
    return answer!;
  };
  return {
    async insert(orders) {
      const stock = stockInput(orders);
      const answer = await commit(stock === null ? sql.insertOrders : sql.insertOrdersWithStock, [
        ...newOrderColumns(orders, patience),
        ...takeColumns(orders),
        ...(stock === null ? [] : [stock]),
      ]);
      const done = committed(answer, orders.length, "replay" as const, "stored" as const);
      onAppended(appendedRows(orders, done.outcomes));
      return done;
    },
    async advance(writes) {
      const reports = writes.flatMap((write, i) => (write.report ? [reportRow(write.report, i)] : []));
      const stock = stockInput(writes);
      const answer = await commit(stock === null ? sql.advanceOrders : sql.advanceOrdersWithStock, [
        ...writeColumns(writes, patience),
        ...takeColumns(writes),
        ...attemptChangeColumns(writes),
        JSON.stringify(reports),
        JSON.stringify(writes.flatMap(({ order, decision }, i) => newDoc(order, decision, i))),
        ...(stock === null ? [] : [stock]),
      ]);
      const done = committed(answer, writes.length, "lost" as const, "base" as const);
      onAppended(appendedRows(writes, done.outcomes));
      return done;
    },
    ...createOrderReader(database),
  };
}

/** Locks are taken in one order, so a deadlock is not expected; if PostgreSQL finds one, it has undone all of it. */
async function retryDeadlock<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (sqlState(error) !== "40P01") throw error;
    return run();
  }
}

function committed<Missing, Base>(
  { owner, granted, base, slots }: Answer,
  count: number,
  missing: Missing,
  otherwise: Base,
): Committed<Missing | Base | "granted"> {
  const outcomes = new Array<Missing | Base | "granted">(count).fill(missing);
  for (const place of granted?.split(",") ?? []) outcomes[Number(place)] = "granted";
  for (const place of base?.split(",") ?? []) outcomes[Number(place)] = otherwise;
  return { owner, outcomes, slots: slots ?? [] };
}

/** The outbox's new rows, as commit-sql.ts writes them. */
function appendedRows(
  writes: readonly AnyWrite[],
  outcomes: readonly ("granted" | "stored" | "base" | "replay" | "lost")[],
): readonly EventRow[] {
  return writes.flatMap(({ order, decision }, index) => {
    const outcome = outcomes[index]!;
    if (outcome === "replay" || outcome === "lost") return [];
    const { events = [] } = (outcome === "granted" ? decision.granted : decision.base) ?? {};
    if (events.length === 0) return [];
    const { id, lane, clientId } = order;
    const doc = decision.doc ?? order.doc;
    return [{ lane, subject: id, clientId, doc: doc as unknown as EventRow["doc"], events }];
  });
}

/** The columns of insertColumns, in its order. */
const newOrderColumns = (rows: readonly NewOrder[], patience: Patience): Buffer[] => [
  ...commonColumns(rows, patience, (row) => Date.parse(row.order.doc.createdAt)),
  intColumn(rows.map((row) => row.order.lane)),
  uuidColumn(rows.map((row) => row.keyHash)),
  uuidColumn(rows.map((row) => row.bodyHash)),
  textColumn(rows.map((row) => row.order.clientId)),
  jsonColumn(rows.map((row) => row.order.doc)),
  jsonColumn(rows.map((row) => row.order.personal)),
];

/** The columns of advanceColumns, in its order. */
const writeColumns = (rows: readonly OrderWrite[], patience: Patience): Buffer[] => [
  ...commonColumns(rows, patience, ({ decision, order }) =>
    Date.parse(((decision.base ?? decision.granted)?.state ?? order.state).updatedAt),
  ),
  intColumn(rows.map((row) => row.order.revision)),
  boolColumn(rows.map((row) => row.intent)),
];

type AnyWrite = NewOrder | OrderWrite;

const commonColumns = <Row extends AnyWrite>(
  rows: readonly Row[],
  patience: Patience,
  atMs: (row: Row) => number,
): Buffer[] => [
  textColumn(rows.map((row) => row.order.id)),
  timeColumn(rows.map(atMs)),
  textColumn(rows.map((row) => row.by.actor)),
  textColumn(rows.map((row) => row.by.source)),
  boolColumn(rows.map((row) => row.decision.granted !== null)),
  ...futureColumns(rows, "base", patience),
  ...futureColumns(rows, "granted", patience),
];

function futureColumns(rows: readonly AnyWrite[], which: "base" | "granted", patience: Patience): Buffer[] {
  const changes = rows.map((row): Change | null => row.decision[which]);
  const due = (change: Change | null, index: number) =>
    change && deadlineOf(change.state, rows[index]!.decision.doc ?? rows[index]!.order.doc, patience);
  return [
    intColumn(changes.map((change) => change?.state.version)),
    textColumn(changes.map((change) => change?.state.status)),
    boolColumn(changes.map((change) => change?.owned)),
    timeColumn(changes.map(due)),
    jsonColumn(changes.map((change) => change?.state)),
    jsonColumn(changes.map((change) => change?.saga)),
    jsonColumn(changes.map((change) => change?.events)),
    jsonColumn(changes.map((change) => change?.entries)),
  ];
}

/** An attempt's part of a row; of takes and of changes each fills what it has. */
interface AttemptRow extends Pick<AttemptChange, "leg" | "attempt" | "bookingRef"> {
  booking: AttemptChange["booking"] | Take["booking"];
  i: number;
  channelId?: string;
  slotId?: string;
  units?: number;
  partner?: string | null;
  decision?: DecisionRecord;
  release?: boolean;
}

/** The columns of attemptColumns, in its order. */
const attemptColumns = (rows: readonly AttemptRow[]): Buffer[] => [
  intColumn(rows.map((row) => row.i)),
  intColumn(rows.map((row) => row.leg)),
  intColumn(rows.map((row) => row.attempt)),
  textColumn(rows.map((row) => row.channelId)),
  textColumn(rows.map((row) => row.slotId)),
  intColumn(rows.map((row) => row.units)),
  textColumn(rows.map((row) => row.booking)),
  textColumn(rows.map((row) => row.bookingRef)),
  textColumn(rows.map((row) => row.partner)),
  jsonColumn(rows.map((row) => row.decision)),
  boolColumn(rows.map((row) => row.release)),
];

const takeColumns = (rows: readonly AnyWrite[]): Buffer[] =>
  attemptColumns(rows.flatMap(({ decision }, i) => decision.takes.map((take) => ({ i, ...take }))));

const attemptChangeColumns = (rows: readonly OrderWrite[]): Buffer[] =>
  attemptColumns(rows.flatMap((row, i) => changesOf(row).map((changed) => ({ i, ...changed }))));

const reportRow = ({ channelId, callbackId, orderId, ...report }: ReportRow, i: number) => ({
  i,
  channel: channelId,
  callback: callbackId,
  order_id: orderId,
  ...report,
});
