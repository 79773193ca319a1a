import { type Batcher, createBatcher } from "../platform/batcher.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { afterDecision, type Carried, type Decision, openAttempt, openAttempts } from "./carried.ts";
import { decideRefused, decideStuck, decideUndone, decideUnreachable } from "./decide.ts";
import { isInMotion } from "./moves.ts";
import type { Reason } from "./order.ts";
import type { Saga } from "./saga.ts";
import type { Outcome, SagaStep, UndoOutcome, World } from "./steps.ts";
import type { Committed, OrderStore, OrderWrite } from "./store.ts";

/**
 * Carries orders in memory from where they are to where a client has its answer: picks each order's next step from the
 * saga table, runs steps over sets of orders, writes what they decide in batches, and undoes in reverse. An order is in one
 * place only: waiting for a time, ready in a group, in a step, or in a commit.
 */
export interface SagaRunner {
  /** Takes orders that this process owns (as just committed, or read). One that it carries already is replaced. */
  carry(orders: readonly Carried[], options?: { asked: boolean }): void;
  /** Reads these orders anew and carries on those that are this process's. */
  reload(ids: readonly string[]): Promise<void>;
  /** The lease is gone: nothing here is ours any more. */
  dropAll(): void;
  carries(id: string): boolean;
  readonly inMotion: number;
  /** Takes no more; resolves when every step and commit under way has ended, or after `withinMs`. */
  drain(withinMs: number): Promise<void>;
}

export interface RunnerDependencies {
  saga: Saga;
  world: World;
  store: OrderStore;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  ownerId(): string;
  /** Everything that was written: capacity, the relay and whoever waits for an order want to know. */
  onWritten(orders: readonly Carried[], slots: Committed<unknown>["slots"]): void;
  onOwnerLost(): void;
  /** 0 to 1, for jitter. */
  random(): number;
}

interface Entry {
  order: Carried;
  /** Calls of the present step so far. */
  tries: number;
  /** Whether a call may have been heard though it was not answered: then it is seen cancelled before anything else. */
  uncertain: boolean;
  /** The channel is being left: cancelled until seen cancelled, then the next is sought. */
  leaving: Reason | null;
}

interface Group {
  ready: Entry[];
  running: number;
}

type Work = { step: SagaStep; undo: false } | { undo: true };

const maxStepOrders = 500;
/** Batches of one channel under way at once, where one call carries many bookings. */
const maxChannelBatches = 4;
const maxTries = 3;
const maxBackoffMs = 10_000;
/** A channel that asks to be left alone for longer than this is passed over instead. */
const patienceMs = 2_000;

