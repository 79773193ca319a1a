import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { processGroup, signalAll } from "./process-tree.ts";

const root = join(import.meta.dirname, "..", "..");
const main = join(root, "src", "main.ts");

// Recovery replays at most max_wal_size; on a slow disk that and a fast shutdown of a left-over server take their time.
const startTimeoutMs = 120_000;
const stopTimeoutMs = 60_000;

/**
 * Whom SIGKILL hits: the main process alone (PostgreSQL lives on), all that it started too, or PostgreSQL alone (the main
 * process lives on). `frozen` and `frozen-postgres` get SIGSTOP instead, and SIGCONT seconds later.
 */
export const victims = ["main", "group", "postgres", "frozen", "frozen-postgres"] as const;
export type Victim = (typeof victims)[number];

/** `uoop start` on a data folder, as a user runs it. */
export interface Platform {
  readonly url: string;
  readonly pid: number;
  /** Resolves once the main process is gone or, where it lives on, the blow is over; `frozenMs` for those that are frozen. */
  hit(victim: Victim, frozenMs: number): Promise<{ gone: boolean }>;
  /** Ctrl-C; resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface PlatformSettings {
  folder: string;
  port: number;
}

const children = new Set<ChildProcess>();

/** Ends at once what was started here and still runs. */
export function killEverything(): void {
  for (const child of children) if (child.pid !== undefined) signalAll(processGroup(child.pid), "SIGKILL");
}

// Should this process end before it has tidied up, what it started must not live on.
process.once("exit", killEverything);

function environmentOf({ folder, port }: PlatformSettings): NodeJS.ProcessEnv {
  const { DATABASE_URL: _none, ROLES: _all, ...environment } = process.env;
  return {
    ...environment,
    // Comparing bookings in the middle of all this must find nothing but what is so.
    RECONCILE_EVERY_SECONDS: "1",
    // Circuits that trouble opens close again within a round: an order may wait for several, one after the other.
    BREAKER_RECOVERY_MS: "5000",
    BREAKER_MONITOR_MS: "1000",
    DATA_DIR: dataOf(folder),
    PORT: String(port),
    EXAMPLE_NETWORK: "off",
    LOG_LEVEL: "info",
  };
}

/** Where the platform keeps its data. */
export const dataOf = (folder: string): string => join(folder, "data");

/** Starts the platform and waits until it says where it listens. Throws, with the end of its log, when it does not. */
export async function startPlatform(settings: PlatformSettings): Promise<Platform> {
  const logFile = join(settings.folder, "platform.log");
  const child = spawn(process.execPath, [main, "start"], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", openSync(logFile, "a")],
    env: environmentOf(settings),
  });
  const exited = track(child);
  const url = await sayingWhere(child, /^UOOP is running at (\S+)/, logFile);
  return {
    url,
    pid: child.pid!,
    async hit(victim, frozenMs) {
      const [self, ...others] = processGroup(child.pid!);
      if (victim === "frozen" || victim === "frozen-postgres") {
        const frozen = victim === "frozen" ? [self!] : others;
        signalAll(frozen, "SIGSTOP");
        await pause(frozenMs);
        signalAll(frozen, "SIGCONT");
        return { gone: false };
      }
      if (victim !== "postgres") signalAll([self!], "SIGKILL");
      if (victim !== "main") signalAll(others, "SIGKILL");
      if (victim !== "postgres") await exited;
      return { gone: victim !== "postgres" };
    },
    async stop() {
      child.kill("SIGINT");
      const force = setTimeout(() => signalAll(processGroup(child.pid!), "SIGKILL"), stopTimeoutMs);
      const [code] = await exited;
      clearTimeout(force);
      return code;
    },
  };
}

/** The channel simulator as a process of its own, which no kill of the platform reaches: the world goes on. */
export interface World {
  readonly url: string;
  stop(): Promise<number | null>;
}

/** `seed` decides which calls are refused, fail or are never answered. */
export async function startWorld(settings: { folder: string; seed: number }): Promise<World> {
  const logFile = join(settings.folder, "simulator.log");
  const file = join(settings.folder, "simulator.ndjson");
  const args = [main, "simulator", "--port", "0", "--data-file", file, "--seed", String(settings.seed)];
  const child = spawn(process.execPath, args, {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", openSync(logFile, "a")],
    env: { ...process.env, LOG_LEVEL: "warn" },
  });
  const exited = track(child);
  const url = await sayingWhere(child, /listens at (\S+?)\. /, logFile);
  return {
    url,
    async stop() {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code;
    },
  };
}

export interface CheckFinding {
  invariant: string;
  name: string;
  checked: number;
  violationCount: number;
  violations: readonly { subject: string; what: string }[];
}

export interface CheckAnswer {
  ok: boolean;
  orders: number;
  findings: readonly CheckFinding[];
  notes: readonly string[];
}

/** `uoop check` with the client's record and the channels' ledger, on the platform that runs. */
export async function runCheck(
  settings: PlatformSettings,
  { acknowledgedFile, ledgerUrl, ended }: { acknowledgedFile: string; ledgerUrl: string; ended: boolean },
): Promise<CheckAnswer> {
  const args = ["check", "--acknowledged", acknowledgedFile, "--ledger", ledgerUrl, "--json"];
  if (ended) args.push("--ended");
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>(
    (resolve) => {
      execFile(
        process.execPath,
        [main, ...args],
        { cwd: root, env: environmentOf(settings), maxBuffer: 64 * 1024 * 1024 },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      );
    },
  );
  if (stdout.trim() === "") throw new Error(`uoop check ended with code ${code}: ${stderr.slice(-2_000)}`);
  const answer = JSON.parse(stdout) as CheckAnswer;
  if (answer.ok !== (code === 0))
    throw new Error(`uoop check says ok: ${answer.ok}, and ended with code ${code}`);
  return answer;
}

function track(child: ChildProcess): Promise<[code: number | null, signal: string | null]> {
  children.add(child);
  return once(child, "exit").then((how) => {
    children.delete(child);
    return how as [number | null, string | null];
  });
}

/** The address that the program prints; what it prints after that is read and dropped, so that it never blocks on us. */
function sayingWhere(child: ChildProcess, pattern: RegExp, logFile: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (what: string) => {
      clearTimeout(limit);
      reject(new Error(`${what}. The end of ${logFile}:\n${readFileSync(logFile, "utf8").slice(-2_000)}`));
    };
    const limit = setTimeout(() => fail("It did not start in time"), startTimeoutMs);
    child.once("error", reject);
    child.once("exit", (code, signal) => fail(`It ended at once (${signal ?? `code ${code}`})`));
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const found = pattern.exec(line);
      if (!found) return;
      clearTimeout(limit);
      resolve(found[1]!);
    });
  });
}

/** A port that is free now, so that every start of the platform can have the same address. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
