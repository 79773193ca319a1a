import { type Batcher, createBatcher } from "../platform/batcher.ts";
import { type Clock, sleep } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { afterDecision, type Carried, type Decision, isLeaving, isMoving, openAttempt } from "./carried.ts";
import { decideRefused, decideUnreachable } from "./decide.ts";
import { newAttempt } from "./decide-move.ts";
import { decideUndone, decideUndoRefused } from "./decide-undo.ts";
import { isInMotion } from "./moves.ts";
import type { Reason } from "./order.ts";
import type { Saga } from "./saga.ts";
import type { Outcome, SagaStep, UndoOutcome, World } from "./steps.ts";
import type { Committed, OrderStore, OrderWrite } from "./store.ts";

export interface RunnerDependencies {
  saga: Saga;
  /** The saga of orders that are changed and have to move. */
  moving: Saga;
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
const maxCommitOrders = 1_000;
/** Batches of one channel under way at once, where one call carries many bookings. */
const maxChannelBatches = 4;
const maxTries = 3;
const maxBackoffMs = 10_000;
/** A channel that asks to be left alone for longer than this is passed over instead. */
const patienceMs = 2_000;

/**
 * Carries orders in memory from where they are to where a client has its answer: picks each order's next step from the
 * saga table, runs steps over sets of orders, writes what they decide in batches, and undoes in reverse. An order is in one
 * place only: waiting for a time, ready in a group, in a step, or in a commit.
 */
export class SagaRunner {
  readonly #dependencies: RunnerDependencies;
  readonly #entries = new Map<string, Entry>();
  readonly #groups = new Map<string, Group>();
  readonly #commits: Batcher<OrderWrite, "granted" | "base" | "lost">;
  #draining = false;
  #busy = 0;

