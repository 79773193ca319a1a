import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { processGroup, signalAll } from "./process-tree.ts";

export const root = join(import.meta.dirname, "..", "..");
export const main = join(root, "src", "main.ts");

// Recovery replays at most max_wal_size; on a slow disk that and a fast shutdown of a left-over server take their time.
const startTimeoutMs = 120_000;
const stopTimeoutMs = 60_000;

/** A `uoop` command that goes on running, as a child process. */
export interface Program {
  readonly pid: number;
  /** What it printed where it listens. */
  readonly url: string;
  /** Resolves with the exit code (null: a signal ended it) once it is gone. */
  readonly gone: Promise<number | null>;
  /** Asks it to stop, in the end by force; resolves with the exit code. */
  stop(signal: "SIGINT" | "SIGTERM"): Promise<number | null>;
}

const children = new Set<ChildProcess>();

/** Ends at once what was started here and still runs. */
export function killEverything(): void {
  for (const child of children) if (child.pid !== undefined) signalAll(processGroup(child.pid), "SIGKILL");
}

// Should this process end before it has tidied up, what it started must not live on.
process.once("exit", killEverything);

/** Starts `uoop <args>` and waits until it says where it listens. Throws, with the end of its log, when it does not. */
export async function startProgram(options: {
  args: readonly string[];
  nodeArgs?: readonly string[];
  env: NodeJS.ProcessEnv;
  says: RegExp;
  logFile: string;
}): Promise<Program> {
  const { args, nodeArgs = [], env, says, logFile } = options;
  const child = spawn(process.execPath, [...nodeArgs, main, ...args], {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", openSync(logFile, "a")],
    env,
  });
  children.add(child);
  const gone = once(child, "exit").then(([code]) => {
    children.delete(child);
    return code as number | null;
  });
  const url = await sayingWhere(child, says, logFile);
  return {
    pid: child.pid!,
    url,
    gone,
    async stop(signal) {
      child.kill(signal);
      const force = setTimeout(() => signalAll(processGroup(child.pid!), "SIGKILL"), stopTimeoutMs);
      const code = await gone;
      clearTimeout(force);
      return code;
    },
  };
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

/** A port that is free now, so that every start of a program can have the same address. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
