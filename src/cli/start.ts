import { join } from "node:path";
import { createApp } from "../app.ts";
import { systemClock } from "../platform/clock.ts";
import { type Config, describeConfig, readConfig } from "../platform/config.ts";
import { createLog, type Log } from "../platform/log.ts";
import { migrate } from "../platform/migrate.ts";
import { createPostgres } from "../platform/postgres.ts";
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
  } finally {
    await stopEverything(running, log);
    clearInterval(alive);
  }
  return 0;
}

async function startEverything(
  config: Config,
  log: Log,
  running: Running[],
  stop: AbortSignal,
): Promise<void> {
  const begun = async (part: Running) => {
    running.push(part);
    stop.throwIfAborted();
  };
  const lock = await lockDataFolder(config.dataDir, "start");
  await begun({ name: "data folder", stop: () => lock.release() });
  log.info({ config: describeConfig(config) }, "starting");

  let url = config.DATABASE_URL;
  if (url === "") {
    const postgres = createPostgres({ folder: config.dataDir, log });
    await begun({ name: "postgres", stop: () => postgres.stop(), force: () => end(postgres.pid, "SIGQUIT") });
    url = await startEmbedded(postgres);
  }
  await migrate(url);
  stop.throwIfAborted();

  const app = createApp({ ...config, DATABASE_URL: url }, { log });
  await begun({ name: "app", stop: () => app.stop() });
  await app.start();
  if (!config.roleSet.has("gateway")) {
    console.log(`UOOP is running (${[...config.roleSet].join(", ")}). Ctrl-C stops it.`);
    return;
  }
  const key = await app.keys.ensureFirstKey(apiKeyFile(config));
  const network = await startExampleNetwork(config, log, app, key?.key ?? null, begun);
  for (const line of welcome({
    url: app.url,
    keyFile: apiKeyFile(config),
    key: key?.key ?? null,
    network,
    nowMs: Date.now(),
  })) {
    console.log(line);
  }
}

type App = ReturnType<typeof createApp>;

/** The example network with its simulator, where it is wanted: on a database that is empty or was given it earlier. */
async function startExampleNetwork(
  config: Config,
  log: Log,
  app: App,
  apiKey: string | null,
  begun: (part: Running) => Promise<void>,
): Promise<{ channels: number; simulatorUrl: string } | null> {
  const file = join(config.dataDir, "example-network.json");
  if (config.EXAMPLE_NETWORK === "off" || !(await wantsExampleNetwork(app.capacity, file))) return null;
  if (apiKey === null) {
    log.warn(
      { file: apiKeyFile(config) },
      "the simulator is not started: the key file that it would use is gone",
    );
    return null;
  }
  const simulator = createSimulatorProcess({
    port: config.SIMULATOR_PORT,
    dataFile: join(config.dataDir, "simulator.ndjson"),
    log,
  });
  await begun({ name: "simulator", stop: () => simulator.stop(), force: () => simulator.kill() });
  await simulator.start();
  const network = createExampleNetwork({
    capacity: app.capacity,
    clock: systemClock,
    log,
    file,
    simulatorUrl: simulator.url(),
  });
  await begun({ name: "example network", stop: () => network.stop() });
  await network.start();
  await simulator.introduce({ url: app.url, apiKey, capacity: app.capacity });
  return { channels: exampleChannels.length, simulatorUrl: simulator.url() };
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
  for (const part of running.toReversed()) {
    const inTime = await Promise.race([
      part.stop().then(
        () => true,
        (error: unknown) => {
          log.error({ err: error, part: part.name }, "it did not stop cleanly");
          return true;
        },
      ),
      new Promise<boolean>((resolve) => setTimeout(resolve, drainLimitMs, false)),
    ]);
    if (!inTime)
      log.error(
        { part: part.name },
        "it did not drain in time; what was under way is taken up at the next start",
      );
  }
}

function end(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}

/** An error of the start, said so that one knows what to do. */
function clearer(error: unknown, config: Config): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "EADDRINUSE") {
    return new Error(
      `Port ${config.PORT} on ${config.HOST} is in use by another program. Set PORT to another one (0 takes a free one).`,
    );
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return new Error(
      `This machine has no address ${config.HOST}. Set HOST to one that it has (127.0.0.1, or 0.0.0.0 for all).`,
    );
  }
  return error;
}
