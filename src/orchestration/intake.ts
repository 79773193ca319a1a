import { type Batcher, createBatcher, type Waiting } from "../platform/batcher.ts";
import type { Clock } from "../platform/clock.ts";
import { UoopError } from "../platform/errors.ts";
import { createFairQueue } from "../platform/fair-queue.ts";
import { digest, type Ids, laneOfDigest } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { createAdmission } from "./admission.ts";
import type { Submission } from "./api.ts";
import { afterDecision, type Carried } from "./carried.ts";
import { intakeDecider, type RoutedFor } from "./decide.ts";
import { keyDigest } from "./keys.ts";
import type { OrderDoc, Priority } from "./order.ts";
import type { Committed, NewOrder, OrderStore } from "./store.ts";

/** What intake answers of one submission. A `replay` names the order that the key made before. */
export type Taken =
  | { kind: "stored"; order: Carried }
  | { kind: "replay"; orderId: string }
  | { kind: "failed"; error: UoopError }
  | { kind: "refused"; code: "idempotency_key_reused" | "window_in_past"; detail: string };

export interface Intake {
  /** Stores one order durably, in the batch that is gathering. Throws `overloaded` when too many wait. */
  take(submission: Submission): Promise<Taken>;
  /** Why nothing more is taken from this client now; null when it is. */
  refusal(clientId: string, priority: Priority): UoopError | null;
  drain(): Promise<void>;
  readonly queued: number;
}

export interface IntakeDependencies {
  store: OrderStore;
  clock: Clock;
  ids: Ids;
  log: Log;
  metrics: Metrics;
  maxBatchOrders: number;
  maxQueuedOrders: number;
  /** Where new orders may go, in input order; those first in the list have precedence. */
  route(orders: readonly Pick<Carried, "id" | "doc" | "saga">[]): readonly RoutedFor[];
  /** Stored orders, as they are now. */
  onStored(orders: readonly Carried[], slots: Committed<unknown>["slots"]): void;
  onOwnerLost(): void;
}

/** Commits under way at once: while one is synced to disk the next is being built. */
const maxCommits = 2;

/** What each priority gets of intake while all of them wait. */
const shares: Readonly<Record<Priority, number>> = { express: 16, standard: 4, bulk: 1 };
/** Who comes first where a batch contends for the last units. */
const precedence: Readonly<Record<Priority, number>> = { express: 0, standard: 1, bulk: 2 };

export function createIntake(dependencies: IntakeDependencies): Intake {
  const { clock, maxBatchOrders, maxQueuedOrders } = dependencies;
  const queue = createFairQueue<Waiting<Submission, Taken>, Priority>({
    weights: shares,
    classOf: ({ item }) => item.order.priority,
    partyOf: ({ item }) => item.clientId,
  });
  const admission = createAdmission(queue, clock);
  const batcher: Batcher<Submission, Taken> = createBatcher({
    async run(submissions) {
      const taken = await takeBatch(submissions, dependencies);
      admission.served(submissions.length);
      return taken;
    },
    maxBatchItems: maxBatchOrders,
    maxRuns: maxCommits,
    maxQueuedItems: maxQueuedOrders,
    queue,
  });
  return {
    take: (submission) => batcher.submit(submission),
    refusal: admission.refusal,
    drain: () => batcher.drain(),
    get queued() {
      return batcher.queued;
    },
  };
}

interface Keyed {
  submission: Submission;
  keyHash: string;
  bodyHash: string;
}

/** One batch: replays and orders that come too late are told apart, the rest is routed and committed in one statement. */
async function takeBatch(
  submissions: readonly Submission[],
  dependencies: IntakeDependencies,
): Promise<readonly Taken[]> {
  const { clock } = dependencies;
  const answers = new Array<Taken | undefined>(submissions.length);
  const keyed = submissions.map(withHashes);
  const fresh: number[] = [];
  const doubtful: number[] = [];
  const firstOfKey = new Set<string>();
  keyed.forEach(({ submission, keyHash }, index) => {
    const inTime = Date.parse(submission.order.delivery.window.end) > clock.nowMs();
    if (inTime && !firstOfKey.has(keyHash)) fresh.push(index);
    else doubtful.push(index);
    firstOfKey.add(keyHash);
  });
  fresh.sort(
    (a, b) => precedence[submissions[a]!.order.priority] - precedence[submissions[b]!.order.priority],
  );
  const stored =
    fresh.length > 0
      ? await storeOrders(
          fresh.map((index) => keyed[index]!),
          dependencies,
        )
      : [];
  fresh.forEach((index, position) => {
    const one = stored[position]!;
    if (one === "replay") doubtful.push(index);
    else
      answers[index] =
        one instanceof UoopError ? { kind: "failed", error: one } : { kind: "stored", order: one };
  });
  if (doubtful.length > 0) {
    const known = await dependencies.store.keys(doubtful.map((index) => keyed[index]!.keyHash));
    for (const index of doubtful)
      answers[index] = answerKnown(keyed[index]!, known.get(keyed[index]!.keyHash), clock.nowMs());
  }
  return answers as Taken[];
}

