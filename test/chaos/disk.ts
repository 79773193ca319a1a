import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";

/** The file system that holds the database, small enough to be filled. */
export interface Disk {
  /** Why it can't be filled on this machine; null: it can. */
  readonly refused: string | null;
  /** Leaves no room, for so long, and gives it back. `alsoLog`: what PostgreSQL had put aside for its log is used up too. */
  fill(databaseUrl: string, lastingMs: number, alsoLog: boolean): Promise<void>;
  unmount(): void;
}

const roomBytes = 8 * 2 ** 30;
/** A full disk keeps this much: a page or two, so that some writes pass and others do not. */
const leftBytes = 64 * 1024;
const mebibyte = 2 ** 20;

/**
 * Mounts a tmpfs at the folder, made when new. That takes root on Linux; elsewhere the folder stays an ordinary one, and `refused`
 * says why. It is filled by taking its size down to what is used, so that no memory is wasted on it.
 */
export function mountDisk(folder: string): Disk {
  mkdirSync(folder, { recursive: true });
  const mount = (...args: string[]) => execFileSync("mount", args, { stdio: ["ignore", "ignore", "pipe"] });
  try {
    mount("-t", "tmpfs", "-o", `size=${roomBytes},mode=755`, "uoop-chaos", folder);
  } catch (error) {
    const why = String((error as { stderr?: Buffer }).stderr ?? (error as Error).message).trim();
    return {
      refused: `a full disk can't be made here: ${why.split("\n")[0]}`,
      fill: async () => undefined,
      unmount: () => undefined,
    };
  }
  const resize = (bytes: number) => mount("-o", `remount,size=${bytes}`, folder);
  const unmount = () => {
    process.off("exit", unmount);
    execFileSync("umount", ["--lazy", folder]);
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", unmount);
  return {
    refused: null,
    async fill(databaseUrl, lastingMs, alsoLog) {
      shrink(folder, resize);
      try {
        if (alsoLog) await useUpLog(databaseUrl);
        await pause(lastingMs);
      } finally {
        resize(roomBytes);
      }
    },
    unmount,
  };
}

/** The size goes down to what is used; what is written meanwhile makes that fail, so it is tried a few times. */
function shrink(folder: string, resize: (bytes: number) => void): void {
  for (let tries = 1; ; tries += 1) {
    const { blocks, bfree, bsize } = statfsSync(folder);
    try {
      resize((blocks - bfree) * bsize + leftBytes * tries);
      return;
    } catch (error) {
      if (tries === 20) throw error;
    }
  }
}

/** Writes to the log what another database of the same server might, until PostgreSQL gives up. */
async function useUpLog(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on("error", () => undefined);
  try {
    await client.connect();
    for (let written = 0; written < 2_048; written += 1) {
      await client.query("select pg_logical_emit_message(false, 'chaos', repeat('x', $1))", [mebibyte]);
    }
  } catch {
    // The disk is full: that is what this is for.
  } finally {
    await client.end().catch(() => undefined);
  }
}
