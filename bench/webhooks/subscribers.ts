import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Children } from "../children.ts";
import type { Got } from "./tally.ts";

export interface SubscriberBehaviour {
  /** Of requests, those answered 500. */
  failRate: number;
  /** Which one drops every connection. */
  dead: number | null;
}

export type ToSubscribers = { behave: SubscriberBehaviour } | { ask: true };
export type FromSubscribers = { url: string } | { got: readonly Got[] };

/** Downstream services in a process of their own. */
export interface Subscribers {
  pid: number;
  url(index: number): string;
  behave(behaviour: SubscriberBehaviour): void;
  got(): Promise<readonly Got[]>;
  stop(): Promise<void>;
}

export async function startSubscribers(
  children: Children,
  { count, seed }: { count: number; seed: number },
): Promise<Subscribers> {
  const child = fork(join(import.meta.dirname, "server.ts"), [String(count), String(seed)]);
  children.add(child);
  const heard = async (): Promise<FromSubscribers> =>
    ((await once(child, "message")) as [FromSubscribers])[0];
  const tell = (message: ToSubscribers): void => void child.send(message);
  const hello = (await heard()) as { url: string };
  return {
    pid: child.pid!,
    url: (index) => `${hello.url}/${index}`,
    behave: (behaviour) => tell({ behave: behaviour }),
    async got() {
      const answer = heard();
      tell({ ask: true });
      return ((await answer) as { got: readonly Got[] }).got;
    },
    async stop() {
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
}