export function createSagaRunner(dependencies: RunnerDependencies): SagaRunner {
  const { saga, world, store, clock, log, metrics } = dependencies;
  const entries = new Map<string, Entry>();
  const groups = new Map<string, Group>();
  let draining = false;
  let busy = 0;

  const commits: Batcher<OrderWrite, "granted" | "base" | "lost"> = createBatcher({
    run: commitBatch,
    maxBatchItems: 1_000,
    maxRuns: 2,
    maxQueuedItems: 1_000_000, // bounded by the orders carried
  });

  async function commitBatch(
    writes: readonly OrderWrite[],
  ): Promise<readonly ("granted" | "base" | "lost")[]> {
    const { owner, outcomes, slots } = await store.advance(writes);
    metrics.commits.observe({ kind: "advance" }, writes.length);
    if (!owner) {
      dependencies.onOwnerLost();
      return outcomes;
    }
    const written = writes.flatMap((write, index) => {
      const outcome = outcomes[index]!;
      return outcome === "lost" ? [] : [afterDecision(write.order, write.decision, outcome === "granted")];
    });
    dependencies.onWritten(written, slots);
    return outcomes;
  }

  /** The order's next piece of work, from the table; null when it is settled. */
  function nextWork({ order, leaving }: Entry): Work | null {
    const { status } = order.state;
    if (status === "cancelling" || status === "failing" || leaving !== null) return { undo: true };
    const attempt = openAttempt(order);
    const type = attempt && order.state.legs[0]?.channel.type;
    const step = saga.steps.find(
      ({ from, only, name }) =>
        from.includes(status) &&
        (only === undefined || (only === type && !(name === "offer" && attempt?.partner))),
    );
    return step ? { step, undo: false } : null;
  }

  function schedule(entry: Entry): void {
    if (entries.get(entry.order.id) !== entry) return;
    const work = isInMotion(entry.order.state.status) ? nextWork(entry) : null;
    if (work === null) {
      entries.delete(entry.order.id);
      metrics.inMotion.set(entries.size);
      return;
    }
    if (draining) return;
    const key = groupKey(work, entry);
    const group = groups.get(key) ?? { ready: [], running: 0 };
    groups.set(key, group);
    group.ready.push(entry);
    if (group.ready.length === 1) setImmediate(() => pump(key, group, work));
  }

  /** Runs what is ready; what gets ready meanwhile is the next batch. */
  function pump(key: string, group: Group, work: Work): void {
    const { maxRunning, maxOrders } = limits(work, key, world);
    while (group.ready.length > 0 && group.running < maxRunning && !draining) {
      const batch = group.ready.splice(0, maxOrders).filter((entry) => entries.get(entry.order.id) === entry);
      if (batch.length === 0) continue;
      group.running += 1;
      busy += 1;
      void perform(work, batch).finally(() => {
        group.running -= 1;
        busy -= 1;
        if (group.ready.length > 0) pump(key, group, work);
        else if (group.running === 0) groups.delete(key);
      });
    }
  }

  async function perform(work: Work, batch: readonly Entry[]): Promise<void> {
    const orders = batch.map((entry) => entry.order);
    try {
      if (work.undo) {
        const outcomes = await undoSteps(saga, orders, world);
        await Promise.all(batch.map((entry, index) => afterUndo(entry, outcomes[index]!)));
      } else {
        const outcomes = await work.step.do(orders, world);
        await Promise.all(batch.map((entry, index) => afterStep(entry, work.step, outcomes[index]!)));
      }
    } catch (error) {
      // A defect of ours or the database away: nothing is known of these orders but what is stored.
      log.error(
        { error, step: work.undo ? "undo" : work.step.name, orders: orders.length },
        "a step broke; its orders are read anew",
      );
      for (const entry of batch)
        later(entry, backoffMs(entry.tries++, 500), () => void reload([entry.order.id]));
    }
  }

  async function afterStep(entry: Entry, step: SagaStep, outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case "done":
        return write(entry, outcome.decision);
      case "refused":
        return write(entry, decideRefused(entry.order, outcome.reason, world.nowMs()));
      case "unknown":
        entry.uncertain = true;
        return again(entry, step, 100, outcome.detail);
      case "retry":
        return again(entry, step, outcome.afterMs, outcome.detail);
    }
  }

  /** Asks again, or (a channel, tried enough) leaves it for another. */
  function again(entry: Entry, step: SagaStep, afterMs: number, detail: string): Promise<void> | void {
    entry.tries += 1;
    const outside = step.name !== "reserve";
    if (!outside || (entry.tries < maxTries && afterMs <= patienceMs)) {
      return later(entry, backoffMs(entry.tries, afterMs), () => schedule(entry));
    }
    const reason: Reason = { code: "channel_unreachable", detail };
    if (!entry.uncertain) return write(entry, decideUnreachable(entry.order, reason, world.nowMs()));
    entry.leaving = reason;
    entry.tries = 0;
    schedule(entry);
  }

  async function afterUndo(entry: Entry, outcome: UndoOutcome): Promise<void> {
    if (outcome.kind === "retry") {
      entry.tries += 1;
      return later(entry, backoffMs(entry.tries, outcome.afterMs), () => schedule(entry));
    }
    if (entry.leaving) {
      // Too late to cancel: then the channel has it, and asking again with the same key says so.
      if (outcome.kind === "refused") {
        entry.leaving = null;
        return later(entry, backoffMs(entry.tries++, 500), () => schedule(entry));
      }
      return write(entry, decideUnreachable(entry.order, entry.leaving, world.nowMs()));
    }
    if (outcome.kind === "refused")
      return write(entry, decideStuck(entry.order, outcome.detail, world.nowMs()));
    return write(entry, decideUndone(entry.order, openAttempts(entry.order), world.nowMs()));
  }

  /** Commits what was decided, if the order is still as it was, and goes on from there. */
  async function write(entry: Entry, decision: Decision): Promise<void> {
    const { order } = entry;
    if (entries.get(order.id) !== entry) return;
    const by = { actor: `owner:${dependencies.ownerId()}`, source: null };
    const outcome = await commits.submit({ order, decision, by, intent: false });
    if (entries.get(order.id) !== entry) return;
    if (outcome === "lost") return reload([order.id]);
    const wrote = outcome === "granted" || decision.granted === null;
    entry.order = afterDecision(order, decision, outcome === "granted");
    if (wrote) {
      entry.tries = 0;
      entry.uncertain = false;
      entry.leaving = null;
      return schedule(entry);
    }
    // The slot was full after all: the network in memory knows by now, so the next routing looks elsewhere.
    entry.tries += 1;
    later(entry, backoffMs(entry.tries, 5), () => schedule(entry));
  }

  function later(entry: Entry, delayMs: number, then: () => void): void {
    clock.after(delayMs, () => {
      if (entries.get(entry.order.id) === entry) then();
    });
  }

  const backoffMs = (tries: number, leastMs: number): number =>
    Math.min(maxBackoffMs, leastMs + leastMs * 2 ** Math.min(tries, 10) * dependencies.random());

  async function reload(ids: readonly string[]): Promise<void> {
    const loaded = await store.load(ids).catch((error: unknown) => {
      log.warn({ error, orders: ids.length }, "orders could not be read; trying again");
      clock.after(500, () => void reload(ids));
      return null;
    });
    if (loaded === null) return;
    const mine = loaded
      .filter((one) => one !== null && one.ownerId === dependencies.ownerId())
      .map((one) => one!.carried);
    for (const id of ids) entries.delete(id);
    carry(mine, { asked: true });
    const others = loaded
      .filter((one) => one !== null && one.ownerId !== dependencies.ownerId())
      .map((one) => one!.carried);
    dependencies.onWritten(others, []);
  }

  function carry(orders: readonly Carried[], options: { asked: boolean } = { asked: false }): void {
    for (const order of orders) {
      // What was read may have been asked before: its channel may have heard.
      const entry = { order, tries: 0, uncertain: options.asked, leaving: null };
      entries.set(order.id, entry);
      schedule(entry);
    }
    metrics.inMotion.set(entries.size);
  }

  return {
    carry,
    reload,
    dropAll() {
      entries.clear();
      metrics.inMotion.set(0);
    },
    carries: (id) => entries.has(id),
    get inMotion() {
      return entries.size;
    },
    async drain(withinMs) {
      draining = true;
      const endMs = clock.nowMs() + withinMs;
      while (busy > 0 && clock.nowMs() < endMs) await new Promise((resolve) => setTimeout(resolve, 10));
      await commits.drain();
    },
  };
}

