import { createParser, type EventSourceMessage } from "eventsource-parser";
import { type Dispatcher, request } from "undici";
import type { Leg, OrderView } from "../../orchestration/order.ts";
import { type Clock, sleep } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import type { Cooking } from "./cooking.ts";
import type { Ledger } from "./ledger.ts";
import type { Platform } from "./settings.ts";

/** The staff of kitchens and dark stores: hears of orders over the platform's event stream, and cooks them. */
export interface Staff {
  /** Listens to this platform from now on (again from the place last heard). */
  listen(platform: Platform): void;
  readonly connected: boolean;
  readonly position: string | undefined;
  close(): void;
}

const firstPauseMs = 250;
const longestPauseMs = 5_000;
// The stream sends a comment now and then; silence for this long means that the connection is dead.
const silenceMs = 60_000;
const maxEventBytes = 4 * 1024 * 1024;

export function createStaff(world: {
  dispatcher: Dispatcher;
  clock: Clock;
  log: Log;
  ledger: Ledger;
  cooking: Cooking;
  position: string | undefined;
  remember(position: string): Promise<void>;
}): Staff {
  let position = world.position;
  let connected = false;
  let listening = new AbortController();

  async function read(platform: Platform, signal: AbortSignal): Promise<void> {
    const response = await request(`${platform.url}/v1/events/stream?types=order.status_changed`, {
      dispatcher: world.dispatcher,
      signal,
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
      headers: {
        accept: "text/event-stream",
        authorization: `Bearer ${platform.apiKey}`,
        // 0: from the oldest event that is kept, so that nothing confirmed before the first start goes uncooked.
        "last-event-id": position ?? "0",
      },
    });
    if (response.statusCode !== 200) {
      const body = await response.body.text();
      throw new Error(`the event stream answered ${response.statusCode}: ${body.slice(0, 300)}`);
    }
    connected = true;
    let heard: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (event) => heard.push(event), maxBufferSize: maxEventBytes });
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
      const events = heard;
      heard = [];
      await hear(events);
    }
  }

  /** Takes note of the events, then of the place in the stream: a kill in between hears them again, which is harmless. */
  async function hear(events: readonly EventSourceMessage[]): Promise<void> {
    await Promise.all(events.map((event) => takeNote(world, event.data)));
    const last = events.findLast((event) => event.id !== undefined)?.id;
    if (last === undefined) return;
    position = last;
    await world.remember(last);
  }

  async function keepListening(platform: Platform, signal: AbortSignal): Promise<void> {
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        await read(platform, signal);
      } catch (error) {
        if (!signal.aborted) world.log.info({ detail: String(error) }, "the platform's event stream is away");
      }
      if (connected) pauseMs = firstPauseMs;
      connected = false;
      await sleep(world.clock, pauseMs, signal);
    }
  }

  return {
    listen(platform) {
      listening.abort();
      listening = new AbortController();
      void keepListening(platform, listening.signal);
    },
    get connected() {
      return connected;
    },
    get position() {
      return position;
    },
    close: () => listening.abort(),
  };
}

/** The part of an `order.status_changed` event that staff look at. */
interface StatusChanged {
  type: string;
  data: { order: Pick<OrderView, "id" | "legs">; to: string };
}

const undone = new Set(["cancelling", "cancelled", "failing", "failed", "rerouting"]);

async function takeNote(world: { ledger: Ledger; cooking: Cooking; log: Log }, data: string): Promise<void> {
  const event = parse(data);
  if (event?.type !== "order.status_changed") return;
  const { order, to } = event.data;
  if (to === "confirmed") {
    await Promise.all(order.legs.filter(isOurs).map((leg) => cook(world, order.id, leg)));
  } else if (undone.has(to)) {
    const entries = world.ledger.ofOrder(order.id);
    await Promise.all(entries.map((entry) => world.ledger.write(entry, entry.key, { state: "cancelled" })));
  }
}

const isOurs = (leg: Leg): boolean =>
  leg.channel.type === "internal_kitchen" || leg.channel.type === "dark_store";

async function cook(world: { ledger: Ledger; cooking: Cooking }, orderId: string, leg: Leg): Promise<void> {
  const key = `${orderId}.${leg.leg}.${leg.attempt}`;
  const at = { channelId: leg.channel.id };
  const known = world.ledger.find(at, key);
  const ref = leg.bookingRef === undefined ? {} : { bookingRef: leg.bookingRef };
  world.cooking.begin(known ?? (await world.ledger.write(at, key, { state: "booked", own: true, ...ref })));
}

function parse(data: string): StatusChanged | undefined {
  try {
    return JSON.parse(data) as StatusChanged;
  } catch {
    return undefined;
  }
}
