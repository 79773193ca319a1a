import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import type { Log } from "./log.ts";
import { endLeftovers, hasEnded, type Launcher, launcherFor, type PostgresUser } from "./postgres-process.ts";
import type { Service } from "./service.ts";

const majorVersion = "18";
const superuser = "uoop";
const port = 5432; // names the socket only: nothing listens on TCP

/** Crash recovery replays at most max_wal_size; a database that has said nothing for this long is not coming. */
const readyTimeoutMs = 600_000;
const fastStopTimeoutMs = 30_000;
const restartPauseMs = 500;
const maxLogBytes = 8_000_000;

export interface PostgresOptions {
  /** Holds `postgres` (data), `run` (socket) and `postgres.log`. */
  folder: string;
  log: Log;
  /** false: no fsync, for tests whose data nobody needs after a crash. */
  durable?: boolean;
}

/** PostgreSQL 18 as a child process, on a Unix socket that only this user may enter (no port, no password, faster than TCP). */
export interface EmbeddedPostgres extends Service {
  /** Connection URL of a database of this server. */
  urlOf(database: string): string;
  /** The server's process; undefined while it is not running. */
  readonly pid: number | undefined;
}

/** An eighth of the memory: random inserts (keys, customers) of many stored orders stay in it. */
const sharedBuffersMiB = (memoryBytes: number): number =>
  Math.round(Math.min(2_048, Math.max(128, memoryBytes / 8 / 2 ** 20)));

const settings = (durable: boolean, socketFolder: string): readonly string[] => {
  const values: Record<string, string> = {
    listen_addresses: "",
    unix_socket_directories: socketFolder,
    unix_socket_permissions: "0700",
    max_connections: "100",
    shared_buffers: `${sharedBuffersMiB(totalmem())}MB`,
    effective_cache_size: "1GB",
    work_mem: "16MB",
    maintenance_work_mem: "128MB",
    random_page_cost: "1.1",
    // Durable commits are the product; a whole page per first change after a checkpoint is what they cost most.
    fsync: durable ? "on" : "off",
    full_page_writes: durable ? "on" : "off",
    synchronous_commit: durable ? "on" : "off",
    wal_buffers: "16MB",
    max_wal_size: "4GB",
    min_wal_size: durable ? "256MB" : "80MB",
    checkpoint_timeout: "15min",
    // Hot tables (outbox, allotments) die young: look after them more often than the default minute.
    autovacuum_naptime: "5s",
    timezone: "UTC",
    log_timezone: "UTC",
    lc_messages: "C",
    log_checkpoints: "off",
    log_min_messages: "warning",
    // A statement's error is told by whoever sent it, with its parameters left out.
    log_min_error_statement: "panic",
  };
  return Object.entries(values).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
};

/** Where the socket is: in the folder, or, when that path is too long for a socket (107 bytes), in the temporary folder. */
export function socketFolderOf(folder: string): string {
  const near = join(folder, "run");
  if (Buffer.byteLength(join(near, `.s.PGSQL.${port}.lock`)) <= 100) return near;
  return join(tmpdir(), `uoop-${createHash("sha256").update(folder).digest("hex").slice(0, 12)}`);
}

/** Connection URL of a database of the server in `folder`, whether it runs or not. */
export const urlOfFolder = (folder: string, database: string): string =>
  `postgresql://${superuser}@/${database}?host=${encodeURIComponent(socketFolderOf(folder))}&port=${port}`;

/**
 * Starts PostgreSQL on the data in `folder`, made when new. What an earlier, killed process left running there is shut
 * down first; then PostgreSQL recovers what was committed. Should the server die, it is started again. Throws a
 * sentence when the data is of another version or can't be used.
 */
