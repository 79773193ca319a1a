import { setTimeout as pause } from "node:timers/promises";
import { type Connection, openConnection } from "./connection.ts";
import type { Pace, RunPlan } from "./plan.ts";
import type { RequestSource } from "./requests.ts";
import type { Tally } from "./tally.ts";

/** What a loop says on its way. */
export interface LoopEvents {
  onBegan(): void;
  onEnded(): void;
  /** Requests under way, or due and not sent. */
  onWaiting(waiting: () => number): void;
}

/** Answers that are still out when the load ends get this long. */
export const drainMs = 15_000;
const reconnectMs = 50;

/** Keeps `inFlight` requests under way: on each connection the next leaves when the one before is answered. */
export async function runClosedLoop(
  plan: RunPlan,
  pace: Extract<Pace, { kind: "closed" }>,
  source: RequestSource,
  tally: Tally,
  events: LoopEvents,
): Promise<void> {
  let sending = true;
  let waiting = 0;
  const open = new Set<Connection>();

  const launch = (connection: Connection) => {
    connection.dueAt = performance.now();
    connection.sentAt = connection.dueAt;
    waiting += 1;
    const request = source.next();
    connection.kind = source.kind;
    connection.send(request);
  };
  const add = () => {
    const needle = source.needle === undefined ? {} : { needle: source.needle };
    const connection = openConnection({ host: plan.host, port: plan.port, ...needle }, handlers);
    open.add(connection);
    launch(connection);
  };
  const handlers = {
    onAnswer(connection: Connection, status: number, matches: number) {
      waiting -= 1;
      tally.answer(connection, status, matches);
      if (sending) launch(connection);
    },
    onLost(connection: Connection, wasWaiting: boolean) {
      open.delete(connection);
      waiting -= wasWaiting ? 1 : 0;
      if (wasWaiting) tally.lost();
      if (sending) setTimeout(() => sending && add(), reconnectMs);
    },
  };

  events.onWaiting(() => waiting);
  for (let index = 0; index < pace.inFlight; index += 1) add();
  await pause(plan.rampMs);
  tally.begin(performance.now());
  events.onBegan();
  await pause(plan.measureMs);
  tally.end();
  events.onEnded();
  sending = false;
  const giveUpAt = performance.now() + drainMs;
  while (waiting > 0 && performance.now() < giveUpAt) await pause(5);
  for (const connection of open) connection.close();
  for (let index = 0; index < waiting; index += 1) tally.lost();
}
