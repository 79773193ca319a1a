import type { DecisionRecord } from "../optimization/decision.ts";
import type { Database } from "../platform/database.ts";
import type { DecidedAttempt, StoredOrder } from "./api.ts";
import type { Carried } from "./carried.ts";
import * as sql from "./commit-sql.ts";
import type { StoredPersonal } from "./contacts.ts";
import { type OrderDoc, type OrderState, type PersonalData, viewOf } from "./order.ts";
import type { ReportRow } from "./store.ts";

/** What is stored of orders, as orchestration needs it. */
export interface OrderReader {
  /** Whole orders, in input order; null where there is none. */
  load(ids: readonly string[]): Promise<readonly (LoadedOrder | null)[]>;
  views(ids: readonly string[]): Promise<readonly (StoredOrder | null)[]>;
  contacts(ids: readonly string[]): Promise<readonly (PersonalData | null)[]>;
  complaintTexts(ids: readonly string[]): Promise<readonly Readonly<Record<string, string>>[]>;
  /** Newest first; `attempt` null: the last routing, which found nobody. */
  decisions(
    ids: readonly string[],
  ): Promise<readonly (readonly { attempt: DecidedAttempt | null; decision: DecisionRecord }[] | null)[]>;
  keys(keyHashes: readonly string[]): Promise<ReadonlyMap<string, { orderId: string; body: string }>>;
  owned(ownerId: string, afterId: string, limit: number): Promise<readonly string[]>;
  due(nowMs: number, limit: number): Promise<readonly string[]>;
  staleKept(olderMs: number, limit: number): Promise<readonly string[]>;
  keptCallbacks(orderIds: readonly string[]): Promise<readonly ReportRow[]>;
  knownCallbacks(ids: readonly { channelId: string; callbackId: string }[]): Promise<readonly boolean[]>;
}

interface LoadedOrder {
  carried: Carried;
  ownerId: string | null;
}

export function createOrderReader(database: Database): OrderReader {
  return {
    async load(ids) {
      const rows = await database.run<StoredRow>(sql.selectOrders, [ids]);
      return inOrder(ids, rows, toLoaded);
    },
    async views(ids) {
      const rows = await database.run<ViewRow>(sql.selectViews, [ids]);
      return inOrder(ids, rows, ({ clientId, doc, state }) => ({ clientId, order: viewOf(doc, state) }));
    },
    async contacts(ids) {
      return inOrder(
        ids,
        await database.run<{ id: string; doc: StoredPersonal }>(sql.selectContacts, [ids]),
        ({ doc: { next: _waiting, complaints: _said, ...personal } }) => personal,
      );
    },
    async complaintTexts(ids) {
      const rows = await database.run<{ id: string; doc: StoredPersonal }>(sql.selectContacts, [ids]);
      return inOrder(ids, rows, ({ doc }) => doc.complaints ?? {}).map((texts) => texts ?? {});
    },
    async decisions(ids) {
      const rows = await database.run<DecisionsRow>(sql.selectDecisions, [ids]);
      return inOrder(ids, rows, ({ last, attempts }) => [
        ...(last ? [{ attempt: null, decision: last }] : []),
        ...attempts.map(({ decision, at, ...attempt }) => ({
          attempt: { ...attempt, at: new Date(at).toISOString() },
          decision,
        })),
      ]);
    },
    async keys(keyHashes) {
      const rows = await database.run<{ key: string; orderId: string; body: string }>(sql.selectKeys, [
        keyHashes,
      ]);
      return new Map(
        rows.map((row) => [undashed(row.key), { orderId: row.orderId, body: undashed(row.body) }]),
      );
    },
    async owned(ownerId, afterId, limit) {
      return (await database.run<{ id: string }>(sql.selectOwned, [ownerId, afterId, limit])).map(
        (row) => row.id,
      );
    },
    async due(nowMs, limit) {
      return (await database.run<{ id: string }>(sql.selectDue, [new Date(nowMs), limit])).map(
        (row) => row.id,
      );
    },
    async staleKept(olderMs, limit) {
      return (await database.run<{ id: string }>(sql.selectStaleKept, [olderMs, limit])).map((row) => row.id);
    },
    async keptCallbacks(orderIds) {
      const rows = await database.run<Omit<ReportRow, "outcome">>(sql.selectKeptCallbacks, [orderIds]);
      return rows.map((row) => ({ ...row, outcome: "kept" as const }));
    },
    async knownCallbacks(ids) {
      const keys = JSON.stringify(
        ids.map(({ channelId, callbackId }) => ({ channel: channelId, callback: callbackId })),
      );
      const rows = await database.run<{ channelId: string; callbackId: string }>(sql.selectKnownCallbacks, [
        keys,
      ]);
      const known = new Set(rows.map((row) => `${row.channelId} ${row.callbackId}`));
      return ids.map(({ channelId, callbackId }) => known.has(`${channelId} ${callbackId}`));
    },
  };
}

interface ViewRow {
  id: string;
  clientId: string;
  doc: OrderDoc;
  state: OrderState;
}

interface DecisionsRow {
  id: string;
  last: DecisionRecord | null;
  attempts: readonly (DecidedAttempt & { decision: DecisionRecord })[];
}

interface StoredRow extends ViewRow {
  lane: number;
  revision: number;
  ownerId: string | null;
  deadlineAt: string | null;
  saga: Carried["saga"];
  attempts: Carried["attempts"];
  personal: StoredPersonal | null;
}

function toLoaded({ ownerId, deadlineAt, personal: stored, ...order }: StoredRow): LoadedOrder {
  const deadlineMs = deadlineAt === null ? null : Date.parse(deadlineAt);
  const { next, complaints, ...personal } = stored ?? {};
  const carried: Carried = { ...order, deadlineMs, personal: stored === null ? null : personal };
  if (next) carried.nextPersonal = next;
  if (complaints) carried.complaintTexts = complaints;
  return { carried, ownerId };
}

function inOrder<Row extends { id: string }, Out>(
  ids: readonly string[],
  rows: readonly Row[],
  map: (row: Row) => Out,
): (Out | null)[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => {
    const row = byId.get(id);
    return row ? map(row) : null;
  });
}

const undashed = (uuid: string): string => uuid.replaceAll("-", "");
