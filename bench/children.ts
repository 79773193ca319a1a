import type { ChildProcess } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** What a bench has started and made: should it end before it has tidied up, nothing of it stays. */
export interface Children {
  add(child: ChildProcess): void;
  /** A temporary folder; a PostgreSQL that runs on the data folder `data` in it is ended too. */
  addFolder(folder: string): void;
  /** It has been removed. */
  forgetFolder(folder: string): void;
}

/** The data folder in a bench's temporary folder. */
export const dataFolderOf = (folder: string): string => join(folder, "data");

export function createChildren(): Children {
  const running = new Set<ChildProcess>();
  const folders = new Set<string>();
  process.once("exit", () => {
    for (const child of running) child.kill("SIGKILL");
    for (const folder of folders) {
      const pid = postgresPidOf(dataFolderOf(folder));
      if (pid !== undefined) end(pid);
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }
  });
  return {
    add(child) {
      running.add(child);
      child.once("exit", () => running.delete(child));
    },
    addFolder: (folder) => void folders.add(folder),
    forgetFolder: (folder) => void folders.delete(folder),
  };
}

/** The first process of the PostgreSQL on this data folder; undefined while there is none. */
export function postgresPidOf(dataFolder: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(dataFolder, "postgres", "postmaster.pid"), "utf8").split("\n")[0]);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGQUIT");
  } catch {
    // It is gone already.
  }
}
