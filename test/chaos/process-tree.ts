import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

interface Running {
  pid: number;
  parent: number;
  /** Its command line and, where the system tells it, its working folder. */
  about: string;
}

/** Every process of the machine, as it is now; those that nobody has collected (zombies) are gone already. */
function allProcesses(): readonly Running[] {
  if (process.platform !== "linux") return fromPs();
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        if (state === "Z") return [];
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        return [{ pid: Number(name), parent: Number(parent), about: `${command} in ${folderOf(name)}` }];
      } catch {
        return []; // it ended while it was looked at
      }
    });
}

function folderOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return "?";
  }
}

function fromPs(): readonly Running[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,stat=,command="], { encoding: "utf8" });
  return lines.split("\n").flatMap((line) => {
    const [, pid, parent, state, command] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return pid && !state?.startsWith("Z")
      ? [{ pid: Number(pid), parent: Number(parent), about: command! }]
      : [];
  });
}

/** The process and all that it started, and what those started: PostgreSQL with its backends is among them. */
export function processGroup(pid: number): readonly number[] {
  const all = allProcesses();
  const group = [pid];
  for (const member of group) {
    for (const one of all) if (one.parent === member && !group.includes(one.pid)) group.push(one.pid);
  }
  return group;
}

/** Processes that were started for this folder and still run, ours aside. */
export const processesOf = (folder: string): readonly string[] =>
  allProcesses()
    .filter(({ pid, about }) => pid !== process.pid && about.includes(folder))
    .map(({ pid, about }) => `${pid} ${about.slice(0, 200)}`);

/** A signal that nothing can catch; one that is gone already is fine. */
export function signalAll(pids: readonly number[], signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
