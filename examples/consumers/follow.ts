import type { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { applyEvents, type Consumer, type Order, positionOf } from "./consumer.ts";

export interface Platform {
  url: string;
  /** With the scope orders:read. */
  apiKey: string;
}

const types = "order.created,order.status_changed,order.updated";
const longestPauseMs = 5_000;

/** Follows the platform's event stream from the store's cursor until aborted; connects again after whatever ended it. */
export async function follow(
  consumer: Consumer,
  store: DatabaseSync,
  platform: Platform,
  signal: AbortSignal,
): Promise<void> {
  for (let pauseMs = 100; !signal.aborted; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      await read(consumer, store, platform, signal);
      pauseMs = 100;
    } catch (error) {
      if (!signal.aborted) console.error(`${consumer.name}: ${(error as Error).message}`);
    }
    await pause(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

async function read(
  consumer: Consumer,
  store: DatabaseSync,
  { url, apiKey }: Platform,
  signal: AbortSignal,
): Promise<void> {
  const headers = { authorization: `Bearer ${apiKey}`, "last-event-id": positionOf(store) };
  const response = await fetch(`${url}/v1/events/stream?types=${types}`, { headers, signal });
  if (!response.ok || !response.body) throw new Error(`the stream answered ${response.status}`);
  let heard: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => heard.push(event) });
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    const events = heard.filter(({ id }) => id !== undefined).map((each) => toEvent(each));
    heard = [];
    if (events.length > 0) applyEvents(consumer, store, events);
  }
}

const toEvent = ({ id, data }: EventSourceMessage) => ({
  position: id!,
  order: (JSON.parse(data) as { data: { order?: Order } }).data.order,
});
