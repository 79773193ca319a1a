import type { Dispatcher } from "undici";
import { type Addressee, type AttemptCall, type BookCall, bookCall, holdCall } from "../channels/protocol.ts";
import { createSigner, type Signer } from "../channels/signature.ts";
import { type Sent, send } from "../channels/transport.ts";
import { type Clock, toIso } from "../platform/clock.ts";
import { createIds } from "../platform/ids.ts";
import type { Step } from "./report.ts";

export interface Target {
  /** The endpoint, without a slash at its end. */
  endpoint: string;
  addressee: Addressee;
  secret: string;
  /** Answers must come within this. */
  timeoutMs: number;
  clock: Clock;
  dispatcher: Dispatcher;
}

/** An answer together with the call that it is to. */
export interface Came {
  /** The call in words, `POST /book ord_….1.1`. */
  sent: string;
  /** 0 when there was no answer. */
  status: number;
  /** Undefined when it is not JSON. */
  json: Record<string, unknown> | undefined;
  /** The answer in words. */
  text: string;
}

export interface Expectation {
  says: string;
  holds(came: Came): boolean;
}

/** The rule is broken; the last step says how. Ends its check. */
export class Broken extends Error {}

/** The rule does not apply here; the message says why. */
export class Skipped extends Error {}

/** Throws `Skipped` when the address is not there, so an optional call is not offered (or `also` says so). */
export function notOfferedSkip({ status, text }: Came, what: string, also = false): void {
  if (also || status === 404 || status === 405 || status === 501) throw new Skipped(`${what} (${text})`);
}

/** How a request differs from a correct one. */
export interface Odd {
  /** Goes to this path instead of the one of its call. */
  path?: string;
  /** These bytes travel instead of the plain JSON. */
  raw?: string;
  /** Made from the right headers for these bytes. */
  headers?: (right: Record<string, string>) => Record<string, string>;
  /** What is odd, for the report. */
  words: string;
}

/** Talks to the endpoint as the platform does, and keeps what was said. */
export interface Probe {
  target: Target;
  signer: Signer;
  steps: Step[];
  nowMs(): number;
  /** A key that nobody has heard of. */
  newKey(): string;
  book(key: string, more?: Partial<BookCall>): BookCall;
  hold(key: string, expiresAt: string, more?: Partial<BookCall>): AttemptCall;
  cancel(key: string, unlessBooked?: true): AttemptCall;
  ask(call: object & { call: string }, odd?: Odd): Promise<Came>;
  get(path: string): Promise<Came>;
  /** Notes the exchange; throws `Broken` when the answer is another than expected. */
  must(came: Came, expectation: Expectation): Came;
  /** Keys that may be booked or held, to be cancelled at the check's end. */
  open: Set<string>;
  slowest: { ms: number; sent: string };
}

/** An answer is waited for this much longer than allowed, so that lateness is told apart from silence. */
const patience = 3;
const bookableForMs = 60_000;

export function createProbe(target: Target): Probe {
  const { clock, addressee } = target;
  const ids = createIds();
  const probe: Probe = {
    target,
    signer: createSigner(target.secret),
    steps: [],
    open: new Set(),
    slowest: { ms: 0, sent: "" },
    nowMs: () => clock.nowMs(),
    newKey: () => `${ids.order(0, clock.nowMs())}.1.1`,
    book: (key, more = {}) => ({ ...bookCall(addressee, order(key, clock.nowMs())), ...more }),
    hold: (key, expiresAt, more = {}) =>
      ({ ...holdCall(addressee, order(key, clock.nowMs()), expiresAt), ...more }) as AttemptCall,
    cancel: (key, unlessBooked) => ({
      call: "cancel",
      ...addressee,
      key,
      orderId: key.split(".")[0]!,
      ...(unlessBooked ? { unlessBooked } : {}),
    }),
    ask: (call, odd) => ask(probe, call, odd),
    get: (path) => exchange(probe, "GET", path, `GET ${path}`, {}),
    must(came, { says, holds }) {
      const ok = holds(came);
      probe.steps.push({ sent: came.sent, expected: says, came: came.text, ok });
      if (!ok) throw new Broken();
      return came;
    },
  };
  return probe;
}

function ask(probe: Probe, call: object & { call: string; key?: string }, odd?: Odd): Promise<Came> {
  const body = odd?.raw ?? JSON.stringify(call);
  const signed = probe.signer.sign(`msg_${crypto.randomUUID()}`, probe.nowMs(), body);
  const headers = odd?.headers?.({ ...signed }) ?? { ...signed };
  if (call.key !== undefined && (call.call === "book" || call.call === "hold")) probe.open.add(call.key);
  const path = odd?.path ?? `/${call.call}`;
  const words = `POST ${path}${call.key === undefined ? "" : ` ${call.key}`}${odd ? ` (${odd.words})` : ""}`;
  return exchange(probe, "POST", path, words, headers, body);
}

async function exchange(
  probe: Probe,
  method: "GET" | "POST",
  path: string,
  words: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Came> {
  const { endpoint, clock, dispatcher, timeoutMs } = probe.target;
  const startedMs = clock.nowMs();
  const sent = await send(dispatcher, clock, {
    method,
    url: `${endpoint}${path}`,
    headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
    ...(body === undefined ? {} : { body }),
    timeoutMs: timeoutMs * patience,
  });
  const ms = clock.nowMs() - startedMs;
  if (ms > probe.slowest.ms) probe.slowest = { ms, sent: words };
  return toCame(words, sent);
}

const shownCharacters = 300;

function toCame(sent: string, answer: Sent): Came {
  if (answer.kind !== "response") return { sent, status: 0, json: undefined, text: answer.detail };
  const shown =
    answer.body.length > shownCharacters ? `${answer.body.slice(0, shownCharacters)}…` : answer.body;
  return { sent, status: answer.status, json: parse(answer.body), text: `${answer.status} ${shown}`.trim() };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** An order that nobody placed: two meals near Dubai, tomorrow. */
function order(key: string, nowMs: number) {
  const tomorrowMs = nowMs + 86_400_000;
  return {
    key,
    orderId: key.split(".")[0]!,
    notAfter: toIso(nowMs + bookableForMs),
    items: [{ sku: "certify-meal", quantity: 2, unitPriceMinor: 4_500 }],
    units: 2,
    currency: "AED",
    promised: { start: toIso(tomorrowMs), end: toIso(tomorrowMs + 7_200_000) },
    priority: "standard" as const,
    location: { lat: 25.0772, lng: 55.1405 },
    personal: {
      address: { line1: "Test Street 1", city: "Dubai", countryCode: "AE" },
      contact: { name: "uoop certify", phone: "+971500000000" },
      instructions: "a test, don't deliver",
    },
  };
}
