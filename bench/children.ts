import type { ChildProcess } from "node:child_process";

/** The processes that a bench has started: should it end before it has tidied up, none of them lives on. */
export interface Children {
  add(child: ChildProcess, name: string): void;
  /** PostgreSQL is started by the server and in a process group of its own: it is named by its number. */
  watchPostgres(pid: () => number | undefined): void;
}

export function createChildren(): Children {
  const running = new Set<ChildProcess>();
  let postgres: () => number | undefined = () => undefined;
  process.once("exit", () => {
    for (const child of running) child.kill("SIGKILL");
    const pid = running.size > 0 ? postgres() : undefined;
    if (pid !== undefined) end(pid);
  });
  return {
    add(child) {
      running.add(child);
      child.once("exit", () => running.delete(child));
    },
    watchPostgres(pid) {
      postgres = pid;
    },
  };
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGQUIT");
  } catch {
    // It is gone already.
  }
}
