import { readdirSync, readFileSync } from "node:fs";

/** CPU time is counted by the kernel in hundredths of a second. */
const microsPerTick = 10_000;

interface Stat {
  pid: number;
  parent: number;
  name: string;
  micros: number;
  /** Of children that have ended and were waited for. */
  childrenMicros: number;
}

function readStat(path: string): Stat | null {
  try {
    const text = readFileSync(path, "utf8");
    const nameEnd = text.lastIndexOf(")");
    const fields = text.slice(nameEnd + 2).split(" ");
    const ticks = (index: number) => Number(fields[index]);
    return {
      pid: Number(text.slice(0, text.indexOf(" "))),
      parent: ticks(1),
      name: text.slice(text.indexOf("(") + 1, nameEnd),
      micros: (ticks(11) + ticks(12)) * microsPerTick,
      childrenMicros: (ticks(13) + ticks(14)) * microsPerTick,
    };
  } catch {
    return null; // it ended meanwhile
  }
}

/** CPU time of a process and all its threads, microseconds since it began. */
export const cpuOf = (pid: number): number => readStat(`/proc/${pid}/stat`)?.micros ?? 0;

/** CPU time of its main thread (in Node: the event loop) alone. */
export const mainThreadCpuOf = (pid: number): number =>
  readStat(`/proc/${pid}/task/${pid}/stat`)?.micros ?? 0;

export interface PostgresCpu {
  total: number;
  /** By what the process does: `backend`, `walwriter`, `checkpointer`, `io worker`… */
  byKind: Readonly<Record<string, number>>;
}

/** CPU time of a PostgreSQL: its first process, all its children, and those that have ended. Microseconds. */
export function postgresCpu(postmaster: number): PostgresCpu {
  const byKind: Record<string, number> = {};
  const add = (kind: string, micros: number) => {
    byKind[kind] = (byKind[kind] ?? 0) + micros;
  };
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(`/proc/${name}/stat`);
    if (stat === null) continue;
    if (stat.pid === postmaster) {
      add("postmaster", stat.micros);
      add("ended", stat.childrenMicros);
    } else if (stat.parent === postmaster) add(kindOf(name), stat.micros);
  }
  const total = Object.values(byKind).reduce((sum, micros) => sum + micros, 0);
  return { total, byKind };
}

/** Of `postgres: uoop uoop [local] idle` and `postgres: walwriter`: the role; a client's process is a backend. */
function kindOf(pid: string): string {
  try {
    const title = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    const role = /^postgres: (.*?)\s*$/.exec(title)?.[1] ?? "backend";
    return role.includes("[local]")
      ? "backend"
      : role.replace(/ (\S+|\d+)$/, (end) => (/\d/.test(end) ? "" : end));
  } catch {
    return "backend";
  }
}

export interface Memory {
  residentMiB: number;
  peakMiB: number;
}

/** Resident memory of a process now, and the most that it has had. */
export function memoryOf(pid: number): Memory {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const mebi = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1_024;
    return { residentMiB: mebi("VmRSS"), peakMiB: mebi("VmHWM") };
  } catch {
    return { residentMiB: 0, peakMiB: 0 };
  }
}

/** What a PostgreSQL has in memory: its processes share most of it, so shares are added up. MiB. */
export function postgresMemory(postmaster: number): number {
  let kibi = 0;
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(`/proc/${name}/stat`);
    if (stat === null || (stat.pid !== postmaster && stat.parent !== postmaster)) continue;
    try {
      const rollup = readFileSync(`/proc/${name}/smaps_rollup`, "utf8");
      kibi += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
    } catch {
      // It ended meanwhile, or belongs to a user that we may not look at.
    }
  }
  return kibi / 1_024;
}
