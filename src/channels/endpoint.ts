import type { Dispatcher } from "undici";
import type { Clock } from "../platform/clock.ts";
import { digest } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { type BreakerSettings, createGuard } from "./breaker.ts";
import { createCapabilityCache } from "./capabilities.ts";
import { type CallOutcome, type Exchange, readBatch, readSingle } from "./outcome.ts";
import type { Addressee, AttemptCall, ListCall, StatusCall } from "./protocol.ts";
import { createSigner, type Signer } from "./signature.ts";
import { type Sent, send } from "./transport.ts";

/** What every endpoint shares. */
export interface EndpointWorld {
  dispatcher: Dispatcher;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** The channel's secret; null when there is none (yet). */
  secretOf(channelId: string): Promise<string | null>;
  breaker: BreakerSettings;
  /** A circuit opened (what failed last) or closed (null). */
  onCircuit(to: Addressee, detail: string | null): void;
  /** A request was made (not one that the breaker held back). */
  onCall?(call: { channelId: string; call: string; ms: number; failed: boolean }): void;
}

/** What may change by a PATCH of the channel, so it comes with each call. */
export interface EndpointSettings {
  url: string;
  timeoutMs: number;
  maxConcurrentCalls: number;
}

/** One address that speaks the protocol: a partner, or one member of a network. */
export interface Endpoint {
  /** Whether the address said that it takes batches; false until it has been asked. */
  readonly batches: boolean;
  /** Makes the calls, several in one request where the address takes that; outcomes in input order. Never throws. */
  ask(settings: EndpointSettings, calls: readonly AttemptCall[]): Promise<readonly CallOutcome[]>;
  /** What it says to a call that changes nothing (status, list); undefined: it does not speak it, or has no answer now. */
  say(settings: EndpointSettings, call: Question): Promise<unknown>;
  /** Whether it answers at all; the one try of a circuit that may close again. Asked on behalf of no order. */
  probe(settings: EndpointSettings): Promise<boolean>;
}

/** A call that changes nothing, without whom it is for. */
type Question = Omit<StatusCall, "channelId" | "partner"> | Omit<ListCall, "channelId" | "partner">;

const secretMissingRetryMs = 1_000;

/** Keeps the breaker, the connection limit, the secret and the capabilities of one address for its life. */
export function createEndpoint(world: EndpointWorld, to: Addressee): Endpoint {
  const log = world.log.child({ channel: to.channelId, ...(to.partner ? { partner: to.partner } : {}) });
  let lastFailure = "";
  const guard = createGuard(world.clock, log, world.breaker, (open) =>
    world.onCircuit(to, open ? lastFailure : null),
  );
  const capabilities = createCapabilityCache(world.dispatcher, world.clock);
  const signer = createSignerCache(world, to.channelId);

  /** One signed request; null: it can't be signed, so nothing was sent. */
  async function post(
    { url, timeoutMs }: Pick<EndpointSettings, "url" | "timeoutMs">,
    path: string,
    payload: object,
  ): Promise<Sent | null> {
    const sign = await signer.get();
    if (!sign) return null;
    const body = JSON.stringify(payload);
    return send(world.dispatcher, world.clock, {
      method: "POST",
      url: `${withoutSlash(url)}/${path}`,
      headers: {
        "content-type": "application/json",
        ...sign.sign(`msg_${digest(body)}`, world.clock.nowMs(), body),
      },
      body,
      timeoutMs,
    });
  }

  async function exchange(
    settings: EndpointSettings,
    calls: readonly AttemptCall[],
    as: Form,
  ): Promise<Exchange> {
    const sent = await post(settings, as.path, as.payload);
    if (sent === null) return notAsked(calls);
    const result = as.read(sent);
    if (result.unauthorized) signer.forget();
    return result;
  }

  /** One guarded request that carries `calls`; measured and logged. */
  async function request(
    settings: EndpointSettings,
    calls: readonly AttemptCall[],
    as: Form,
  ): Promise<Exchange> {
    const startedMs = world.clock.nowMs();
    const result = await guard.run(settings.maxConcurrentCalls, async () => {
      const exchanged = await exchange(settings, calls, as);
      const [first] = exchanged.outcomes;
      if (exchanged.failed && first && first.kind !== "answered") lastFailure = first.detail;
      return exchanged;
    });
    const done =
      "kind" in result
        ? { outcomes: calls.map(() => ({ ...result, kind: "retry" }) as const), failed: false }
        : result;
    const first = done.outcomes[0];
    const seconds = (world.clock.nowMs() - startedMs) / 1_000;
    if (!("kind" in result))
      world.onCall?.({ channelId: to.channelId, call: as.path, ms: seconds * 1_000, failed: result.failed });
    world.metrics.channelCalls
      .labels(to.channelId, as.path, first ? outcomeLabel(first, as.path) : "none")
      .observe(seconds);
    if (done.failed && first && first.kind !== "answered") {
      log.warn(
        { call: as.path, calls: calls.length, outcome: first.kind, detail: first.detail },
        "channel call failed",
      );
    }
    return done;
  }

  const single = async (settings: EndpointSettings, call: AttemptCall): Promise<CallOutcome> => {
    const form: Form = { path: call.call, payload: call, read: (sent) => readSingle(call, sent) };
    return (await request(settings, [call], form)).outcomes[0]!;
  };

  async function together(
    settings: EndpointSettings,
    calls: readonly AttemptCall[],
  ): Promise<readonly CallOutcome[]> {
    const payload = { call: "batch", ...addressOf(to), calls };
    const done = await request(settings, calls, {
      path: "batch",
      payload,
      read: (sent) => readBatch(calls, sent),
    });
    if (!done.missing) return done.outcomes;
    // It took batches when last asked and does not any more: surely nothing was taken, so ask one by one.
    capabilities.forget();
    return Promise.all(calls.map((call) => single(settings, call)));
  }

  return {
    async say({ url, timeoutMs, maxConcurrentCalls }, call) {
      const said = await guard.run(maxConcurrentCalls, async () => {
        const sent = await post({ url, timeoutMs }, call.call, { ...call, ...addressOf(to) });
        const failure = failureOf(sent);
        if (failure !== null) lastFailure = failure;
        return { failed: failure !== null, sent };
      });
      const { sent } = "sent" in said ? said : { sent: null };
      return sent?.kind === "response" && sent.status === 200 ? parseJson(sent.body) : undefined;
    },
    async probe({ url, timeoutMs, maxConcurrentCalls }) {
      const probed = await guard.run(maxConcurrentCalls, async () => {
        const failure = failureOf(
          await post({ url, timeoutMs }, "status", { ...statusOfNone, ...addressOf(to) }),
        );
        if (failure !== null) lastFailure = failure;
        return { failed: failure !== null };
      });
      return !("kind" in probed) && !probed.failed;
    },
    get batches() {
      return (capabilities.known?.maxBatch ?? 1) > 1;
    },
    async ask(settings, calls) {
      const reading = capabilities.read(settings);
      if (calls.length === 0) return [];
      if (calls.length === 1) return [await single(settings, calls[0]!)];
      const { maxBatch } = await reading;
      if (maxBatch === 1 || guard.suspect) return Promise.all(calls.map((call) => single(settings, call)));
      const parts = chunk(calls, maxBatch).map((part) => together(settings, part));
      return (await Promise.all(parts)).flat();
    },
  };
}