export function createPostgres(options: PostgresOptions): EmbeddedPostgres {
  const { folder, log, durable = true } = options;
  const dataFolder = join(folder, "postgres");
  const socketFolder = socketFolderOf(folder);
  let child: ChildProcess | undefined;
  let stopping = false;
  let relaunching: Promise<void> = Promise.resolve();

  async function launch(): Promise<void> {
    const launcher = await launcherFor(folder);
    await prepareFolders(folder, socketFolder, launcher.user);
    await endLeftovers(dataFolder, socketFolder, log);
    await initialise(dataFolder, launcher);
    const output = await openLog(join(folder, "postgres.log"));
    const [command, args] = launcher.command("postgres", [
      "-D",
      dataFolder,
      "-p",
      String(port),
      ...settings(durable, socketFolder),
    ]);
    // Its own process group: Ctrl-C in a terminal reaches us alone, and we stop it after what writes to it.
    const started = spawn(command, args, {
      detached: true,
      stdio: ["ignore", output.fd, output.fd],
      cwd: folder,
      ...launcher.ids,
    });
    child = started;
    try {
      await readiness(started, urlOfFolder(folder, "postgres"), join(folder, "postgres.log"));
    } catch (error) {
      child = undefined;
      started.kill("SIGQUIT");
      throw error;
    } finally {
      await output.close();
    }
    started.unref();
    started.once("exit", (code, signal) => {
      relaunching = relaunch(started, code, signal);
    });
  }

  async function relaunch(ended: ChildProcess, code: number | null, signal: string | null): Promise<void> {
    if (stopping || child !== ended) return;
    child = undefined;
    log.error({ code, signal }, "PostgreSQL ended by itself; starting it again");
    while (!stopping) {
      try {
        await launch();
        return;
      } catch (error) {
        log.error({ err: error }, "PostgreSQL could not be started again; trying on");
        await pause(restartPauseMs);
      }
    }
  }

  return {
    name: "postgres",
    async start() {
      stopping = false;
      await launch();
    },
    async stop() {
      stopping = true;
      await relaunching; // so that none is started behind our back
      const running = child;
      child = undefined;
      if (!running || running.exitCode !== null || running.signalCode !== null) return;
      // Fast shutdown: open transactions are rolled back, a checkpoint is written, the next start has nothing to replay.
      running.kill("SIGINT");
      if (await hasEnded(running, fastStopTimeoutMs)) return;
      log.warn("PostgreSQL does not shut down; ending it at once (it recovers at the next start)");
      running.kill("SIGQUIT");
      if (!(await hasEnded(running, 5_000))) running.kill("SIGKILL");
    },
    urlOf: (database) => urlOfFolder(folder, database),
    get pid() {
      return child?.pid;
    },
  };
}

async function prepareFolders(
  folder: string,
  socketFolder: string,
  user: PostgresUser | null,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await mkdir(socketFolder, { recursive: true, mode: 0o700 });
  const owner = (await stat(socketFolder)).uid;
  const ours = process.getuid?.() ?? owner;
  if (owner !== ours && owner !== user?.uid) {
    throw new Error(
      `The folder ${socketFolder}, where PostgreSQL's socket goes, belongs to another user. Set DATA_DIR to a shorter path.`,
    );
  }
  await chmod(socketFolder, 0o700);
  if (user) await chown(socketFolder, user.uid, user.gid);
}

/** Makes the data folder, whole or not at all: a start that is killed half-way leaves only `postgres.new`. */
async function initialise(dataFolder: string, launcher: Launcher): Promise<void> {
  if (existsSync(join(dataFolder, "PG_VERSION"))) {
    const found = (await readFile(join(dataFolder, "PG_VERSION"), "utf8")).trim();
    if (found === majorVersion) return;
    throw new Error(
      `The data in ${dataFolder} was made by PostgreSQL ${found}, and this release brings PostgreSQL ${majorVersion}. ` +
        "Move the folder away to begin anew, or dump it with its own version and restore it into a database named by DATABASE_URL.",
    );
  }
  const fresh = `${dataFolder}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  if (launcher.user) await chown(fresh, launcher.user.uid, launcher.user.gid);
  const [command, args] = launcher.command("initdb", [
    `--pgdata=${fresh}`,
    `--username=${superuser}`,
    "--auth=trust", // over a socket that only this user may enter
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--no-instructions",
  ]);
  const initdb = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    cwd: dataFolder.replace(/[^/]+$/, ""),
    ...launcher.ids,
  });
  let said = "";
  for (const stream of [initdb.stdout, initdb.stderr])
    stream?.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    initdb.once("error", reject);
    initdb.once("close", resolve);
  });
  if (code !== 0)
    throw new Error(`PostgreSQL could not make its data folder ${dataFolder}: ${said.trim().slice(-2_000)}`);
  await rm(dataFolder, { recursive: true, force: true });
  await rename(fresh, dataFolder);
}

/** Appends to the log; one that has grown large is kept once, beside it. */
async function openLog(path: string) {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > maxLogBytes) await rename(path, `${path}.1`);
  const handle = await open(path, "a");
  await chmod(path, 0o600);
  return handle;
}

/** Waits until the server answers a query; while it says that it is recovering, that may take long. */
async function readiness(server: ChildProcess, url: string, logPath: string): Promise<void> {
  let failure: Error | undefined;
  server.once("error", (error) => (failure = error));
  server.once("exit", (code, signal) => (failure ??= new Error(`it ended with ${signal ?? `code ${code}`}`)));
  const giveUpAt = Date.now() + readyTimeoutMs;
  while (!failure && Date.now() < giveUpAt) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
    client.on("error", () => undefined);
    try {
      await client.connect();
      await client.query("select 1");
      return;
    } catch {
      await pause(20);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
  const lines = (await readFile(logPath, "utf8").catch(() => "")).trim().split("\n").slice(-5).join("\n");
  throw new Error(
    `PostgreSQL did not start (${failure?.message ?? "no answer in time"}). The end of ${logPath}:\n${lines}`,
  );
}
