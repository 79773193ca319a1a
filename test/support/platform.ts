import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type App, createApp, type Overrides } from "../../src/app.ts";
import { type Simulator, startSimulator } from "../../src/channels/simulator/simulator.ts";
import { createExampleNetwork } from "../../src/cli/example-network.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { readConfig } from "../../src/platform/config.ts";
import type { Database } from "../../src/platform/database.ts";
import { createLog } from "../../src/platform/log.ts";
import { testDatabase } from "./postgres.ts";

export interface PlatformOptions {
  /** Settings as the environment gives them; PORT is a free one unless set here. */
  env?: Readonly<Record<string, string>>;
  /** Clock, ids, log or metrics in place of the real ones. */
  overrides?: Overrides;
  /** The simulator beside it, introduced to the platform: channels' endpoints are `{simulatorUrl}/channels/{id}`. */
  simulator?: boolean;
  /** The example network of `uoop start`; brings the simulator. */
  exampleNetwork?: boolean;
  /** A database that is there already, for a second process beside the first; it is left alone at the end. */
  databaseUrl?: string;
}

export interface TestPlatform {
  url: string;
  /** A key with the scope admin. */
  apiKey: string;
  app: App;
  database: Database;
  databaseUrl: string;
  /** Empty without a simulator. */
  simulatorUrl: string;
  /** Tells the simulator of a channel that was made since, so that it can sign for it. */
  introduce(channelId: string): Promise<void>;
  stop(): Promise<void>;
}

/** The whole platform in this process, on a database and a port of its own. */
export async function startPlatform(options: PlatformOptions = {}): Promise<TestPlatform> {
  const folder = await mkdtemp(join(tmpdir(), "uoop-platform-"));
  const own = options.databaseUrl === undefined ? await testDatabase({ connections: 2 }) : undefined;
  const databaseUrl = options.databaseUrl ?? own!.url;
  const log = createLog(options.env?.LOG_LEVEL ?? "error");
  const settings = {
    PORT: "0",
    EXAMPLE_NETWORK: "off",
    DATA_DIR: folder,
    DATABASE_URL: databaseUrl,
    ...options.env,
  };
  const app = createApp(readConfig(settings), { log, ...options.overrides });
  const stops: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  if (own) stops.push(() => own.close());
  stops.push(() => app.stop());
  const stop = async () => {
    for (const each of stops.splice(0).toReversed()) await each();
  };
  try {
    await app.start();
    const { key: apiKey } = await app.keys.create("test", ["admin"]);
    const simulator =
      options.simulator || options.exampleNetwork
        ? await startSimulator({ port: 0, log, seed: 1 })
        : undefined;
    if (simulator) {
      stops.unshift(() => simulator.close());
      await put(`${simulator.url}/control/platform`, { url: app.url, apiKey });
    }
    const introduce = async (channelId: string) => {
      const secret = await app.capacity.callbackSecret(channelId);
      if (simulator) await put(`${simulator.url}/control/channels/${channelId}`, { secret });
    };
    if (simulator && options.exampleNetwork) {
      stops.push(await addExampleNetwork(app, simulator, join(folder, "example-network.json"), introduce));
    }
    return {
      url: app.url,
      apiKey,
      app,
      database: app.database,
      databaseUrl,
      simulatorUrl: simulator?.url ?? "",
      introduce,
      stop,
    };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

async function addExampleNetwork(
  app: App,
  simulator: Simulator,
  file: string,
  introduce: (id: string) => Promise<void>,
): Promise<() => Promise<void>> {
  const simulatorUrl = simulator.url;
  const network = createExampleNetwork({
    capacity: app.capacity,
    clock: systemClock,
    log: app.log,
    file,
    simulatorUrl,
  });
  await network.start();
  for (const id of network.channelIds()) await introduce(id);
  return () => network.stop();
}

async function put(url: string, body: unknown): Promise<void> {
  const response = await fetch(url, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`PUT ${url} answered ${response.status}: ${await response.text()}`);
}
