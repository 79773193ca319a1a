import { hostname } from "node:os";
import type { Channel } from "../capacity/api.ts";
import type { Capacity } from "../capacity/capacity.ts";
import type { ChannelAdapter } from "../channels/api.ts";
import type { PoliciesApi } from "../optimization/api.ts";
import { explain } from "../optimization/decision.ts";
import type { Steerer } from "../optimization/steer.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Database } from "../platform/database.ts";
import { UoopError } from "../platform/errors.ts";
import type { Ids } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { repeatEvery } from "../platform/repeat.ts";
import type { Service } from "../platform/service.ts";
import type { EventRow } from "../relay/api.ts";
import type { CancelResult, OrchestrationApi, Submission, SubmitResult } from "./api.ts";
import type { Carried } from "./carried.ts";
import { changeOrders, whetherChanged } from "./change-order.ts";
import { complain } from "./complaints.ts";
import { patienceOf } from "./deadlines.ts";
import { handleDue } from "./due.ts";
import { createIntake, type Intake } from "./intake.ts";
import { cancelOrders, type IntentDependencies } from "./intents.ts";
import { isInMotion, isSettled } from "./moves.ts";
import { operateOrders } from "./operate.ts";
import { type OrderView, viewOf } from "./order.ts";
import { createOwners, type Owners } from "./owners.ts";
import { createReports, type Reports } from "./reports.ts";
import { createRouting, ownRoom, quoteAll } from "./routing.ts";
import { fulfillOrder, moveOrder } from "./saga.ts";
import { createSagaRunner, type SagaRunner } from "./saga-runner.ts";
import { type Committed, createOrderStore, type OrderStore } from "./store.ts";
import { createWaiters, type Waiters } from "./waiters.ts";

export interface OrchestrationDependencies {
  database: Database;
  clock: Clock;
  ids: Ids;
  log: Log;
  metrics: Metrics;
  config: Pick<Config, "ROUTING_METHOD" | "MAX_BATCH_ORDERS" | "MAX_QUEUED_ORDERS" | "OWNER_LEASE_MS"> &
    Parameters<typeof patienceOf>[0];
  capacity: Capacity;
  channels: { adapterFor(channel: Channel): ChannelAdapter };
  /** Absent: all orders go by the default policy. */
  policies?: Pick<PoliciesApi, "policyFor">;
  /** Absent: orders don't pay for what later ones will need. */
  steerer?: Steerer;
  /** These rows were committed to the outbox: the relay may look (a hint). */
  onAppended(rows: readonly EventRow[]): void;
  /** 0 to 1, for jitter. */
  random(): number;
  /** True where a lock says that no other process works on this database. */
  exclusive?: boolean;
}

const dueEveryMs = 1_000;
const keptEveryMs = 5_000;
const orphansEveryMs = 30_000;
/** Orders of which it is not known whether they were written are read again after this long. */
const doubtMs = 500;
const drainMs = 5_000;
/** Orders carried in memory at most: about 5 KB each. Stored ones beyond it would wait without anybody who carries them. */
const maxInMotionOrders = 100_000;
/** Orders read in one statement when a takeover or a sweep hands them over. */
const maxReloadOrders = 500;

/** Orders from submission to their end: intake, saga, intents and the lease that keeps them this process's. */
export class Orchestration implements OrchestrationApi, Service {
  readonly name = "orchestration";
  readonly #dependencies: OrchestrationDependencies;
  readonly #store: OrderStore;
  readonly #waiters: Waiters;
  readonly #owners: Owners;
  readonly #runner: SagaRunner;
  readonly #intake: Intake;
  readonly #reports: Reports;
  readonly #intents: IntentDependencies;
  readonly #route: ReturnType<typeof createRouting>;
  #stopTimers: (() => void)[] = [];
  #started = false;

