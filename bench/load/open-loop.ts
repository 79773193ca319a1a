import { setTimeout as pause } from "node:timers/promises";
import { drainMs, type LoopEvents } from "./closed-loop.ts";
import { type Connection, openConnection } from "./connection.ts";
import type { Pace, RunPlan } from "./plan.ts";
import type { RequestSource } from "./requests.ts";
import type { Tally } from "./tally.ts";

/** Connections opened before the first request: what the rate needs when an answer takes 20 ms. */
const connectionsAhead = (perSecond: number): number => Math.ceil(perSecond * 0.02) + 8;

/**
 * Sends at a fixed rate, whatever the answers: the nth request is due at n/rate, and its latency counts from then, so
 * that a stall counts for everyone who would have come meanwhile. A request that finds no free connection waits.
 */
export async function runOpenLoop(
  plan: RunPlan,
  pace: Extract<Pace, { kind: "open" }>,
  source: RequestSource,
  tally: Tally,
  events: LoopEvents,
): Promise<void> {
  const everyMs = 1_000 / pace.perSecond;
  const free: Connection[] = [];
  const busy = new Set<Connection>();
  let opened = 0;
  let firstAt = 0;
  let next = 0; // the nth request is the next to be sent
  let due = 0; // so many are due by now

  const add = () => {
    opened += 1;
    const needle = source.needle === undefined ? {} : { needle: source.needle };
    return openConnection({ host: plan.host, port: plan.port, ...needle }, handlers);
  };
  const send = () => {
    while (next < due) {
      const connection = free.pop() ?? (opened < pace.connections ? add() : undefined);
      if (connection === undefined) return;
      connection.dueAt = firstAt + next * everyMs;
      connection.sentAt = performance.now();
      next += 1;
      busy.add(connection);
      const request = source.next();
      connection.kind = source.kind;
      connection.send(request);
    }
  };
  const handlers = {
    onAnswer(connection: Connection, status: number, matches: number) {
      busy.delete(connection);
      tally.answer(connection, status, matches);
      free.push(connection);
      if (next < due) send();
    },
    onLost(connection: Connection, wasWaiting: boolean) {
      opened -= 1;
      if (wasWaiting) {
        busy.delete(connection);
        tally.lost();
      } else {
        const index = free.indexOf(connection);
        if (index >= 0) free.splice(index, 1);
      }
    },
  };

  events.onWaiting(() => busy.size + due - next);
  const ahead = Math.min(pace.connections, connectionsAhead(pace.perSecond));
  while (opened < ahead) free.push(add());
  firstAt = performance.now();
  const beginAt = firstAt + plan.rampMs;
  const endAt = beginAt + plan.measureMs;
  tally.begin(beginAt);
  let began = false;
  while (performance.now() < endAt) {
    if (!began && performance.now() >= beginAt) {
      began = true;
      events.onBegan();
    }
    due = Math.floor((performance.now() - firstAt) / everyMs) + 1;
    send();
    await pause(1);
  }
  tally.end();
  events.onEnded();
  const neverSent = next;
  const dueAtEnd = due;
  due = next; // what was not sent by now is not sent any more
  const giveUpAt = performance.now() + drainMs;
  while (busy.size > 0 && performance.now() < giveUpAt) await pause(5);
  for (let index = neverSent; index < dueAtEnd; index += 1) tally.unanswered(firstAt + index * everyMs);
  for (const connection of busy) tally.unanswered(connection.dueAt);
  for (const connection of [...free, ...busy]) connection.close();
}
