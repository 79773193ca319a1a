import { startSimulator } from "../channels/simulator/simulator.ts";
import { readConfig } from "../platform/config.ts";
import { createLog } from "../platform/log.ts";
import type { SimulatorCommandOptions } from "./program.ts";

/** Runs the channel simulator until it is told to stop, or until the process that started it is gone. */
export async function simulator(options: SimulatorCommandOptions): Promise<number> {
  const config = readConfig();
  const log = createLog(config.LOG_LEVEL);
  const port = options.port ?? config.SIMULATOR_PORT;
  const begin = (at: number) =>
    startSimulator({
      port: at,
      log,
      ...(options.dataFile === undefined ? {} : { dataFile: options.dataFile }),
      ...(options.seed === undefined ? {} : { seed: options.seed }),
    });
  const stopped = untilStopped();
  const running = await begin(port).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRINUSE") throw error;
    if (options.anyPort) return begin(0);
    throw new Error(
      `Port ${port} is in use by another program. Choose another with --port (0 takes a free one).`,
    );
  });
  process.send?.({ url: running.url });
  console.log(`The channel simulator listens at ${running.url}. Ctrl-C stops it.`);
  await stopped;
  await running.close();
  if (process.connected) process.disconnect(); // the line to who started us would keep us alive
  return 0;
}

/** A signal, or, when a platform started it, that process's end: the line between them closes, whatever killed it. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
    if (process.send) process.once("disconnect", () => resolve());
  });
}
