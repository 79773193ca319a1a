import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Children } from "../children.ts";
import type { FromLoad, Progress, RunPlan, RunResult, ToLoad } from "./plan.ts";

export interface RunWatcher {
  onBegan?(): void;
  onEnded?(): void;
  onProgress?(progress: Progress): void;
}

/** The load generator, as whoever steers it sees it. */
export interface Load {
  readonly pid: number;
  /** Runs a plan to its end; several may run at once. Throws when the run could not be made. */
  run(plan: RunPlan, watcher?: RunWatcher): Promise<RunResult>;
  stop(): Promise<void>;
}

interface Running extends RunWatcher {
  resolve(result: RunResult): void;
  reject(error: Error): void;
}

/** Starts the load process. */
export async function startLoad(children: Children): Promise<Load> {
  const child = fork(join(import.meta.dirname, "main.ts"), {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  children.add(child);
  const runs = new Map<string, Running>();
  child.on("message", (message: FromLoad) => hear(message, runs));
  child.once("exit", (code, signal) => {
    for (const run of runs.values())
      run.reject(new Error(`The load generator ended in the middle of a run (${signal ?? `code ${code}`}).`));
  });
  await once(child, "message");
  return {
    pid: child.pid!,
    run: (plan, watcher = {}) =>
      new Promise((resolve, reject) => {
        runs.set(plan.id, { ...watcher, resolve, reject });
        tell(child, { run: plan });
      }),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      tell(child, { stop: true });
      await ended;
    },
  };
}

const tell = (child: ChildProcess, message: ToLoad): void => void child.send(message);

function hear(message: FromLoad, runs: Map<string, Running>): void {
  if ("ready" in message) return;
  if ("began" in message) runs.get(message.began)?.onBegan?.();
  else if ("ended" in message) runs.get(message.ended)?.onEnded?.();
  else if ("progress" in message) runs.get(message.progress.id)?.onProgress?.(message.progress);
  else if ("result" in message) take(runs, message.result.id)?.resolve(message.result);
  else take(runs, message.failed)?.reject(new Error(`The load could not be sent: ${message.why}`));
}

function take(runs: Map<string, Running>, id: string): Running | undefined {
  const run = runs.get(id);
  runs.delete(id);
  return run;
}
