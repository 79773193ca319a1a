import { join } from "node:path";
import type { App } from "../app.ts";
import { systemClock } from "../platform/clock.ts";
import { type Config, describeConfig, readConfig } from "../platform/config.ts";
import { createLog, type Log } from "../platform/log.ts";
import { migrate } from "../platform/migrate.ts";
import { createPostgres } from "../platform/postgres.ts";
import { servicesOf } from "../roles.ts";
import { lockDataFolder } from "./data-lock.ts";
import { apiKeyFile, startEmbedded } from "./database-access.ts";
import { createExampleNetwork, exampleChannels, wantsExampleNetwork } from "./example-network.ts";
import { createSimulatorProcess } from "./simulator-process.ts";
import { welcome } from "./welcome.ts";

/** npm passes Ctrl-C on to a process that the terminal has told already: within this time it is one Ctrl-C. */
const sameSignalMs = 1_000;
/** Draining waits for calls under way (each has its own time limit); then what is left is given up to the next start. */
const drainLimitMs = 30_000;

/** What was started, to be stopped in reverse; `force` ends child processes at once. */
interface Running {
  name: string;
  stop(): Promise<void>;
  force?(): void;
}

/** Runs the platform until it is told to stop; then drains, stops everything it started, and answers the exit code. */
export async function start(options: { roles?: string }): Promise<number> {
  const config = readConfig(undefined, options.roles === undefined ? {} : { ROLES: options.roles });
  servicesOf(config.roleSet); // refuses roles that don't go together, before anything is started
  const log = createLog(config.LOG_LEVEL);
  const running: Running[] = [];
  const asked = untilAskedToStop(log, running);
  const alive = setInterval(() => undefined, 60_000); // timers of services keep nothing alive
  try {
    await startEverything(config, log, running, asked.signal);
    await asked.stop;
    console.log("Stopping: what is under way is finished first (Ctrl-C again ends it at once).");
  } catch (error) {
    if (!asked.signal.aborted) throw clearer(error, config);
    console.log("Stopped before it was ready.");
  } finally {
    await stopEverything(running, log);
    clearInterval(alive);
  }
  return 0;
}

/** Notes what runs before it is started, so that an interrupted start stops it too. */
type Begin = (part: Running) => void;

async function startEverything(
  config: Config,
  log: Log,
  running: Running[],
  stop: AbortSignal,
): Promise<void> {
  const begin: Begin = (part) => {
    stop.throwIfAborted();
    running.push(part);
  };
  const lock = await lockDataFolder(config.dataDir, "start");
  begin({ name: "data folder", stop: () => lock.release() });
  log.info({ config: describeConfig(config) }, "starting");

  const world = startWorld(config, log, begin);
  // Loading the rest of the program takes as long as the database needs to start: both at once.
  const [url, { createApp }] = await Promise.all([
    config.DATABASE_URL === "" ? startPostgres(config, log, begin) : config.DATABASE_URL,
    import("../app.ts"),
  ]);
  await migrate(url);
  // The embedded database is this data folder's, and its lock is ours.
  const exclusive = config.DATABASE_URL === "";
  const app = createApp({ ...config, DATABASE_URL: url }, { log, exclusive });
  begin({ name: "app", stop: () => app.stop() });
  await app.start();
  if (!config.roleSet.has("gateway")) {
    console.log(`UOOP is running (${[...config.roleSet].join(", ")}). Ctrl-C stops it.`);
    return;
  }
  const keyFile = apiKeyFile(config);
  const key = (await app.keys.ensureFirstKey(keyFile))?.key ?? null;
  const network = await world?.join(app, key, begin);
  stop.throwIfAborted();
  const said = welcome({ url: app.url, keyFile, key, network: network ?? null, nowMs: systemClock.nowMs() });
  for (const line of said) console.log(line);
}

async function startPostgres(config: Config, log: Log, begin: Begin): Promise<string> {
  const postgres = createPostgres({ folder: config.dataDir, log });
  begin({ name: "postgres", stop: () => postgres.stop(), force: () => end(postgres.pid) });
  return startEmbedded(postgres);
}

