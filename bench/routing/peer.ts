import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";

export interface PeerResult {
  version: string;
  /** Null: it found nothing in time. */
  objective: number | null;
  /** With making the model. */
  ms: number;
}

/** Whether this Python has OR-Tools (`pip install ortools`). */
export const hasOrTools = (python: string): boolean =>
  spawnSync(python, ["-c", "import ortools.sat.python.cp_model"], { stdio: "ignore" }).status === 0;

/** Native OR-Tools on the same instance with the same deadline. */
export function runOrTools(python: string, instance: object, deadlineMs: number, file: string): PeerResult {
  writeFileSync(file, JSON.stringify(instance));
  const script = new URL("./peer.py", import.meta.url).pathname;
  const { status, stdout, stderr } = spawnSync(python, [script, file, String(deadlineMs)], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`OR-Tools failed: ${stderr}`);
  return JSON.parse(stdout) as PeerResult;
}
