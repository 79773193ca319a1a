import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { CapacityApi } from "../capacity/api.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";
import { allChannels } from "./example-network.ts";

const stopTimeoutMs = 5_000;
const startTimeoutMs = 20_000;
const retryPauseMs = 500;
const maxWaitForPortMs = 2_000;

/** What the child says once it listens. */
export interface SimulatorHello {
  url: string;
}

export interface SimulatorProcess extends Service {
  /** Where it listens; it may have had to take another port than the one asked for. */
  url(): string;
  /** Ends it at once. */
  kill(): void;
  /** Tells it where the platform is and the secret of every channel, so that it can answer, cook and report. */
  introduce(platform: { url: string; apiKey: string; capacity: CapacityApi }): Promise<void>;
}

/** The channel simulator (`uoop simulator`) as a process of its own: the world's side. It ends when we do. */
export function createSimulatorProcess(options: {
  port: number;
  dataFile: string;
  log: Log;
}): SimulatorProcess {
  const { log } = options;
  let child: ChildProcess | undefined;
  let url = "";
  let stopped = true;
  let introduceAgain: (() => Promise<void>) | undefined;

  async function launch(port: number, ...more: readonly string[]): Promise<void> {
    const main = join(import.meta.dirname, "..", "main.ts");
    const args = [main, "simulator", "--port", String(port), "--data-file", options.dataFile, ...more];
    // Its own process group, so that Ctrl-C reaches us alone: it is ended after the platform has drained.
    const started = spawn(process.execPath, args, {
      detached: true,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    child = started;
    url = await firstWords(started);
    started.once("exit", (code, signal) => {
      if (stopped || child !== started) return;
      log.error({ code, signal }, "the channel simulator ended by itself; starting it again");
      void relaunch();
    });
  }

  async function relaunch(): Promise<void> {
    const port = Number(new URL(url).port); // the same: channels' endpoints name it
    await untilDone("the channel simulator could not be started again", () => launch(port));
    // A new one must be told again; the database that knows the secrets may be away just now.
    await untilDone("the channel simulator could not be introduced", async () => introduceAgain?.());
  }

  async function untilDone(failure: string, work: () => Promise<void>): Promise<void> {
    while (!stopped) {
      try {
        await work();
        return;
      } catch (error) {
        if (stopped) return;
        log.error({ err: error }, `${failure}; trying on`);
        await pause(retryPauseMs);
      }
    }
  }

  return {
    name: "simulator",
    async start() {
      stopped = false;
      // One that a killed platform left behind ends by itself within moments; until then it holds port and data file.
      await untilFree(options.port);
      await launch(options.port, "--any-port");
    },
    async stop() {
      stopped = true;
      const running = child;
      child = undefined;
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      const ended = new Promise<void>((resolve) => running.once("exit", () => resolve()));
      running.kill("SIGTERM");
      const force = setTimeout(() => running.kill("SIGKILL"), stopTimeoutMs);
      await ended;
      clearTimeout(force);
    },
    kill() {
      stopped = true;
      child?.kill("SIGKILL");
    },
    url: () => url,
    async introduce({ url: platformUrl, apiKey, capacity }) {
      introduceAgain = async () => {
        await put(`${url}/control/platform`, { url: platformUrl, apiKey });
        for (const { id } of await allChannels(capacity)) {
          const secret = await capacity.callbackSecret(id);
          if (secret !== null) await put(`${url}/control/channels/${id}`, { secret });
        }
      };
      await introduceAgain();
    },
  };
}

/** Waits a short while for the port; one that stays taken belongs to another program. */
async function untilFree(port: number): Promise<void> {
  const giveUpAt = performance.now() + maxWaitForPortMs;
  while (!(await isFree(port)) && performance.now() < giveUpAt) await pause(50);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

function firstWords(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const give = (settle: () => void) => {
      clearTimeout(limit);
      child.off("exit", died);
      settle();
    };
    const died = (code: number | null) =>
      give(() => reject(new Error(`The channel simulator ended at once (code ${code}).`)));
    const limit = setTimeout(() => {
      child.kill("SIGKILL");
      give(() => reject(new Error("The channel simulator did not start in time.")));
    }, startTimeoutMs);
    child.once("exit", died);
    child.once("error", (error) => give(() => reject(error)));
    child.once("message", (message) => give(() => resolve((message as SimulatorHello).url)));
  });
}

async function put(url: string, body: unknown): Promise<void> {
  const response = await fetch(url, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok)
    throw new Error(`The channel simulator answered ${response.status} to ${url}: ${await response.text()}`);
}
