import { type App, createApp } from "../../src/app.ts";
import type { Channel } from "../../src/capacity/api.ts";
import type { ChannelAdapter, ChannelLedger } from "../../src/channels/api.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { readConfig } from "../../src/platform/config.ts";
import { UoopError } from "../../src/platform/errors.ts";
import { createIds } from "../../src/platform/ids.ts";
import { createLog, type Log } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";
import type { Caller, Wire } from "./wire.ts";

/** The platform without its gateway, as it is put together in earnest. */
const config = readConfig({
  ROLES: "orchestration,optimization,capacity,relay,read-model",
  OWNER_LEASE_MS: "4000",
  RECONCILE_EVERY_SECONDS: "3",
  // They come from a worker thread, whose time is not the simulation's.
  BID_PRICES_EVERY_MS: "0",
  LOG_LEVEL: "silent",
});

/** One process of the platform in the simulation: it can be killed, frozen, and its clock may be wrong. */
export interface Process extends Caller {
  readonly name: string;
  readonly app: App;
  /** Started and not frozen: it takes requests. */
  readonly serving: boolean;
  freeze(forMs: number): void;
  /** The system's clock is set. */
  shiftClock(byMs: number): void;
  start(): void;
  /** Ends it in good order: it is not started again. */
  stop(): void;
  readonly stopped: boolean;
}

export interface ProcessWorld {
  schedule: Schedule;
  random: Random;
  wire: Wire;
  /** What its channels' adapters do. */
  adapterOf(caller: Caller, channel: Channel): ChannelAdapter;
  ledgerOf(caller: Caller, channel: Channel): ChannelLedger;
  note(what: string): void;
  /** The program logged an error that no simulated fault explains. */
  wrong(what: string): void;
}

/** Errors are for defects: what the simulation does to a process is no more than a warning to it. */
function complaining(wrong: (what: string) => void): Log {
  const log = createLog("silent");
  return Object.assign(log, {
    error(fields: { error?: unknown; err?: unknown }, what: string) {
      const error = fields.error ?? fields.err;
      if (error instanceof UoopError && error.code === "unavailable") return;
      wrong(`${what}: ${error instanceof Error ? error.message : JSON.stringify(fields)}`);
    },
  });
}

const startAgainMs = 300;

export function createProcess(name: string, world: ProcessWorld): Process {
  const { schedule, random, wire, note } = world;
  let dead = false;
  let started = false;
  let stopped = false;
  let frozenUntilMs = 0;
  let skewMs = random.between(-500, 500);
  const adapters = new Map<string, ChannelAdapter>();

  const caller: Caller = {
    get dead() {
      return dead;
    },
    whenAwake(run) {
      if (dead) return;
      if (schedule.nowMs < frozenUntilMs)
        schedule.in(frozenUntilMs - schedule.nowMs, () => caller.whenAwake(run));
      else run();
    },
    kill(why) {
      if (dead) return;
      dead = true;
      note(`${name} is killed ${why}`);
      schedule.in(0, () => wire.cut(caller));
    },
  };
  const clock: Clock = {
    nowMs: () => schedule.nowMs + skewMs,
    after: (delayMs, run) => schedule.in(delayMs, () => caller.whenAwake(run)),
  };
  const app = createApp(config, {
    clock,
    ids: createIds((bytes) => random.fill(bytes)),
    log: complaining(world.wrong),
    metrics: createMetrics(),
    random: () => random.next(),
    database: wire.connect(caller),
    channels: {
      name: "channels",
      start: async () => undefined,
      stop: async () => undefined,
      ledgersOf: (channel) =>
        channel.type === "internal_kitchen" || channel.type === "dark_store"
          ? []
          : [world.ledgerOf(caller, channel)],
      adapterFor(channel) {
        const known = adapters.get(channel.id) ?? world.adapterOf(caller, channel);
        adapters.set(channel.id, known);
        return known;
      },
    },
  });

  return {
    name,
    app,
    whenAwake: caller.whenAwake,
    kill: caller.kill,
    get dead() {
      return dead;
    },
    get serving() {
      return started && !stopped && !dead && schedule.nowMs >= frozenUntilMs;
    },
    freeze(forMs: number) {
      note(`${name} is frozen for ${forMs} ms`);
      frozenUntilMs = Math.max(frozenUntilMs, schedule.nowMs + forMs);
    },
    shiftClock(byMs: number) {
      note(`${name}'s clock is set by ${byMs} ms`);
      skewMs += byMs;
    },
    start() {
      app.start().then(
        () => {
          started = true;
          note(`${name} has started`);
        },
        (error: Error) => {
          note(`${name} did not start: ${error.message}`);
          // As a supervisor does with a program that ended.
          schedule.in(startAgainMs, () => caller.kill("as it could not start"));
        },
      );
    },
    stop() {
      note(`${name} stops`);
      stopped = true;
      app.stop().then(
        () => caller.kill("as it has stopped"),
        (error: Error) => caller.kill(`as it could not stop: ${error.message}`),
      );
    },
    get stopped() {
      return stopped;
    },
  };
}
