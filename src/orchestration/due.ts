import type { Metrics } from "../platform/metrics.ts";
import type { Actor } from "./api.ts";
import type { Carried, Decision } from "./carried.ts";
import { decideDue } from "./decide.ts";
import { type Decided, type IntentDependencies, intend } from "./intents.ts";

/** Orders whose deadline has come, at most this many in one batch: two statements each, however many there are. */
const maxDueOrders = 500;
/** Batches of one sweep at most: what is left is the next one's. */
const maxBatches = 200;

/**
 * Does what the table says for every order that is due. Any process may: deadlines are rows of the database, and who is
 * second finds the order changed. Resolves with how many were changed.
 */
export async function handleDue(dependencies: IntentDependencies & { metrics: Metrics }): Promise<number> {
  let changed = 0;
  for (let batch = 0; batch < maxBatches; batch += 1) {
    const { due, done } = await handleBatch(dependencies);
    changed += done;
    if (due < maxDueOrders || done === 0) break;
  }
  return changed;
}

const by: Actor = { actor: "timer", source: null };

async function handleBatch(
  dependencies: IntentDependencies & { metrics: Metrics },
): Promise<{ due: number; done: number }> {
  const { store, clock, metrics } = dependencies;
  const nowMs = clock.nowMs();
  const ids = await store.due(nowMs, maxDueOrders);
  const decide = (order: Carried | null): Decided<Carried["state"] | null> => {
    const due = order && isDue(order, nowMs) ? decided(order, nowMs, dependencies) : null;
    return due ? { write: { decision: due, by }, answer: order!.state } : { answer: null };
  };
  const results = await intend(ids, decide, dependencies);
  let done = 0;
  for (const { answer: before, order } of results) {
    if (before === null || order === null) continue;
    done += 1;
    metrics.deadlines.inc({ status: before.status });
    const { lateSince, legs } = order.state;
    if (lateSince !== before.lateSince)
      metrics.lateOrders.inc({ channel: legs.length === 1 ? legs[0]!.channel.id : "several" });
  }
  return { due: ids.length, done };
}

const isDue = ({ deadlineMs }: Carried, nowMs: number): boolean => deadlineMs !== null && deadlineMs <= nowMs;

/** A defect in deciding of one order must not hold up the deadlines of all others. */
function decided(order: Carried, nowMs: number, { log }: IntentDependencies): Decision | null {
  try {
    return decideDue(order, nowMs);
  } catch (error) {
    log.error(
      { error, order: order.id, status: order.state.status },
      "an order is due and nothing can be done",
    );
    return null;
  }
}
