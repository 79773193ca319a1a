import { createEventLog } from "../../src/bus/event-log.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { type Database, statement } from "../../src/platform/database.ts";
import { createIds } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import type { EventRow } from "../../src/relay/api.ts";
import { createRelay } from "../../src/relay/relay.ts";
import type { WebhookSettings } from "../../src/webhooks/api.ts";
import { createDeliverer, type DelivererDependencies } from "../../src/webhooks/deliverer.ts";
import { createWebhooks } from "../../src/webhooks/webhooks.ts";
import { append } from "../events/sample.ts";
import { testDatabase } from "../support/postgres.ts";

const ids = createIds();
const clock = systemClock;
const log = createLog(process.env.LOG_LEVEL ?? "silent");

export const settings: Omit<WebhookSettings, "url"> = {
  description: "",
  types: null,
  maxEventsPerRequest: 1,
  maxConcurrentRequests: 8,
};

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Short delays, so that hours pass in seconds. */
const quick = {
  firstRetryMs: 20,
  maxRetryMs: 200,
  maxProbeMs: 100,
  timeoutMs: 1_000,
  saveEveryMs: 20,
  tendEveryMs: 50,
  leaseMs: 1_000,
  drainMs: 500,
  handOverMs: 200,
};

/** A database with a bus, webhooks on it and as many deliverers as a test wants. */
export async function startWorld() {
  const postgres = await testDatabase({ connections: 8 });
  const { database } = postgres;
  const bus = createEventLog({ database });
  const relay = createRelay({ database, bus, clock, log, metrics: createMetrics(), holder: "own_relay" });
  await relay.start();
  await database.run(statement("", "insert into clients (id, name) values ('cli_a', 'a'), ('cli_b', 'b')"));
  const deliverers = new Set<ReturnType<typeof createDeliverer>>();
  const webhooks = createWebhooks({
    ...{ database, bus, clock, ids, rule: "any" },
    onChanged: () => {
      for (const deliverer of deliverers) deliverer.poke();
    },
    onAppended: () => relay.poke(),
  });
  return {
    database,
    bus,
    webhooks,
    /** A process that delivers. */
    async deliver(
      over: Partial<Omit<DelivererDependencies, "limits">> = {},
      limits: DelivererDependencies["limits"] = {},
    ) {
      const deliverer = createDeliverer({
        ...{ database, bus, clock, log, rule: "any", exclusive: false, random: Math.random },
        metrics: createMetrics(),
        holder: ids.create("own", clock.nowMs()),
        ...over,
        limits: { ...quick, ...limits },
      });
      deliverers.add(deliverer);
      await deliverer.start();
      return deliverer;
    },
    /** Resolves once the rows are on the bus. */
    async publish(rows: readonly EventRow[]): Promise<void> {
      const before = await bus.head();
      const events = rows.reduce((sum, row) => sum + row.events.length, 0);
      await append(database, rows);
      relay.poke();
      while ((await bus.head()) < before + events) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    /** Ends what a test began: deliverers, webhooks, dead letters. */
    async clear() {
      for (const deliverer of deliverers) await deliverer.stop();
      deliverers.clear();
      await database.run(statement("", "delete from webhooks"));
      await database.run(statement("", "delete from dead_letters"));
    },
    async stop() {
      for (const deliverer of deliverers) await deliverer.stop();
      await relay.stop();
      await postgres.close();
    },
  };
}

export type World = Awaited<ReturnType<typeof startWorld>>;

/** Resolves once `look` answers something that is not undefined or false. */
export async function eventually<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A database whose process is dead: nothing that it writes arrives. */
export function mortal(database: Database): Database & { kill(): void } {
  let dead = false;
  const check = () => {
    if (dead) throw new Error("the process is dead");
  };
  return {
    ...database,
    async run(query, params) {
      check();
      return database.run(query, params);
    },
    async transaction(work) {
      check();
      return database.transaction(work);
    },
    kill() {
      dead = true;
    },
  };
}
