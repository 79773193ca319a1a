import type { FastifyInstance } from "fastify";
import { Agent } from "undici";
import { type Clock, systemClock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import { claimFile } from "./claim.ts";
import { controlRoutes } from "./control-routes.ts";
import { createCooking } from "./cooking.ts";
import { openJournal, readJournal } from "./journal.ts";
import type { Entry } from "./judge.ts";
import { createLedger } from "./ledger.ts";
import { protocolRoutes } from "./protocol-routes.ts";
import { createReporter } from "./reporter.ts";
import { createServer } from "./server.ts";
import { type ChannelSettings, createSettings, type Platform } from "./settings.ts";
import { createStaff } from "./staff.ts";

export interface SimulatorOptions {
  /** 0 takes a free one. Listens on 127.0.0.1 only. */
  port: number;
  /** What it remembers over a restart (bookings, settings, place in the event stream); without it nothing. */
  dataFile?: string;
  log: Log;
  /** The same seed gives each channel the same sequence of accidents. */
  seed?: number;
  clock?: Clock;
}

export interface Simulator {
  /** `http://127.0.0.1:<port>`: channel endpoints are `{url}/channels/{id}`, members' `{url}/channels/{id}/partners/{partner}`. */
  url: string;
  close(): Promise<void>;
}

type Line = { entry: Entry } | { platform: Platform } | { channel: ChannelSettings } | { position: string };

/**
 * The world outside the platform, as one HTTP server: partners and networks that speak docs/channel-protocol.md, and
 * the staff of kitchens and dark stores. docs/channel-protocol.md says how to steer it. Throws when the port is taken.
 */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { log, clock = systemClock, seed = 1 } = options;
  const release = options.dataFile === undefined ? undefined : await claimFile(options.dataFile);
  const restored = restore(readJournal<Line>(options.dataFile, log), seed);
  const journal = await openJournal<Line>(options.dataFile, restored.lines);
  const closeFile = async () => {
    await journal.close();
    await release?.();
  };
  const dispatcher = new Agent({ connections: 64, pipelining: 1 });

  const { settings } = restored;
  const ledger = createLedger(clock, restored.entries, (entry) => journal.append({ entry }));
  const reporter = createReporter({ dispatcher, clock, log, settings });
  const cooking = createCooking({ clock, log, settings, ledger, reporter });
  const remember = (position: string) => journal.append({ position });
  const staff = createStaff({
    dispatcher,
    clock,
    log,
    ledger,
    cooking,
    position: restored.position,
    remember,
  });

  const server = createServer(log);
  await server.register(async (scope) => protocolRoutes(scope, { clock, settings, ledger, cooking }));
  await server.register(async (scope) =>
    controlRoutes(scope, {
      settings,
      ledger,
      cooking,
      reporter,
      staff,
      rememberPlatform: (platform) => journal.append({ platform }),
      rememberChannel: (channel) => journal.append({ channel }),
    }),
  );
  const url = await listen(server, options.port, closeFile);
  for (const channel of settings.channels()) cooking.resume(channel.settings.id);
  if (settings.platform) staff.listen(settings.platform);

  return {
    url,
    async close() {
      staff.close();
      cooking.close();
      reporter.close();
      await server.close();
      await dispatcher.destroy();
      await closeFile();
    },
  };
}

async function listen(server: FastifyInstance, port: number, undo: () => Promise<void>): Promise<string> {
  try {
    return await server.listen({ host: "127.0.0.1", port });
  } catch (error) {
    await undo();
    throw error;
  }
}

/** What the lines come to, and as many lines as are needed to say it. */
function restore(lines: readonly Line[], seed: number) {
  const settings = createSettings(seed);
  const entries = new Map<number, Entry>();
  let position: string | undefined;
  for (const line of lines) {
    if ("entry" in line) entries.set(line.entry.seq, line.entry);
    else if ("platform" in line) settings.platform = line.platform;
    else if ("channel" in line) settings.put(line.channel);
    else if ("position" in line) position = line.position;
  }
  const kept: Line[] = [...entries.values()].map((entry) => ({ entry }));
  for (const channel of settings.channels()) kept.push({ channel: channel.settings });
  if (settings.platform) kept.push({ platform: settings.platform });
  if (position !== undefined) kept.push({ position });
  return { settings, entries: [...entries.values()], position, lines: kept };
}
