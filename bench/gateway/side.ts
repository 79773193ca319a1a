import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Children } from "../children.ts";

/** One of the two servers that are compared. */
export interface Side {
  pid: number;
  url: URL;
  keys: readonly string[];
  stop(): Promise<void>;
}

/** Starts the gateway with nothing behind it but a network in memory, or a bare HTTP server. */
export async function startSide(children: Children, which: "bare" | "gateway"): Promise<Side> {
  const child = fork(join(import.meta.dirname, "server.ts"), [which]);
  children.add(child);
  const [hello] = (await once(child, "message")) as [{ url: string; keys: readonly string[] }];
  return {
    pid: child.pid!,
    url: new URL(hello.url),
    keys: hello.keys,
    async stop() {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}