/** Asks after a booking that was never made: harmless, signed as all calls are, and answered by whoever is there. */
const statusOfNone = { call: "status", key: "ord_00000000000000000000000000.1.1" };

/** Why an address that was probed does not count as well; null: it answers. (404: it does not speak `status`, but is there.) */
function failureOf(sent: Sent | null): string | null {
  if (sent === null) return "the channel's secret is not at hand";
  if (sent.kind !== "response") return sent.detail;
  const bad = sent.status >= 500 || sent.status === 401 || sent.status === 403;
  return bad ? `the channel answered ${sent.status}` : null;
}

type Read = (sent: Sent) => Exchange;

/** How calls are put into a request and read back. */
interface Form {
  path: string;
  payload: object;
  read: Read;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const withoutSlash = (url: string): string => (url.endsWith("/") ? url.slice(0, -1) : url);

const addressOf = (to: Addressee) => ({
  channelId: to.channelId,
  ...(to.partner === undefined ? {} : { partner: to.partner }),
});

const outcomeLabel = (outcome: CallOutcome, path: string): string => {
  if (outcome.kind !== "answered") return outcome.kind;
  return path === "batch" ? "answered" : outcome.answer.status;
};

/** Without its secret (a channel just made, the database away) nothing can be signed: nothing was sent. */
const notAsked = (calls: readonly AttemptCall[]): Exchange => ({
  failed: false,
  outcomes: calls.map(() => ({
    kind: "retry",
    afterMs: secretMissingRetryMs,
    detail: "the channel's secret is not at hand",
  })),
});

const chunk = <T>(items: readonly T[], size: number): T[][] => {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
};

/** The channel's secret, read once and again after a 401: every call signs, so it must not cost a query each. */
function createSignerCache(world: EndpointWorld, channelId: string) {
  let reading: Promise<Signer | null> | undefined;

  async function read(): Promise<Signer | null> {
    try {
      const secret = await world.secretOf(channelId);
      if (secret !== null) return createSigner(secret);
    } catch (error) {
      world.log.warn({ channel: channelId, err: error }, "the channel's secret could not be read");
    }
    reading = undefined;
    return null;
  }

  return {
    get(): Promise<Signer | null> {
      reading ??= read();
      return reading;
    },
    forget(): void {
      reading = undefined;
    },
  };
}