function answerKnown(
  keyed: Keyed,
  known: { orderId: string; body: string } | undefined,
  nowMs: number,
): Taken {
  if (!known) {
    const { window } = keyed.submission.order.delivery;
    if (Date.parse(window.end) > nowMs) {
      const error = new UoopError("unavailable", "The order of this key could not be stored; send it again.");
      return { kind: "failed", error };
    }
    return {
      kind: "refused",
      code: "window_in_past",
      detail: `The delivery window ended at ${window.end}. Choose one that ends later.`,
    };
  }
  if (known.body !== keyed.bodyHash) {
    const detail = `The key made order ${known.orderId} from another body. Use a new key for a new order.`;
    return { kind: "refused", code: "idempotency_key_reused", detail };
  }
  return { kind: "replay", orderId: known.orderId };
}

/** An order as stored; its key exists already; or why it is not. */
type Stored = Carried | "replay" | UoopError;

async function storeOrders(
  batch: readonly Keyed[],
  dependencies: IntakeDependencies,
): Promise<readonly Stored[]> {
  const { clock, ids, metrics } = dependencies;
  const nowMs = clock.nowMs();
  const orders = batch.map(({ submission, keyHash }) => newOrder(submission, keyHash, ids, nowMs));
  const routes = dependencies.route(orders);
  const decide = intakeDecider(nowMs);
  const rows = orders.map((order, index): NewOrder => {
    const { keyHash, bodyHash, submission } = batch[index]!;
    return {
      order,
      decision: decide(order.doc, routes[index]!),
      keyHash,
      bodyHash,
      by: submission.by,
    };
  });
  const outcomes = await insertOrAdopt(rows, dependencies);
  metrics.commits.observe({ kind: "intake" }, rows.length);
  return outcomes;
}

async function insertOrAdopt(
  rows: readonly NewOrder[],
  dependencies: IntakeDependencies,
): Promise<readonly Stored[]> {
  try {
    const { owner, outcomes, slots } = await dependencies.store.insert(rows);
    if (!owner) {
      dependencies.onOwnerLost();
      throw new UoopError("unavailable", "This process is taking up its work anew; send the order again.");
    }
    const stored = rows.map((row, index) =>
      outcomes[index] === "replay" ? "replay" : asCarried(row, outcomes[index] === "granted"),
    );
    dependencies.onStored(
      stored.filter((one) => one !== "replay"),
      slots,
    );
    return stored;
  } catch (error) {
    if (error instanceof UoopError && error.code === "unavailable") return adopt(rows, error, dependencies);
    return isolate(rows, error, dependencies);
  }
}

/** A batch that PostgreSQL refused is split until the one bad order is alone: it fails, the others go through. */
async function isolate(
  rows: readonly NewOrder[],
  error: unknown,
  dependencies: IntakeDependencies,
): Promise<readonly Stored[]> {
  if (rows.length === 1) {
    dependencies.log.error({ error, order: rows[0]!.order.id }, "an order can't be stored");
    return [
      new UoopError("internal", "The order can't be stored; it has been logged for us to look at.", {
        cause: error,
      }),
    ];
  }
  const middle = Math.ceil(rows.length / 2);
  const first = await insertOrAdopt(rows.slice(0, middle), dependencies);
  return [...first, ...(await insertOrAdopt(rows.slice(middle), dependencies))];
}

/** No answer came: the commit may have happened. What is there under our own ids is ours; the rest was not stored. */
async function adopt(
  rows: readonly NewOrder[],
  error: UoopError,
  { store, onStored }: IntakeDependencies,
): Promise<readonly Stored[]> {
  const loaded = await store.load(rows.map((row) => row.order.id)).catch(() => null);
  if (loaded === null) return rows.map(() => error);
  const stored = loaded.map((one) => one?.carried ?? error);
  onStored(
    stored.flatMap((one) => (one instanceof UoopError ? [] : [one])),
    [],
  );
  return stored;
}

function withHashes(submission: Submission): Keyed {
  const { order, personal } = submission;
  return {
    submission,
    keyHash: keyDigest(submission),
    bodyHash: digest(JSON.stringify([order, personal])),
  };
}

type NewCarried = NewOrder["order"] & Pick<Carried, "saga">;

function newOrder(submission: Submission, keyHash: string, ids: Ids, nowMs: number): NewCarried {
  const lane = laneOfDigest(keyHash);
  const doc: OrderDoc = {
    id: ids.order(lane, nowMs),
    ...submission.order,
    createdAt: new Date(nowMs).toISOString(),
  };
  const saga = { name: "fulfill-order" as const, version: 1, attempts: 0, refusedBy: [] };
  return { id: doc.id, lane, clientId: submission.clientId, doc, personal: submission.personal, saga };
}

function asCarried({ order, decision }: NewOrder, granted: boolean): Carried {
  const { saga, state } = decision.base!;
  return afterDecision(
    { ...order, state, saga, deadlineMs: null, revision: -1, attempts: [] },
    decision,
    granted,
  ); // stored as revision 0
}
