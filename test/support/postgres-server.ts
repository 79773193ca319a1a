import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLog } from "../../src/platform/log.ts";
import { createPostgres } from "../../src/platform/postgres.ts";

const folderPrefix = "uoop-test-";

/** Starts a PostgreSQL for tests (no fsync: its data is thrown away) in a temporary folder. */
export async function startTestPostgres(): Promise<{ url: string; stop(): Promise<void> }> {
  sweepOrphans();
  const folder = join(tmpdir(), `${folderPrefix}${process.pid}-${randomBytes(4).toString("hex")}`);
  const postgres = createPostgres({ folder, log: createLog("error"), durable: false });
  await postgres.start();
  const kill = () => {
    if (postgres.pid !== undefined) end(postgres.pid);
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", kill);
  return {
    url: postgres.urlOf("postgres"),
    async stop() {
      await postgres.stop();
      process.off("exit", kill);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Ends servers whose test process was killed before it could. */
function sweepOrphans(): void {
  for (const name of readdirSync(tmpdir()).filter((each) => each.startsWith(folderPrefix))) {
    const owner = Number(name.slice(folderPrefix.length).split("-")[0]);
    if (existsSync(`/proc/${owner}`) || !existsSync("/proc/self")) continue;
    const pidFile = join(tmpdir(), name, "postgres", "postmaster.pid");
    if (existsSync(pidFile)) end(Number(readFileSync(pidFile, "utf8").split("\n")[0]));
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGQUIT");
  } catch {
    // It is gone already.
  }
}
