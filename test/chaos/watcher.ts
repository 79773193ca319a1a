import { createParser } from "eventsource-parser";
import { Agent, request } from "undici";
import type { OrderView } from "../../src/orchestration/order.ts";
import { isEnd, type OrderStatus } from "../../src/orchestration/order-state.ts";
import type { PlatformEvent } from "../../src/relay/api.ts";

/** What the event stream has told of an order. */
export interface Heard {
  version: number;
  status: OrderStatus;
}

/**
 * One subscriber of the event stream who lives through every kill: it resumes with Last-Event-ID, at the next process where there are several, and must get every version of
 * every order, in order, at least once (I5).
 */
export interface Watcher extends AsyncDisposable {
  heard(id: string): Heard | undefined;
  /** What should not have happened: a version skipped, or two that differ. */
  readonly wrong: readonly string[];
  readonly repeats: number;
  /** Resolves once each of these orders has ended; rejects when no order moves for so long. */
  ended(ids: readonly string[], silenceMs: number): Promise<void>;
}

const againAfterMs = 100;

/** The stream says something every 15 seconds; a process that says nothing for longer is left for another. */
const streamSilenceMs = 20_000;

export function createWatcher(urls: readonly string[], authorization: string): Watcher {
  const agent = new Agent({ pipelining: 1 });
  const orders = new Map<string, Heard>();
  const wrong: string[] = [];
  const closed = new AbortController();
  let position = "0";
  let turn = 0;
  let repeats = 0;
  let lastHeardMs = Date.now();
  let onHeard: () => void = () => undefined;

  function hear(event: PlatformEvent): void {
    const order = event.data.order as OrderView | undefined;
    if (!order) return; // of a channel
    const before = orders.get(event.subject);
    const version = event.subjectversion;
    if (order.version !== version) wrong.push(`${event.id} shows version ${order.version}`);
    if (before && version <= before.version) {
      if (event.type !== "channel.assigned") repeats += 1;
      return;
    }
    const last = before?.version ?? 0;
    if (version !== last + 1) wrong.push(`${event.id} came after version ${last}`);
    if (before && isEnd(before.status))
      wrong.push(`${event.id} (${order.status}) came after ${before.status}`);
    orders.set(event.subject, { version, status: order.status });
    lastHeardMs = Date.now();
  }

  async function listen(): Promise<void> {
    turn += 1;
    const answer = await request(`${urls[turn % urls.length]}/v1/events/stream`, {
      dispatcher: agent,
      signal: closed.signal,
      headersTimeout: streamSilenceMs,
      bodyTimeout: streamSilenceMs,
      headers: { authorization, accept: "text/event-stream", "last-event-id": position },
    });
    if (answer.statusCode !== 200) return void (await answer.body.dump());
    const parser = createParser({
      onEvent: ({ id, data }) => {
        hear(JSON.parse(data) as PlatformEvent);
        if (id !== undefined) position = id;
      },
    });
    const decoder = new TextDecoder();
    for await (const chunk of answer.body) {
      parser.feed(decoder.decode(chunk as Uint8Array, { stream: true }));
      onHeard();
    }
  }

  async function keepListening(): Promise<void> {
    while (!closed.signal.aborted) {
      await listen().catch(() => undefined); // the platform is away: that is what this is about
      await new Promise((resolve) => setTimeout(resolve, againAfterMs));
    }
  }
  void keepListening();

  const isOpen = (id: string): boolean => {
    const known = orders.get(id);
    return known === undefined || !isEnd(known.status);
  };

  return {
    heard: (id) => orders.get(id),
    wrong,
    get repeats() {
      return repeats;
    },
    ended(ids, silenceMs) {
      let open = ids.filter(isOpen);
      lastHeardMs = Date.now();
      return new Promise((resolve, reject) => {
        const settle = (done: () => void) => {
          clearInterval(limit);
          onHeard = () => undefined;
          done();
        };
        const limit = setInterval(() => {
          if (Date.now() - lastHeardMs < silenceMs) return;
          const told = open.map((id) => `${id} ${orders.get(id)?.status ?? "never heard of"}`);
          settle(() =>
            reject(new Error(`nothing has happened for ${silenceMs} ms; still open: ${told.join(", ")}`)),
          );
        }, 1_000);
        onHeard = () => {
          open = open.filter(isOpen);
          if (open.length === 0) settle(resolve);
        };
        onHeard();
      });
    },
    async [Symbol.asyncDispose]() {
      closed.abort();
      await agent.destroy();
    },
  };
}
