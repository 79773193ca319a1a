import type { CancellationRules, Channel } from "../capacity/api.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Actor, CancelResult } from "./api.ts";
import { cancellationOf } from "./cancellation.ts";
import { afterDecision, type Carried } from "./carried.ts";
import { decideCancel } from "./decide-undo.ts";
import type { Committed, OrderStore, OrderWrite } from "./store.ts";

/**
 * What may come to any process about any order: cancels, reports, deadlines. Guarded by the order's version only. A
 * change that sets an order in motion takes it over: the process that carried it loses its guard at its next write, and reads it anew.
 */
export interface IntentDependencies {
  store: OrderStore;
  clock: Clock;
  log: Log;
  channel(id: string): Channel | undefined;
  /** Orders as they are after the write; those in motion are this process's to carry on. */
  onWritten(orders: readonly Carried[], slots: Committed<unknown>["slots"]): void;
  /** A write of these orders failed without an answer: it may have happened all the same. */
  onDoubt(orderIds: readonly string[]): void;
  onOwnerLost(): void;
}

/** How often a write that lost its guard is decided anew; each loss means that somebody else made progress. */
const maxRounds = 20;

/** What an intent decides for an order as it now is: a write, or an answer without one. */
export type Decided<Answer> =
  | {
      write: Omit<OrderWrite, "order" | "intent">;
      answer: Answer;
      /** The answer when the units that the decision wants are not there (and nothing is written). */
      ungranted?: Answer;
    }
  | { answer: Answer };

/**
 * Reads the orders, decides, writes; those that changed in between are read and decided anew. `decide` sees null for an
 * order that does not exist. Answers in input order, with the order as it is afterwards.
 */
export async function intend<Answer>(
  ids: readonly string[],
  decide: (order: Carried | null, index: number) => Decided<Answer>,
  dependencies: IntentDependencies,
): Promise<readonly { answer: Answer; order: Carried | null }[]> {
  const results = new Array<{ answer: Answer; order: Carried | null } | undefined>(ids.length);
  let open = ids.map((_, index) => index);
  for (let round = 0; open.length > 0; round += 1) {
    if (round === maxRounds)
      throw new Error(`${open.length} orders changed ${maxRounds} times while being decided`);
    open = await intendOnce(ids, open, decide, results, dependencies);
  }
  return results as { answer: Answer; order: Carried | null }[];
}

/** One round; returns the inputs that are still open: beaten by somebody, or second of the same order in this round. */
async function intendOnce<Answer>(
  ids: readonly string[],
  open: readonly number[],
  decide: (order: Carried | null, index: number) => Decided<Answer>,
  results: ({ answer: Answer; order: Carried | null } | undefined)[],
  { store, onWritten, onDoubt, onOwnerLost }: IntentDependencies,
): Promise<number[]> {
  const loaded = await store.load([...new Set(open.map((index) => ids[index]!))]);
  const byId = new Map(loaded.flatMap((one) => (one ? [[one.carried.id, one.carried] as const] : [])));
  const writes: { index: number; write: OrderWrite; answer: Answer; ungranted: Answer }[] = [];
  const next: number[] = [];
  const writing = new Set<string>();
  for (const index of open) {
    const order = byId.get(ids[index]!) ?? null;
    if (order && writing.has(order.id)) {
      next.push(index);
      continue;
    }
    const decided = decide(order, index);
    if (order && "write" in decided) {
      const { write, answer, ungranted = answer } = decided;
      writes.push({ index, write: { order, intent: true, ...write }, answer, ungranted });
      writing.add(order.id);
    } else {
      results[index] = { answer: decided.answer, order };
    }
  }
  if (writes.length === 0) return next;
  const { owner, outcomes, slots } = await store
    .advance(writes.map(({ write }) => write))
    .catch((error: unknown) => {
      onDoubt(writes.map(({ write }) => write.order.id));
      throw error;
    });
  if (!owner) onOwnerLost();
  const written: Carried[] = [];
  writes.forEach(({ index, write, answer, ungranted }, position) => {
    const outcome = outcomes[position]!;
    if (outcome === "lost") {
      next.push(index);
      return;
    }
    const { base, granted } = write.decision;
    const order = afterDecision(write.order, write.decision, outcome === "granted");
    if (outcome === "granted" || base) written.push(order);
    results[index] = { answer: granted && outcome !== "granted" ? ungranted : answer, order };
  });
  onWritten(written, slots);
  return next;
}

/** What the channel of an order says of cancelling. */
export const rulesOf = (
  { state }: Carried,
  { channel }: Pick<IntentDependencies, "channel">,
): CancellationRules | undefined => channel(state.legs[0]?.channel.id ?? "")?.cancellation;

/** Sets `cancelling` where the order may still be cancelled. */
export async function cancelOrders(
  requests: readonly { id: string; clientId: string | null; by: Actor }[],
  dependencies: IntentDependencies,
): Promise<readonly (CancelResult | { kind: "begun"; order: Carried })[]> {
  const decide = (order: Carried | null, index: number): Decided<CancelResult | null> => {
    const { id, clientId, by } = requests[index]!;
    if (!order || (clientId !== null && order.clientId !== clientId)) {
      return { answer: { kind: "refused", code: "order_not_found", detail: `There is no order ${id}.` } };
    }
    const { status } = order.state;
    if (status === "cancelling" || status === "cancelled") return { answer: null };
    const nowMs = dependencies.clock.nowMs();
    const may = cancellationOf(order.state, rulesOf(order, dependencies), nowMs);
    if (!may.allowed) return { answer: { kind: "refused", code: "transition_refused", detail: may.detail } };
    const operator = by.actor.startsWith("operator:");
    const reason = operator
      ? ({ code: "cancelled_by_operator", detail: "Cancelled by an operator." } as const)
      : ({ code: "cancelled_by_client", detail: "Cancelled by the client." } as const);
    return {
      write: { decision: decideCancel(order, reason, may.feeMinor, nowMs), by },
      answer: null,
    };
  };
  const results = await intend(
    requests.map((request) => request.id),
    decide,
    dependencies,
  );
  return results.map(({ answer, order }) => answer ?? { kind: "begun", order: order! });
}
