import { Compile } from "typebox/compile";
import type { Dispatcher } from "undici";
import type { Clock } from "../platform/clock.ts";
import { Capabilities, maxBatchCalls } from "./protocol.ts";
import { type Sent, send } from "./transport.ts";

const freshForMs = 300_000;
// An address that did not say: it may be down for the moment, so ask again soon and go one by one meanwhile.
const unknownForMs = 10_000;
const defaultMaxBatch = 100;

interface KnownCapabilities {
  /** Calls that one request may carry; 1: it takes no batches. */
  maxBatch: number;
}

/** What an address can do: read at the first call, again when stale. An address that does not say takes single calls. */
export interface CapabilityCache {
  readonly known: KnownCapabilities | undefined;
  read(address: { url: string; timeoutMs: number }): Promise<KnownCapabilities>;
  forget(): void;
}

const shape = Compile(Capabilities);

export function createCapabilityCache(dispatcher: Dispatcher, clock: Clock): CapabilityCache {
  let known: KnownCapabilities | undefined;
  let knownOf = "";
  let staleAtMs = 0;
  let reading: Promise<KnownCapabilities> | undefined;

  const unknown = () => {
    known = { maxBatch: 1 };
    staleAtMs = clock.nowMs() + unknownForMs;
  };

  async function ask(url: string, timeoutMs: number): Promise<KnownCapabilities> {
    const address = `${url.endsWith("/") ? url.slice(0, -1) : url}/capabilities`;
    const sent = await send(dispatcher, clock, { method: "GET", url: address, headers: {}, timeoutMs });
    const said = parse(sent);
    reading = undefined;
    knownOf = url;
    if (!said) {
      unknown();
    } else {
      known = { maxBatch: said.batch ? Math.min(said.maxBatch ?? defaultMaxBatch, maxBatchCalls) : 1 };
      staleAtMs = clock.nowMs() + freshForMs;
    }
    return known!;
  }

  return {
    get known() {
      return known;
    },
    read({ url, timeoutMs }) {
      if (known && knownOf === url && clock.nowMs() < staleAtMs) return Promise.resolve(known);
      reading ??= ask(url, timeoutMs);
      return reading;
    },
    forget: unknown,
  };
}

function parse(sent: Sent): Capabilities | undefined {
  if (sent.kind !== "response" || sent.status !== 200) return undefined;
  try {
    const body: unknown = JSON.parse(sent.body);
    return shape.Check(body) ? body : undefined;
  } catch {
    return undefined;
  }
}
