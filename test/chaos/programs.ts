import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { processGroup, signalAll } from "./process-tree.ts";
import { freePort, main, type Program, root, startProgram } from "./program.ts";
import type { Blow } from "./victims.ts";

/** What a blow left behind: everything that was gone runs again, or is being started by what watches over it. */
export interface Struck {
  /** From then on the recovery counts: the kill, the thaw, the new start. */
  recoversFromMs: number;
  /** From SIGKILL of an owner until its orders moved again; null: it owned none, or nobody was killed. */
  takeoverMs: number | null;
  /** The blow could not be dealt; why. */
  skipped?: string;
}

/** The platform of a run: one process with its PostgreSQL, or several on one. */
export interface Platform {
  /** Where its processes listen. */
  readonly urls: readonly string[];
  /** One address for who knows only one: of the process, or of a balancer before several. */
  readonly url: string;
  readonly keyFile: string;
  /** The channels' address as the platform is to know it. */
  channelsAt(worldUrl: string): Promise<string>;
  /** Resolves once the blow is over. */
  strike(blow: Blow): Promise<Struck>;
  /** `uoop check` on the database, while it runs. */
  check(options: CheckOptions): Promise<CheckAnswer>;
  /** What it did that it should not have: processes that ended by themselves. */
  readonly wrong: readonly string[];
  /** Stops it; resolves with every program's exit code. */
  stop(): Promise<Readonly<Record<string, number | null>>>;
}

/** The environment of a `uoop` command of the run; what the caller's own shell sets is left out. */
export function environmentOf(settings: { dataDir: string; port?: number; databaseUrl?: string }) {
  const { DATABASE_URL: _none, ROLES: _all, ...environment } = process.env;
  return {
    ...environment,
    // Comparing bookings in the middle of all this must find nothing but what is so.
    RECONCILE_EVERY_SECONDS: "1",
    // Circuits that trouble opens close again within a round: an order may wait for several, one after the other.
    BREAKER_RECOVERY_MS: "5000",
    BREAKER_MONITOR_MS: "1000",
    DATA_DIR: settings.dataDir,
    ...(settings.port === undefined ? {} : { PORT: String(settings.port) }),
    ...(settings.databaseUrl === undefined ? {} : { DATABASE_URL: settings.databaseUrl }),
    EXAMPLE_NETWORK: "off",
    LOG_LEVEL: "info",
  };
}

export const runningAt = /^UOOP is running at (\S+)/;

/** `uoop start` on a data folder with its embedded PostgreSQL, as a user runs it. */
export async function startSingle(folder: string): Promise<Platform> {
  const dataDir = join(folder, "data");
  const env = environmentOf({ dataDir, port: await freePort() });
  const logFile = join(folder, "platform.log");
  const start = () => startProgram({ args: ["start"], env, says: runningAt, logFile });
  let program: Program = await start();
  return {
    url: program.url,
    urls: [program.url],
    keyFile: join(dataDir, "api-key"),
    channelsAt: async (worldUrl) => worldUrl,
    wrong: [],
    async strike({ victim, lastingMs }) {
      const [self, ...others] = processGroup(program.pid);
      if (victim === "frozen" || victim === "frozen-postgres") {
        await freeze(victim === "frozen" ? [self!] : others, lastingMs);
        return { recoversFromMs: Date.now(), takeoverMs: null };
      }
      const recoversFromMs = Date.now();
      if (victim !== "postgres") signalAll([self!], "SIGKILL");
      if (victim !== "main") signalAll(others, "SIGKILL");
      if (victim !== "postgres") {
        await program.gone;
        program = await start();
      }
      return { recoversFromMs, takeoverMs: null };
    },
    check: (options) => runCheck(env, options),
    stop: async () => ({ platform: await program.stop("SIGINT") }),
  };
}

/** SIGSTOP, and SIGCONT after so long. */
export async function freeze(pids: readonly number[], lastingMs: number): Promise<void> {
  signalAll(pids, "SIGSTOP");
  await pause(lastingMs);
  signalAll(pids, "SIGCONT");
}

/** The channel simulator as a process of its own, which no kill of the platform reaches: the world goes on. */
export interface World {
  readonly url: string;
  stop(): Promise<number | null>;
}

/** `seed` decides which calls are refused, fail or are never answered. */
export async function startWorld(settings: { folder: string; seed: number }): Promise<World> {
  const file = join(settings.folder, "simulator.ndjson");
  const program = await startProgram({
    args: ["simulator", "--port", "0", "--data-file", file, "--seed", String(settings.seed)],
    env: { ...process.env, LOG_LEVEL: "warn" },
    says: /listens at (\S+?)\. /,
    logFile: join(settings.folder, "simulator.log"),
  });
  return { url: program.url, stop: () => program.stop("SIGTERM") };
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

export interface CheckOptions {
  acknowledgedFile: string;
  ledgerUrl: string;
  ended: boolean;
}

/** `uoop check` with the client's record and the channels' ledger, on the platform that runs. */
export async function runCheck(
  env: NodeJS.ProcessEnv,
  { acknowledgedFile, ledgerUrl, ended }: CheckOptions,
): Promise<CheckAnswer> {
  const args = ["check", "--acknowledged", acknowledgedFile, "--ledger", ledgerUrl, "--json"];
  if (ended) args.push("--ended");
  const { code, stdout, stderr } = await new Promise<{ code: number; stdout: string; stderr: string }>(
    (resolve) => {
      execFile(
        process.execPath,
        [main, ...args],
        { cwd: root, env, maxBuffer: 64 * 1024 * 1024 },
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
