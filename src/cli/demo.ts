import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApp } from "../app.ts";
import { type DemoInstance, type DemoRouting, runDemo } from "../demo/demo.ts";
import { systemClock } from "../platform/clock.ts";
import { readConfig } from "../platform/config.ts";
import { createLog } from "../platform/log.ts";
import { migrate } from "../platform/migrate.ts";
import { createPostgres } from "../platform/postgres.ts";
import { startEmbedded } from "./database-access.ts";
import type { DemoCommandOptions } from "./program.ts";

/** Plays a published day on temporary platforms; exit code 1 when an invariant is violated or a consumer disagrees with the orders. */
export async function demo(folder: string | undefined, options: DemoCommandOptions): Promise<number> {
  const abort = new AbortController();
  const interrupted = () => abort.abort(new Error("The demo was interrupted; what it started is stopped."));
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, interrupted);
  const alive = setInterval(() => undefined, 60_000); // timers of the demo keep nothing alive
  try {
    const report = await runDemo({
      ...(folder === undefined ? {} : { folder }),
      ...(options.speed === undefined ? {} : { speed: options.speed }),
      ...(options.json === undefined ? {} : { json: options.json }),
      out: { write: (text) => void process.stdout.write(text), isTTY: process.stdout.isTTY === true },
      clock: systemClock,
      signal: abort.signal,
      startInstance,
    });
    return report.invariants === "ok" && report.consumers.every(({ agrees }) => agrees) ? 0 : 1;
  } finally {
    clearInterval(alive);
    for (const signal of signals) process.off(signal, interrupted);
  }
}

/** A platform of its own: database, port and key, in a temporary folder that goes when it is stopped. Settings of the environment don't reach it. */
async function startInstance(routing: DemoRouting): Promise<DemoInstance> {
  const folder = await mkdtemp(join(tmpdir(), "uoop-demo-"));
  const log = createLog("error");
  const postgres = createPostgres({ folder, log });
  const stops: (() => Promise<void>)[] = [
    () => rm(folder, { recursive: true, force: true }),
    () => postgres.stop(),
  ];
  const stop = async () => {
    for (const each of stops.splice(0).toReversed()) await each();
  };
  try {
    const url = await startEmbedded(postgres);
    await migrate(url);
    const config = readConfig({
      PORT: "0",
      DATA_DIR: folder,
      DATABASE_URL: url,
      EXAMPLE_NETWORK: "off",
      ROUTING_METHOD: routing,
    });
    const app = createApp(config, { log });
    stops.push(() => app.stop());
    await app.start();
    const { key } = await app.keys.create("demo", ["admin"]);
    return { url: app.url, apiKey: key, database: app.database, stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}