  constructor(dependencies: OrchestrationDependencies) {
    const { database, clock, ids, log, metrics, config, capacity, channels } = dependencies;
    this.#dependencies = dependencies;
    this.#store = createOrderStore(
      database,
      () => this.#owners.identity(),
      dependencies.onAppended,
      patienceOf(config),
      capacity.noteStock,
    );
    this.#waiters = createWaiters(clock);
    this.#owners = createOwners({
      database,
      clock,
      ids,
      log,
      leaseMs: config.OWNER_LEASE_MS,
      process: `${hostname()}:${process.pid}`,
      exclusive: dependencies.exclusive ?? false,
      onTakenOver: (orderIds) => void this.#reload(orderIds),
      onLost: () => this.#runner.dropAll(),
    });
    const nowMs = () => clock.nowMs();
    const route = createRouting({
      capacity,
      adapterFor: channels.adapterFor,
      nowMs,
      method: config.ROUTING_METHOD,
      ...(dependencies.policies ? { policyFor: dependencies.policies.policyFor } : {}),
      ...(dependencies.steerer ? { steerer: dependencies.steerer } : {}),
    });
    this.#route = route;
    const onOwnerLost = () => this.#owners.lost();
    this.#runner = createSagaRunner({
      saga: fulfillOrder,
      moving: moveOrder,
      world: { nowMs, route, channel: capacity.channelInMemory, adapterFor: channels.adapterFor },
      store: this.#store,
      clock,
      log,
      metrics,
      ownerId: () => this.#owners.identity().id,
      onWritten: (orders, slots) => this.#afterSaga(orders, slots),
      onOwnerLost,
      random: dependencies.random,
    });
    this.#intake = createIntake({
      store: this.#store,
      clock,
      ids,
      log,
      metrics,
      maxBatchOrders: config.MAX_BATCH_ORDERS,
      maxQueuedOrders: config.MAX_QUEUED_ORDERS,
      route,
      onStored: (orders, slots) => this.#carryOn(orders, slots, { asked: false }),
      onOwnerLost,
    });
    this.#intents = {
      store: this.#store,
      clock,
      log,
      channel: capacity.channelInMemory,
      onWritten: (orders, slots) => this.#carryOn(orders, slots, { asked: true }),
      onDoubt: (orderIds) => clock.after(doubtMs, () => void this.#reload(orderIds)),
      onOwnerLost,
    };
    this.#reports = createReports(this.#store, this.#intents);
  }

  async start(): Promise<void> {
    const { clock, log, metrics } = this.#dependencies;
    await this.#owners.start();
    const tell = (what: string) => (error: unknown) => log.warn({ error }, what);
    this.#stopTimers = [
      repeatEvery(
        clock,
        dueEveryMs,
        () => handleDue({ ...this.#intents, metrics }),
        tell("deadlines could not be looked at; trying again"),
      ),
      repeatEvery(
        clock,
        keptEveryMs,
        () => this.#applyStaleKept(),
        tell("kept reports could not be looked at; trying again"),
      ),
      repeatEvery(
        clock,
        orphansEveryMs,
        () => this.#findOrphans(),
        tell("orphans could not be looked for; trying again"),
      ),
    ];
    this.#started = true;
  }

  async stop(): Promise<void> {
    if (!this.#started) return;
    this.#started = false;
    for (const stop of this.#stopTimers) stop();
    await this.#intake.drain();
    await this.#runner.drain(drainMs);
    await this.#owners.stop();
  }

  async submit(
    submissions: readonly Submission[],
    { waitMs }: { waitMs: number },
  ): Promise<readonly SubmitResult[]> {
    const untilMs = this.#dependencies.clock.nowMs() + waitMs;
    // Asked once: what is sent together is taken or refused together, a whole batch also from rest.
    const [first] = submissions;
    const refusal = first && this.admits(first.clientId, first.order.priority);
    if (refusal) return submissions.map(() => asRefusal(refusal));
    return Promise.all(
      submissions.map((submission) => this.#submitOne(submission, untilMs).catch(asRefusal)),
    );
  }

  admits: OrchestrationApi["admits"] = (clientId, priority) => {
    if (this.#runner.inMotion < maxInMotionOrders) return this.#intake.refusal(clientId, priority);
    return new UoopError("overloaded", `${maxInMotionOrders} orders are waiting for their channels.`);
  };

  async #submitOne(submission: Submission, untilMs: number): Promise<SubmitResult> {
    const { clock, metrics } = this.#dependencies;
    const startedMs = clock.nowMs();
    const taken = await this.#intake.take(submission);
    switch (taken.kind) {
      case "stored": {
        const order = await this.#untilSettled(show(taken.order), untilMs);
        const seconds = (clock.nowMs() - startedMs) / 1_000;
        metrics.orderSeconds.observe({ status: order.status }, seconds);
        return { kind: "order", order, replayed: false };
      }
      case "replay": {
        const [stored] = await this.#store.views([taken.orderId]);
        if (!stored)
          throw new UoopError("internal", `Order ${taken.orderId} was made by this key and can't be found.`);
        return { kind: "order", order: await this.#untilSettled(stored.order, untilMs), replayed: true };
      }
      case "failed":
        throw taken.error;
      case "refused":
        return taken;
    }
  }

  #untilSettled(view: OrderView, untilMs: number): Promise<OrderView> {
    return this.#waiters.wait(
      view,
      (latest) => isSettled(latest.status),
      untilMs - this.#dependencies.clock.nowMs(),
    );
  }

  async cancel(...[requests, { waitMs }]: Parameters<OrchestrationApi["cancel"]>) {
    const untilMs = this.#dependencies.clock.nowMs() + waitMs;
    return this.#settle(await cancelOrders(requests, this.#intents), untilMs);
  }

  async change(...[requests, { waitMs }]: Parameters<OrchestrationApi["change"]>) {
    const untilMs = this.#dependencies.clock.nowMs() + waitMs;
    const dependencies = {
      ...this.#intents,
      routeChange: this.#routeChange,
      isOurs: (type: string) => !isOutside(type),
    };
    const begun = await changeOrders(requests, untilMs, dependencies);
    const settled = await this.#settle(begun, untilMs);
    return settled.map((result, index) => whetherChanged(begun[index]!, result));
  }

  #routeChange = (order: Carried, where: "stay" | "anywhere") => {
    const network = this.#dependencies.capacity.network();
    return this.#route([order], where === "stay" ? ownRoom(order, network) : network)[0]!;
  };

  async operate(...[requests, { waitMs }]: Parameters<OrchestrationApi["operate"]>) {
    const untilMs = this.#dependencies.clock.nowMs() + waitMs;
    return this.#settle(await operateOrders(requests, { ...this.#intents, route: this.#route }), untilMs);
  }

  /** What was begun is answered once the order rests again, or as it is then. */
  #settle(
    results: readonly (CancelResult | { kind: "begun"; order: Carried })[],
    untilMs: number,
  ): Promise<readonly CancelResult[]> {
    return Promise.all(
      results.map(async (result) =>
        result.kind === "begun"
          ? { kind: "order" as const, order: await this.#untilSettled(show(result.order), untilMs) }
          : result,
      ),
    );
  }

  complain: OrchestrationApi["complain"] = async (requests) =>
    (await complain(requests, this.#intents)).map((result) =>
      result.kind === "begun" ? { kind: "order", order: show(result.order) } : result,
    );

  complaintTexts: OrchestrationApi["complaintTexts"] = (ids) => this.#store.complaintTexts(ids);
  callbacks: OrchestrationApi["callbacks"] = (callbacks) => this.#reports.take(callbacks);
  read: OrchestrationApi["read"] = (ids) => this.#store.views(ids);
  contacts: OrchestrationApi["contacts"] = (ids) => this.#store.contacts(ids);
  decisions: OrchestrationApi["decisions"] = async (ids) => {
    const found = await this.#store.decisions(ids);
    const { channelInMemory } = this.#dependencies.capacity;
    return found.map(
      (all) =>
        all?.map(({ attempt, decision }) => ({ ...explain(decision, channelInMemory), attempt })) ?? null,
    );
  };
  quotes: OrchestrationApi["quotes"] = (requests) => {
    const { capacity, clock, policies } = this.#dependencies;
    return quoteAll(requests, capacity.network(), clock.nowMs(), policies?.policyFor);
  };
  toldVersion: OrchestrationApi["toldVersion"] = (id) => this.#waiters.toldVersion(id);

  /** Tells everybody whom a commit concerns. */
  #note(orders: readonly Carried[], slots: Committed<unknown>["slots"]): void {
    this.#dependencies.capacity.noteSlots(slots);
    for (const order of orders) {
      const { status } = order.state;
      this.#dependencies.metrics.ordersWritten.inc({ to: status });
      if (status === "stuck") this.#dependencies.metrics.stuckOrders.inc();
      this.#waiters.note(show(order));
    }
  }

  #carryOn(
    orders: readonly Carried[],
    slots: Committed<unknown>["slots"],
    options: { asked: boolean },
  ): void {
    this.#note(orders, slots);
    this.#runner.carry(
      orders.filter((order) => isInMotion(order.state.status)),
      options,
    );
  }

  #afterSaga(orders: readonly Carried[], slots: Committed<unknown>["slots"]): void {
    this.#note(orders, slots);
    // Only a channel that was called can have reported before its answer was recorded.
    const confirmed = orders.filter(
      ({ state }) => state.status === "confirmed" && isOutside(state.legs[0]?.channel.type),
    );
    if (confirmed.length === 0) return;
    this.#reports
      .applyKept(confirmed.map((order) => order.id))
      .catch((error: unknown) =>
        this.#dependencies.log.warn({ error }, "kept reports could not be applied; the sweep will"),
      );
  }

  async #applyStaleKept(): Promise<void> {
    const ids = await this.#store.staleKept(keptEveryMs, maxReloadOrders);
    if (ids.length > 0) await this.#reports.applyKept(ids);
  }

  async #reload(ids: readonly string[]): Promise<void> {
    for (let from = 0; from < ids.length; from += maxReloadOrders) {
      await this.#runner.reload(ids.slice(from, from + maxReloadOrders));
    }
  }

  /** Orders that are this process's by the database but that it does not carry: a commit whose answer was lost. */
  async #findOrphans(): Promise<void> {
    for (let after = ""; ; ) {
      const ids = await this.#store.owned(this.#owners.identity().id, after, maxReloadOrders);
      await this.#reload(ids.filter((id) => !this.#runner.carries(id)));
      if (ids.length < maxReloadOrders) return;
      after = ids.at(-1)!;
    }
  }
}

export const createOrchestration = (dependencies: OrchestrationDependencies): Orchestration =>
  new Orchestration(dependencies);

const show = (order: Carried): OrderView => viewOf(order.doc, order.state);

const isOutside = (type: string | undefined): boolean =>
  type === "external_partner" || type === "partner_network";

function asRefusal(error: unknown): SubmitResult {
  if (error instanceof UoopError) return { kind: "refused", code: error.code, detail: error.message };
  throw error;
}
