import { readFileSync } from "node:fs";
import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const heartbeatMs = 5_000;
/** A holder on another machine (a shared disk, a container that is gone) can only be judged by its heartbeat. */
const foreignStaleMs = 30_000;
/** After taking over a dead holder's lock: time for a rival that saw the same to show up. */
const settleMs = 100;

interface Holder {
  pid: number;
  host: string;
  /** Of the process, from the kernel: tells it from a later one that was given the same number. */
  startedAt: string;
  command: string;
}

export interface DataLock {
  release(): Promise<void>;
}

/** Who holds the folder: the message is for a person. */
export class DataFolderHeld extends Error {
  readonly pid: number;

  constructor(folder: string, holder: Holder) {
    const where = holder.host === hostname() ? "" : ` on ${holder.host}`;
    super(
      `The data folder ${folder} is in use by "uoop ${holder.command}" (process ${holder.pid}${where}). Stop that one first, or set DATA_DIR to another folder.`,
    );
    this.name = "DataFolderHeld";
    this.pid = holder.pid;
  }
}

/**
 * Takes the data folder for this process; throws DataFolderHeld while a living process has it. The lock of a dead one
 * is taken over, also when its process number has been given to another since.
 */
export async function lockDataFolder(folder: string, command: string): Promise<DataLock> {
  const path = join(folder, "lock");
  const mine = JSON.stringify({
    pid: process.pid,
    host: hostname(),
    startedAt: processStart(process.pid),
    command,
  } satisfies Holder);
  const ours = join(folder, `lock.${process.pid}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(ours, mine);
  } catch (cause) {
    throw new Error(
      `The data folder ${folder} can't be written (${(cause as Error).message}). Set DATA_DIR to another one.`,
      { cause },
    );
  }
  try {
    let tookOver = false;
    while (!(await tryLink(ours, path))) {
      const found = await readHolder(path);
      if (found && (await isAlive(found.holder, path))) throw new DataFolderHeld(folder, found.holder);
      if (found) await removeStale(path, found.text, folder);
      tookOver = true;
    }
    if (tookOver) {
      await pause(settleMs);
      const found = await readHolder(path);
      if (found && found.text !== mine) throw new DataFolderHeld(folder, found.holder);
    }
  } finally {
    await rm(ours, { force: true });
  }
  const heartbeat = setInterval(
    () => void utimes(path, new Date(), new Date()).catch(() => undefined),
    heartbeatMs,
  );
  heartbeat.unref();
  return {
    async release() {
      clearInterval(heartbeat);
      const found = await readHolder(path);
      if (found?.text === mine) await rm(path, { force: true });
    },
  };
}

/** Whether a living process holds the folder. */
export async function isFolderHeld(folder: string): Promise<boolean> {
  const path = join(folder, "lock");
  const found = await readHolder(path);
  return found !== null && (await isAlive(found.holder, path));
}

/** A link is made whole or not at all, and never over one that is there. */
async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function readHolder(path: string): Promise<{ holder: Holder; text: string } | null> {
  try {
    const text = await readFile(path, "utf8");
    return { holder: JSON.parse(text) as Holder, text };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    if (error instanceof SyntaxError)
      return { holder: { pid: 0, host: hostname(), startedAt: "", command: "" }, text: "" };
    throw error;
  }
}

/** Moves the dead holder's lock away; what turns out to be a rival's new lock is put back. */
async function removeStale(path: string, staleText: string, folder: string): Promise<void> {
  const aside = join(folder, `lock.stale.${process.pid}`);
  try {
    await rename(path, aside);
  } catch {
    return; // a rival was faster
  }
  if (staleText !== "" && (await readFile(aside, "utf8")) !== staleText) await tryLink(aside, path);
  await rm(aside, { force: true });
}

async function isAlive(holder: Holder, path: string): Promise<boolean> {
  if (holder.host !== hostname()) {
    const { mtimeMs } = await stat(path);
    return Date.now() - mtimeMs < foreignStaleMs;
  }
  if (!Number.isInteger(holder.pid) || holder.pid <= 0) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  return processStart(holder.pid) === holder.startedAt;
}

/** Linux: boot and clock tick at which the process started; elsewhere unknown, so that the number alone decides. */
function processStart(pid: number): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
    const isZombie = fields[0] === "Z"; // dead, only not yet collected by its parent
    return isZombie ? "" : `${boot}.${fields[19]}`;
  } catch {
    return "";
  }
}
