import { rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { digest } from "../../platform/ids.ts";

const lookAgainMs = 50;
const maxLooks = 100;

/**
 * Makes sure that one process at a time writes this file: a restart waits for the one before it to be gone (5 s at most;
 * then it throws). The claim is a local socket, which ends with its process whatever killed it.
 */
export async function claimFile(file: string): Promise<() => Promise<void>> {
  const name = `uoop-simulator-${digest(resolve(file))}`;
  // Linux: a name without a file, so that nothing stale can be left behind.
  const path = process.platform === "linux" ? `\0${name}` : join(tmpdir(), `${name}.sock`);
  for (let look = 1; look <= maxLooks; look += 1) {
    const server = await listenAt(path);
    if (server) return () => new Promise((done) => server.close(() => done()));
    if (!path.startsWith("\0") && !(await answersAt(path))) rmSync(path, { force: true });
    await pause(lookAgainMs);
  }
  throw new Error(`Another simulator writes ${file}. Stop it, or name another data file.`);
}

/** Undefined when somebody has the name. */
function listenAt(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((done, fail) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? done(undefined) : fail(error),
    );
    server.listen(path, () => {
      server.unref();
      done(server);
    });
  });
}

function answersAt(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path, () => {
      socket.destroy();
      done(true);
    });
    socket.once("error", () => done(false));
  });
}
