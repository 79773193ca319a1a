import { type Batcher, createBatcher } from "../platform/batcher.ts";
import type { Actor, CallbackResult, ChannelCallback } from "./api.ts";
import { type Carried, type Decision, parseAttemptKey } from "./carried.ts";
import { decideReport } from "./decide-report.ts";
import { type Decided, type IntentDependencies, intend } from "./intents.ts";
import type { OrderStore, ReportRow } from "./store.ts";

/**
 * What channels report of their attempts. A report and what it changes are one commit; a repeat is known by its id, one that
 * comes before its booking's own answer is kept, one of a superseded attempt or a passed state is ignored.
 */
export interface Reports {
  take(callbacks: readonly ChannelCallback[]): Promise<readonly CallbackResult[]>;
  /** Applies what was kept for orders whose booking has now been answered. */
  applyKept(orderIds: readonly string[]): Promise<void>;
}

interface Report {
  row: Omit<ReportRow, "outcome">;
  by: Actor;
  /** Kept before: known, and to be applied all the same. */
  again: boolean;
}

const maxBatchReports = 500;
const maxQueuedReports = 50_000;

export function createReports(store: OrderStore, dependencies: IntentDependencies): Reports {
  const batcher: Batcher<Report, CallbackResult> = createBatcher({
    run: (reports) => takeBatch(reports, store, dependencies),
    maxBatchItems: maxBatchReports,
    maxRuns: 2,
    maxQueuedItems: maxQueuedReports,
  });
  return {
    take: (callbacks) =>
      Promise.all(
        callbacks.map((callback) => {
          const report = toReport(callback);
          return report ? batcher.submit(report) : unknownAttempt(callback.attemptKey);
        }),
      ),
    async applyKept(orderIds) {
      const kept = await store.keptCallbacks(orderIds);
      const by = (channelId: string): Actor => ({ actor: `channel:${channelId}`, source: "kept" });
      await Promise.all(
        kept.map(({ outcome: _kept, ...row }) => batcher.submit({ row, by: by(row.channelId), again: true })),
      );
    },
  };
}

function toReport(callback: ChannelCallback): Report | null {
  const key = parseAttemptKey(callback.attemptKey);
  if (!key) return null;
  const { channelId, callbackId, kind, at, reason, by } = callback;
  return {
    row: { channelId, callbackId, ...key, kind, doc: { at, ...(reason ? { reason } : {}) } },
    by,
    again: false,
  };
}

const unknownAttempt = (key: string): CallbackResult => ({
  kind: "refused",
  code: "attempt_unknown",
  detail: `No attempt ${key} was made at this channel.`,
});

async function takeBatch(
  reports: readonly Report[],
  store: OrderStore,
  dependencies: IntentDependencies,
): Promise<readonly CallbackResult[]> {
  const known = await store.knownCallbacks(reports.map(({ row }) => row));
  const decide = (order: Carried | null, index: number): Decided<CallbackResult> => {
    const report = reports[index]!;
    if (known[index] && !report.again)
      return { answer: { kind: "duplicate", detail: "This report was taken before." } };
    return decideOne(order, report, dependencies.clock.nowMs());
  };
  const results = await intend(
    reports.map(({ row }) => row.orderId),
    decide,
    dependencies,
  );
  return results.map(({ answer }) => answer);
}

const noChange: Decision = { base: null, granted: null, takes: [], attemptChanges: [] };

function decideOne(order: Carried | null, { row, by }: Report, nowMs: number): Decided<CallbackResult> {
  const attempt = order?.attempts.find((one) => one.leg === row.leg && one.attempt === row.attempt);
  if (!order || attempt?.channelId !== row.channelId) {
    return { answer: unknownAttempt(`${row.orderId}.${row.leg}.${row.attempt}`) };
  }
  const decided = decideReport(
    order,
    { ...row.doc, kind: row.kind, leg: row.leg, attempt: row.attempt },
    nowMs,
  );
  switch (decided.kind) {
    case "unknown":
      return { answer: unknownAttempt(`${row.orderId}.${row.leg}.${row.attempt}`) };
    case "apply": {
      const report: ReportRow = { ...row, outcome: "applied" };
      return {
        write: { decision: decided.decision, by, report },
        answer: {
          kind: "applied",
          detail: `The order is ${(decided.decision.base?.state ?? order.state).status}.`,
        },
      };
    }
    case "keep":
      return {
        write: { decision: noChange, by, report: { ...row, outcome: "kept" } },
        answer: { kind: "kept", detail: decided.detail },
      };
    case "ignore":
      return {
        write: { decision: noChange, by, report: { ...row, outcome: "ignored" } },
        answer: { kind: "ignored", detail: decided.detail },
      };
  }
}