  constructor(dependencies: RunnerDependencies) {
    this.#dependencies = dependencies;
    this.#commits = createBatcher({
      run: (writes) => this.#commit(writes),
      maxBatchItems: maxCommitOrders,
      maxRuns: 2,
      maxQueuedItems: 1_000_000, // bounded by the orders carried
    });
  }

  get inMotion(): number {
    return this.#entries.size;
  }

  carries(id: string): boolean {
    return this.#entries.has(id);
  }

  /**
   * Takes orders that this process owns; one that it carries already is replaced. `asked`: their channels may have been
   * asked already (they were read, not just made).
   */
  carry(orders: readonly Carried[], options: { asked: boolean } = { asked: false }): void {
    for (const order of orders) {
      const entry: Entry = { order, tries: 0, uncertain: options.asked, leaving: null };
      this.#entries.set(order.id, entry);
      this.#schedule(entry);
    }
    this.#dependencies.metrics.inMotion.set(this.#entries.size);
  }

  /** Reads these orders anew and carries on those that are this process's. */
  async reload(ids: readonly string[]): Promise<void> {
    const { store, log, clock, ownerId, onWritten } = this.#dependencies;
    const loaded = await store.load(ids).catch((error: unknown) => {
      log.warn({ error, orders: ids.length }, "orders could not be read; trying again");
      clock.after(500, () => void this.reload(ids));
      return null;
    });
    if (loaded === null) return;
    const found = loaded.filter((one) => one !== null);
    for (const id of ids) this.#entries.delete(id);
    this.carry(
      found.filter((one) => one.ownerId === ownerId()).map((one) => one.carried),
      { asked: true },
    );
    onWritten(
      found.filter((one) => one.ownerId !== ownerId()).map((one) => one.carried),
      [],
    );
  }

  /** The lease is gone: nothing here is ours any more. */
  dropAll(): void {
    this.#entries.clear();
    this.#dependencies.metrics.inMotion.set(0);
  }

  /** Begins nothing more; resolves when every step and commit under way has ended, or after `withinMs`. */
  async drain(withinMs: number): Promise<void> {
    const { clock } = this.#dependencies;
    this.#draining = true;
    const endMs = clock.nowMs() + withinMs;
    while (this.#busy > 0 && clock.nowMs() < endMs) await sleep(clock, 10);
    await this.#commits.drain();
  }

  async #commit(writes: readonly OrderWrite[]): Promise<readonly ("granted" | "base" | "lost")[]> {
    const { owner, outcomes, slots } = await this.#dependencies.store.advance(writes);
    this.#dependencies.metrics.commits.observe({ kind: "advance" }, writes.length);
    if (!owner) {
      this.#dependencies.onOwnerLost();
      return outcomes;
    }
    const written = writes.flatMap((write, index) => {
      const outcome = outcomes[index]!;
      return outcome === "lost" ? [] : [afterDecision(write.order, write.decision, outcome === "granted")];
    });
    this.#dependencies.onWritten(written, slots);
    return outcomes;
  }

  /** The order's next piece of work, from the table; null when it is settled. */
  #nextWork({ order, leaving }: Entry): Work | null {
    const { status } = order.state;
    if (isMoving(order)) {
      const when = leaving === null ? newAttempt(order).booking : "given_up";
      const step = this.#dependencies.moving.steps.find((one) => one.when === when);
      return step ? { step, undo: false } : null;
    }
    const undoing = status === "cancelling" || status === "failing" || leaving !== null;
    if (undoing || isLeaving(order)) return { undo: true };
    const attempt = openAttempt(order);
    const type = attempt && order.state.legs[0]?.channel.type;
    const step = this.#dependencies.saga.steps.find(
      ({ from, only, name }) =>
        from.includes(status) &&
        (only === undefined || (only === type && !(name === "offer" && attempt?.partner))),
    );
    return step ? { step, undo: false } : null;
  }

  #schedule(entry: Entry): void {
    if (this.#entries.get(entry.order.id) !== entry) return;
    const work = isInMotion(entry.order.state.status) ? this.#nextWork(entry) : null;
    if (work === null) {
      this.#entries.delete(entry.order.id);
      this.#dependencies.metrics.inMotion.set(this.#entries.size);
      return;
    }
    if (this.#draining) return;
    const key = groupKey(work, entry);
    const group = this.#groups.get(key) ?? { ready: [], running: 0 };
    this.#groups.set(key, group);
    group.ready.push(entry);
    if (group.ready.length === 1) setImmediate(() => this.#pump(key, group, work));
  }

  /** Runs what is ready; what gets ready meanwhile is the next batch. */
  #pump(key: string, group: Group, work: Work): void {
    const { maxRunning, maxOrders } = limits(work, key, this.#dependencies.world);
    while (group.ready.length > 0 && group.running < maxRunning && !this.#draining) {
      const batch = group.ready
        .splice(0, maxOrders)
        .filter((entry) => this.#entries.get(entry.order.id) === entry);
      if (batch.length === 0) continue;
      group.running += 1;
      this.#busy += 1;
      let released = false;
      const release = () => {
        if (released) return;
        released = true;
        group.running -= 1;
        if (group.ready.length > 0) this.#pump(key, group, work);
        else if (group.running === 0) this.#groups.delete(key);
      };
      void this.#perform(work, batch, release).finally(() => {
        this.#busy -= 1;
        release();
      });
    }
  }

  /** A step and what comes of it. A channel is free for the next call as soon as it has answered (`release`). */
  async #perform(work: Work, batch: readonly Entry[], release: () => void): Promise<void> {
    const { saga, world, log } = this.#dependencies;
    const orders = batch.map((entry) => entry.order);
    try {
      if (work.undo) {
        const outcomes = await undoSteps(saga, orders, world);
        release();
        await Promise.all(batch.map((entry, index) => this.#afterUndo(entry, outcomes[index]!)));
      } else {
        const outcomes = await work.step.do(orders, world);
        // The next routing should see what this one takes.
        if (work.step.name !== "reserve") release();
        await Promise.all(batch.map((entry, index) => this.#afterStep(entry, work.step, outcomes[index]!)));
      }
    } catch (error) {
      // A defect of ours or the database away: nothing is known of these orders but what is stored.
      const step = work.undo ? "undo" : work.step.name;
      log.error({ error, step, orders: orders.length }, "a step broke; its orders are read anew");
      for (const entry of batch) {
        this.#later(entry, this.#backoffMs(entry.tries++, 500), () => void this.reload([entry.order.id]));
      }
    }
  }

  async #afterStep(entry: Entry, step: SagaStep, outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case "done":
        return this.#write(entry, outcome.decision);
      case "refused":
        return this.#write(
          entry,
          decideRefused(entry.order, outcome.reason, this.#dependencies.world.nowMs()),
        );
      case "unknown":
        entry.uncertain = true;
        return this.#again(entry, step, 100, outcome.detail);
      case "retry":
        return this.#again(entry, step, outcome.afterMs, outcome.detail);
    }
  }

  /** Asks again, or (a channel, tried enough) leaves it for another. */
  #again(entry: Entry, step: SagaStep, afterMs: number, detail: string): Promise<void> | void {
    entry.tries += 1;
    const mayGiveUp =
      step.name === "offer" ||
      step.name === "book" ||
      step.name === "hold" ||
      // An old booking that may have been cancelled is no promise to go back to.
      (step.name === "leave" && !entry.uncertain);
    if (!mayGiveUp || (entry.tries < maxTries && afterMs <= patienceMs)) {
      return this.#later(entry, this.#backoffMs(entry.tries, afterMs), () => this.#schedule(entry));
    }
    const reason: Reason = { code: "channel_unreachable", detail };
    if (!entry.uncertain && !isMoving(entry.order))
      return this.#write(entry, decideUnreachable(entry.order, reason, this.#dependencies.world.nowMs()));
    entry.leaving = reason;
    entry.tries = 0;
    this.#schedule(entry);
  }

  async #afterUndo(entry: Entry, outcome: UndoOutcome): Promise<void> {
    if (outcome.kind === "retry") {
      entry.tries += 1;
      return this.#later(entry, this.#backoffMs(entry.tries, outcome.afterMs), () => this.#schedule(entry));
    }
    if (entry.leaving) {
      // Too late to cancel: then the channel has it, and asking again with the same key says so.
      if (outcome.kind === "refused") {
        entry.leaving = null;
        return this.#later(entry, this.#backoffMs(entry.tries++, 500), () => this.#schedule(entry));
      }
      return this.#write(
        entry,
        decideUnreachable(entry.order, entry.leaving, this.#dependencies.world.nowMs()),
      );
    }
    const nowMs = this.#dependencies.world.nowMs();
    return this.#write(
      entry,
      outcome.kind === "refused"
        ? decideUndoRefused(entry.order, outcome.detail, nowMs)
        : decideUndone(entry.order, nowMs, outcome.feeMinor),
    );
  }

  /** Commits what was decided, if the order is still as it was, and goes on from there. */
  async #write(entry: Entry, decision: Decision): Promise<void> {
    const { order } = entry;
    if (this.#entries.get(order.id) !== entry) return;
    const by = { actor: `owner:${this.#dependencies.ownerId()}`, source: null };
    const outcome = await this.#commits.submit({ order, decision, by, intent: false });
    if (this.#entries.get(order.id) !== entry) return;
    if (outcome === "lost") return this.reload([order.id]);
    const wrote = outcome === "granted" || decision.granted === null;
    entry.order = afterDecision(order, decision, outcome === "granted");
    if (wrote) {
      entry.tries = 0;
      entry.uncertain = false;
      entry.leaving = null;
      return this.#schedule(entry);
    }
    // The slot was full after all: the network in memory knows by now, so the next routing looks elsewhere.
    entry.tries += 1;
    this.#later(entry, this.#backoffMs(entry.tries, 5), () => this.#schedule(entry));
  }

  #later(entry: Entry, delayMs: number, then: () => void): void {
    this.#dependencies.clock.after(delayMs, () => {
      if (this.#entries.get(entry.order.id) === entry) then();
    });
  }

  #backoffMs(tries: number, leastMs: number): number {
    return Math.min(maxBackoffMs, leastMs + leastMs * 2 ** Math.min(tries, 10) * this.#dependencies.random());
  }
}

export const createSagaRunner = (dependencies: RunnerDependencies): SagaRunner =>
  new SagaRunner(dependencies);

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
      const answer = answers[index]!;
      const fee = outcomes.get(order);
      // What one step's undo costs is not lost with the next one's.
      outcomes.set(
        order,
        fee?.kind === "undone" && answer.kind === "undone" ? { ...fee, ...answer } : answer,
      );
    });
    remaining = remaining.filter((order) => outcomes.get(order)!.kind === "undone");
  }
  return orders.map((order) => outcomes.get(order)!);
}