/**
 * The world's side: the simulator, begun beside the database because it takes as long, and the example network that it
 * plays. It outlives the app, which may still have to ask a channel while it drains.
 */
function startWorld(config: Config, log: Log, begin: Begin) {
  if (config.EXAMPLE_NETWORK === "off" || !config.roleSet.has("gateway")) return undefined;
  const dataFile = join(config.dataDir, "simulator.ndjson");
  const simulator = createSimulatorProcess({ port: config.SIMULATOR_PORT, dataFile, log });
  begin({ name: "simulator", stop: () => simulator.stop(), force: () => simulator.kill() });
  const ready = simulator.start();
  ready.catch(() => undefined); // told to whoever joins
  return {
    /** Where the network is wanted: makes or completes it, and introduces the platform to the simulator. */
    async join(app: App, apiKey: string | null, begin: Begin) {
      const file = join(config.dataDir, "example-network.json");
      if (apiKey === null) {
        log.warn({ file: apiKeyFile(config) }, "no simulator: the file of the key that it would use is gone");
        return void (await simulator.stop());
      }
      if (!(await wantsExampleNetwork(app.capacity, file))) return void (await simulator.stop());
      await ready;
      const { capacity } = app;
      const simulatorUrl = simulator.url();
      const network = createExampleNetwork({ capacity, clock: systemClock, log, file, simulatorUrl });
      begin({ name: "example network", stop: () => network.stop() });
      await network.start();
      await simulator.introduce({ url: app.url, apiKey, capacity });
      return { channels: exampleChannels.length, simulatorUrl };
    },
  };
}

/** SIGINT, SIGTERM and SIGHUP ask to stop; a second one, later than the echo of the first, ends everything at once. */
function untilAskedToStop(
  log: Log,
  running: readonly Running[],
): { stop: Promise<void>; signal: AbortSignal } {
  const abort = new AbortController();
  let firstAtMs: number | undefined;
  const stop = new Promise<void>((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      if (firstAtMs === undefined) {
        firstAtMs = performance.now();
        log.info({ signal }, "asked to stop");
        abort.abort();
        resolve();
      } else if (performance.now() - firstAtMs > sameSignalMs) {
        for (const part of running.toReversed()) part.force?.();
        process.exit(1);
      }
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
    process.once("uncaughtException", (error) => {
      log.fatal({ err: error }, "an error that nobody handled; stopping");
      process.exitCode = 1;
      for (const part of running.toReversed()) part.force?.();
      process.exit(1);
    });
  });
  return { stop, signal: abort.signal };
}

async function stopEverything(running: readonly Running[], log: Log): Promise<void> {
  for (const { name, stop } of running.toReversed()) {
    const startedAt = performance.now();
    const inTime = await within(
      drainLimitMs,
      stop().catch((error: unknown) => log.error({ err: error, part: name }, "it did not stop cleanly")),
    );
    log.debug({ part: name, ms: Math.round(performance.now() - startedAt) }, "stopped");
    if (!inTime)
      log.error({ part: name }, "it did not drain in time; the next start takes up what was under way");
  }
}

/** Whether the work ends within this time. */
async function within(limitMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

function end(serverPid: number | undefined): void {
  try {
    if (serverPid !== undefined) process.kill(serverPid, "SIGQUIT"); // it recovers at the next start
  } catch {
    // It is gone already.
  }
}

/** An error of the gateway's address, said so that one knows what to do. */
function clearer(error: unknown, config: Config): unknown {
  const { code, syscall, hostname } = error as NodeJS.ErrnoException & { hostname?: string };
  if (code === "EADDRINUSE") {
    return new Error(
      `Port ${config.PORT} on ${config.HOST} is in use by another program. Set PORT to another one (0 takes a free one).`,
    );
  }
  if (code === "EACCES" && syscall === "listen") {
    return new Error(`This user may not listen on port ${config.PORT}. Set PORT to one above 1023.`);
  }
  if (code === "EADDRNOTAVAIL" || hostname === config.HOST) {
    return new Error(
      `This machine has no address ${config.HOST}. Set HOST to one that it has (127.0.0.1, or 0.0.0.0 for all).`,
    );
  }
  return error;
}
