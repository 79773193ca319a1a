import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { consumers } from "../../examples/consumers/all.ts";
import { openStore } from "../../examples/consumers/consumer.ts";
import type { OrderView } from "../orchestration/order.ts";
import { type Clock, sleep } from "../platform/clock.ts";
import type { DemoClient } from "./client.ts";

/** What one downstream service knows at the end of the day, and whether it is what the orders come to. */
export interface ConsumerReport {
  name: string;
  saw: Record<string, number>;
  agrees: boolean;
}

/** The services of examples/consumers, following the day in a process of their own. */
export interface Downstream {
  /** What they saw, once they agree with the orders; after ten seconds, whether they do or not. */
  report(client: DemoClient, signal: AbortSignal): Promise<ConsumerReport[]>;
  stop(): Promise<void>;
}

const program = new URL("../../examples/consumers/main.ts", import.meta.url).pathname;
const catchUpMs = 10_000;
const lookAgainMs = 50;

export async function startConsumers(url: string, apiKey: string, clock: Clock): Promise<Downstream> {
  const folder = await mkdtemp(join(tmpdir(), "uoop-consumers-"));
  const stores = consumers.map((consumer) => openStore(consumer, join(folder, `${consumer.name}.db`)));
  const child: ChildProcess = spawn(process.execPath, [program, url, folder], {
    env: { UOOP_API_KEY: apiKey },
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const ended = once(child, "exit").catch(() => undefined);
  const look = (orders: readonly OrderView[]): ConsumerReport[] =>
    consumers.map((consumer, index) => {
      const saw = consumer.summary(stores[index]!);
      return { name: consumer.name, saw, agrees: isDeepStrictEqual(saw, consumer.expected(orders)) };
    });
  return {
    async report(client, signal) {
      const orders: OrderView[] = [];
      for await (const page of client.listOrders()) orders.push(...page);
      const giveUpMs = clock.nowMs() + catchUpMs;
      for (;;) {
        const reports = look(orders);
        if (reports.every(({ agrees }) => agrees) || clock.nowMs() > giveUpMs) return reports;
        await sleep(clock, lookAgainMs, signal);
        signal.throwIfAborted();
      }
    },
    async stop() {
      child.kill("SIGTERM");
      await ended;
      for (const store of stores) store.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
