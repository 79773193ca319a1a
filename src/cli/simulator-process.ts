import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { CapacityApi } from "../capacity/api.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";
import { allChannels } from "./example-network.ts";

const stopTimeoutMs = 5_000;
const startTimeoutMs = 20_000;
const restartPauseMs = 1_000;

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

  async function launch(port: number): Promise<void> {
    const main = join(import.meta.dirname, "..", "main.ts");
    const args = [main, "simulator", "--port", String(port), "--data-file", options.dataFile, "--any-port"];
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
    const port = Number(new URL(url).port);
    while (!stopped) {
      try {
        await launch(port);
        await introduceAgain?.();
        return;
      } catch (error) {
        log.error({ err: error }, "the channel simulator could not be started again; trying on");
        await new Promise((resolve) => setTimeout(resolve, restartPauseMs));
      }
    }
  }

  return {
    name: "simulator",
    async start() {
      stopped = false;
      await launch(options.port);
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