/** Orders that share a call are worked together: by channel where a channel is called, all together elsewhere. */
function groupKey(work: Work, entry: Entry): string {
  const channelId = openAttempt(entry.order)?.channelId ?? "";
  if (work.undo) return `undo ${channelId}`;
  return work.step.name === "reserve" || work.step.name === "confirm"
    ? work.step.name
    : `${work.step.name} ${channelId}`;
}

function limits(work: Work, key: string, world: World): { maxRunning: number; maxOrders: number } {
  const channel = world.channel(key.split(" ")[1] ?? "");
  if (!channel) return { maxRunning: 1, maxOrders: maxStepOrders };
  const adapter = world.adapterFor(channel);
  if (adapter.local) return { maxRunning: 1, maxOrders: maxStepOrders };
  // Alone in its call, no order waits for a slower neighbour. (An undo is one call an order, side by side.)
  if (adapter.batches && !work.undo) return { maxRunning: maxChannelBatches, maxOrders: maxStepOrders };
  return { maxRunning: channel.maxConcurrentCalls, maxOrders: 1 };
}

/** The undo of every step that the order has done, in reverse; the first that does not succeed is the answer. */
async function undoSteps(
  saga: Saga,
  orders: readonly Carried[],
  world: World,
): Promise<readonly UndoOutcome[]> {
  const outcomes = new Map<Carried, UndoOutcome>();
  let remaining = orders;
  for (const step of saga.steps.toReversed()) {
    const answers = await step.undo(remaining, world);
    remaining.forEach((order, index) => {
      outcomes.set(order, answers[index]!);
    });
    remaining = remaining.filter((order) => outcomes.get(order)!.kind === "undone");
  }
  return orders.map((order) => outcomes.get(order)!);
}
