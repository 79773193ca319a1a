import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { urlOfFolder } from "../src/platform/postgres.ts";
import { type Children, dataFolderOf, postgresPidOf } from "./children.ts";

const main = join(import.meta.dirname, "..", "src", "main.ts");
/** What `uoop start` calls its database. */
const databaseName = "uoop";
const startLimitMs = 120_000;
const stopLimitMs = 60_000;

export interface PlatformOptions {
  children: Children;
  /** Where the data folder is made (the disk that is measured); default: the system's temporary folder. */
  folder?: string;
  /** Settings of the server beside the defaults. */
  env?: Readonly<Record<string, string>>;
}

/** The platform as a user runs it (`uoop start`, PostgreSQL inside, fsync on) on a data folder of its own, and the simulator. */
export interface Platform {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly serverPid: number;
  /** PostgreSQL's first process; undefined while it does not run. */
  postgresPid(): number | undefined;
  readonly simulatorUrl: string;
  readonly simulatorPid: number;
  readonly dataFolder: string;
  readonly databaseUrl: string;
  /** A key with the scope admin. */
  readonly adminKey: string;
  /** Ctrl-C; the simulator lives on. */
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  /** Stops what still runs and throws the data away. */
  close(): Promise<void>;
}

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { children } = options;
  const folder = await mkdtemp(join(options.folder ?? tmpdir(), "uoop-bench-"));
  children.addFolder(folder);
  const dataFolder = dataFolderOf(folder);
  const simulator = await startProgram(
    children,
    { args: ["simulator", "--port", "0", "--data-file", join(folder, "simulator.ndjson")], env: {} },
    /^The channel simulator listens at (\S+?)\. /,
    join(folder, "simulator.log"),
  );
  const env = { DATA_DIR: dataFolder, PORT: "0", EXAMPLE_NETWORK: "off", ...options.env };
  let server: Program | undefined;
  const stopServer = async () => {
    const running = server;
    server = undefined;
    if (running) await running.stop();
  };
  const startServer = async () => {
    server = await startProgram(
      children,
      { args: ["start"], env },
      /^UOOP is running at (\S+)/,
      join(folder, "server.log"),
    );
  };
  try {
    await startServer();
  } catch (error) {
    await simulator.stop();
    throw error;
  }
  return {
    get url() {
      return server!.said;
    },
    get host() {
      return new URL(server!.said).hostname;
    },
    get port() {
      return Number(new URL(server!.said).port);
    },
    get serverPid() {
      return server!.child.pid!;
    },
    postgresPid: () => postgresPidOf(dataFolder),
    simulatorUrl: simulator.said,
    simulatorPid: simulator.child.pid!,
    dataFolder,
    databaseUrl: urlOfFolder(dataFolder, databaseName),
    adminKey: readFileSync(join(dataFolder, "api-key"), "utf8").trim(),
    stopServer,
    startServer,
    async close() {
      await stopServer();
      await simulator.stop();
      await rm(folder, { recursive: true, force: true });
      children.forgetFolder(folder);
    },
  };
}

interface Program {
  child: ChildProcess;
  /** What it was waited for to say. */
  said: string;
  stop(): Promise<void>;
}

/** Starts `uoop …` and waits until a line of its output matches. Throws, with the end of its log, when it ends before. */
export async function startProgram(
  children: Children,
  { args, env }: { args: readonly string[]; env: Readonly<Record<string, string>> },
  pattern: RegExp,
  logFile: string,
): Promise<Program> {
  const child = spawn(process.execPath, [main, ...args], {
    detached: true, // Ctrl-C in a terminal reaches the bench alone, which stops the others in order
    stdio: ["ignore", "pipe", openSync(logFile, "a")],
    env: programEnvironment(env),
  });
  children.add(child);
  const said = await firstMatch(child, pattern, logFile);
  return {
    child,
    said,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGINT");
      const force = setTimeout(() => child.kill("SIGKILL"), stopLimitMs);
      await ended;
      clearTimeout(force);
    },
  };
}

/** Ours, without what would make the program another one. */
function programEnvironment(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const { DATABASE_URL: _url, ROLES: _roles, DATA_DIR: _folder, PORT: _port, ...rest } = process.env;
  return { ...rest, ...env };
}

async function firstMatch(child: ChildProcess, pattern: RegExp, logFile: string): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  const found = new Promise<string>((resolve, reject) => {
    lines.on("line", (line) => {
      const [, value] = pattern.exec(line) ?? [];
      if (value !== undefined) resolve(value);
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      const log = readFileSync(logFile, "utf8").trim().split("\n").slice(-5).join("\n");
      reject(new Error(`uoop ended with code ${code} before it was ready:\n${log}`));
    });
  });
  const late = pause(startLimitMs, undefined, { ref: false }).then(() => {
    throw new Error(`uoop was not ready within ${startLimitMs / 1_000} s; its log is ${logFile}`);
  });
  return Promise.race([found, late]);
}
