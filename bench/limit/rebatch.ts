import type { ViewRow } from "../../src/read-model/project.ts";
import type { CapturedStatement } from "./capture.ts";
import { encodeColumn, type Group, layoutOf, parseArray, type Value } from "./layout.ts";

/** What one order needs of one statement: its rows of each group of columns. */
export interface Part {
  orderId: string;
  /** By group, then by row, then by column. */
  rows: readonly (readonly Value[])[][];
}

/** An order of the run, as SQL saw it: stored once, then advanced, then projected. */
export interface RecordedOrder {
  id: string;
  insert: Part;
  advances: Part[];
  /** Rows that the read model wrote of it, in order; JSON text. */
  views: string[];
}

/** A recorded statement: its text, which parameters are columns of what, and how many parameters there are. */
export interface RecordedStatement {
  text: string;
  layout: readonly Group[];
  params: readonly Value[];
}

/** The recorded run, taken apart into orders, so that it can be put together again in batches of any size. */
export interface Recording {
  insert: RecordedStatement;
  advance: RecordedStatement | null;
  orders: readonly RecordedOrder[];
  /** Statements an order, by name, as they were in the run. */
  statementsPerOrder: Readonly<Record<string, number>>;
}

/** Takes the captured statements apart. Throws when none stored an order. */
export function takeApart(captured: readonly CapturedStatement[]): Recording {
  const orders = new Map<string, RecordedOrder>();
  const counts: Record<string, number> = {};
  let insert: RecordedStatement | null = null;
  let advance: RecordedStatement | null = null;
  let views: Group | null = null;
  for (const { name, text, params } of captured) {
    const label = name || text.trim().split(/\s+/)[0]!.toLowerCase();
    counts[label] = (counts[label] ?? 0) + 1;
    if (name === "orders_insert") {
      insert ??= { text, layout: layoutOf(text), params };
      for (const part of partsOf(insert.layout, params))
        orders.set(part.orderId, { id: part.orderId, insert: part, advances: [], views: [] });
    } else if (name === "orders_advance") {
      advance ??= { text, layout: layoutOf(text), params };
      for (const part of partsOf(advance.layout, params)) orders.get(part.orderId)?.advances.push(part);
    } else if (name === "order_views_upsert") {
      views ??= layoutOf(text)[0]!;
      for (const row of rowsOf(views, params)) {
        const view = viewOf(views, row);
        orders.get(view.id)?.views.push(JSON.stringify(view));
      }
    }
  }
  if (insert === null)
    throw new Error("PostgreSQL's log shows no orders_insert: does the platform still store orders with it?");
  const perOrder = Object.entries(counts).map(([name, count]) => [name, count / orders.size] as const);
  return {
    insert,
    advance,
    orders: [...orders.values()],
    statementsPerOrder: Object.fromEntries(perOrder.toSorted((a, b) => b[1] - a[1])),
  };
}

function partsOf(layout: readonly Group[], params: readonly Value[]): readonly Part[] {
  const groups = layout.map((group) => rowsOf(group, params));
  const ids = layout[0]!.columns.findIndex(({ name }) => name === "id");
  const parts = groups[0]!.map((row) => ({
    orderId: row[ids]!,
    rows: layout.map((): (readonly Value[])[] => []),
  }));
  layout.forEach((group, index) => {
    const places = group.columns.findIndex(({ name }) => name === "i");
    groups[index]!.forEach((row, place) => {
      parts[group.byPlace ? place : Number(row[places])]!.rows[index]!.push(row);
    });
  });
  return parts;
}

/** Columns turned into rows. */
function rowsOf({ first, columns }: Group, params: readonly Value[]): readonly (readonly Value[])[] {
  const arrays = columns.map((_, index) => parseArray(params[first + index] ?? "{}"));
  return arrays[0]!.map((_, row) => arrays.map((array) => array[row] ?? null));
}

/** A view as the projector gave it to the store. */
function viewOf({ columns }: Group, row: readonly Value[]): ViewRow {
  const typed = columns.map(({ name, type }, index) => {
    const value = row[index]!;
    const parsed = type === "int" || name === "doc" || name === "state";
    return [name, value !== null && parsed ? (JSON.parse(value) as unknown) : value] as const;
  });
  return Object.fromEntries(typed) as unknown as ViewRow;
}

/** A value of a part's first row in this group, by its column's name; null when it has none. */
export function firstValue({ layout }: RecordedStatement, part: Part, group: number, name: string): Value {
  const column = layout[group]?.columns.findIndex((each) => each.name === name) ?? -1;
  return part.rows[group]?.[0]?.[column] ?? null;
}

/** Fresh ids and keys for a replay. */
export interface Renaming {
  /** A new id for an order; the same one each time it is asked for. */
  id(recorded: string): string;
  /** A new idempotency key's digest, 32 hex digits. */
  key(): string;
}

const orderIds = /ord_[0-9a-z]{26}/g;

export const renamed = (text: string, renaming: Renaming): string => text.replace(orderIds, renaming.id);

/** Parameters for one statement over these parts, with fresh names; the first two (owner, epoch) are the caller's. */
export function putTogether(
  { layout, params }: RecordedStatement,
  parts: readonly Part[],
  renaming: Renaming,
): readonly unknown[] {
  const together: unknown[] = [...params];
  layout.forEach((group, index) => {
    const rows = parts.flatMap((part, place) => part.rows[index]!.map((row) => ({ row, place })));
    group.columns.forEach(({ name, type }, column) => {
      const values = rows.map(({ row, place }) => {
        const value = row[column]!;
        if (name === "i") return String(place);
        if (name === "key") return renaming.key();
        return value === null ? null : renamed(value, renaming);
      });
      together[group.first + column] = encodeColumn(type, values);
    });
  });
  return together.slice(2);
}
