import { Value } from "typebox/value";
import type { Dispatcher } from "undici";
import { type Clock, toIso } from "../../platform/clock.ts";
import type { Ids } from "../../platform/ids.ts";
import { type Addressee, Answer, type BookCall, type CancelCall, type HoldCall } from "../protocol.ts";
import { createSigner, type Signer } from "../signature.ts";
import { send } from "../transport.ts";

/** What came back: the HTTP status, or null when nothing did. */
export interface Reply {
  status: number | null;
  /** The body as JSON; undefined when it is none. */
  body: unknown;
  text: string;
}

/** One call and what came of it, as the report shows them. */
export interface Exchange {
  sent: string;
  came: string;
}

/** The endpoint did not do what the protocol says. */
export class Broken extends Error {
  readonly expected: string;
  readonly got: string;
  constructor(expected: string, got: string) {
    super(`expected ${expected}, got ${got}`);
    this.expected = expected;
    this.got = got;
  }
}

/** The endpoint need not have this, and has it not. */
export class Skipped extends Error {}

export interface SessionOptions {
  endpoint: string;
  secret: string;
  to: Addressee;
  timeoutMs: number;
  dispatcher: Dispatcher;
  clock: Clock;
  ids: Ids;
}

/** How a body is sent other than signed and whole; for what must be refused. */
export interface Tampering {
  signer?: Signer | null;
  atMs?: number;
  /** What travels, instead of what was signed. */
  text?: string;
}

const hourMs = 3_600_000;

/** Speaks the protocol as the platform does, remembers every call, and cancels at the end what it booked. */
export class Session {
  readonly #options: SessionOptions;
  readonly #signer: Signer;
  readonly #keys = new Set<string>();
  /** Of the check that runs. */
  exchanges: Exchange[] = [];
  /** What the endpoint said that it can, once it was asked. */
  batch = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#signer = createSigner(options.secret);
  }

  get isMember(): boolean {
    return this.#options.to.partner !== undefined;
  }

  /** A key that nobody has heard of. */
  newKey(): string {
    return `${this.#options.ids.order(0, this.#options.clock.nowMs())}.1.1`;
  }

  bookCall(key: string, more: Partial<BookCall> & Record<string, unknown> = {}): BookCall {
    const { to, clock } = this.#options;
    const nowMs = clock.nowMs();
    return {
      call: "book",
      ...to,
      key,
      orderId: key.split(".")[0]!,
      notAfter: toIso(nowMs + 60_000),
      items: [{ sku: "certify", quantity: 1, unitPriceMinor: 100 }],
      units: 1,
      currency: "AED",
      promised: { start: toIso(nowMs + hourMs), end: toIso(nowMs + 3 * hourMs) },
      priority: "standard",
      delivery: {
        location: { lat: 25.0772, lng: 55.1405 },
        address: { line1: "Not a real order", city: "Dubai", countryCode: "AE" },
        contact: { name: "uoop certify", phone: "+971500000000" },
        instructions: "Do not deliver: this order comes from a test.",
      },
      ...more,
    };
  }

  holdCall(key: string): HoldCall {
    const { delivery, ...rest } = this.bookCall(key);
    const expiresAt = toIso(this.#options.clock.nowMs() + 60_000);
    return { ...rest, call: "hold", expiresAt, delivery: { location: delivery.location } };
  }

  cancelCall(key: string, more: Partial<CancelCall> = {}): CancelCall {
    return { call: "cancel", ...this.#options.to, key, orderId: key.split(".")[0]!, ...more };
  }

  get address(): Addressee {
    return this.#options.to;
  }

  get nowMs(): number {
    return this.#options.clock.nowMs();
  }

  async get(path: string): Promise<Reply> {
    return this.#send("GET", path, {}, undefined);
  }

  /** Signed and sent, or as `tampering` has it. */
  async post(path: string, payload: object, tampering: Tampering = {}): Promise<Reply> {
    const { signer = this.#signer, atMs = this.nowMs, text } = tampering;
    const body = JSON.stringify(payload);
    const { key } = payload as { key?: unknown };
    if (typeof key === "string") this.#keys.add(key);
    const id = `msg_${this.#options.ids.create("evt", this.nowMs)}`;
    return this.#send("POST", path, signer ? { ...signer.sign(id, atMs, body) } : {}, text ?? body);
  }

  async #send(
    method: "GET" | "POST",
    path: string,
    headers: Record<string, string>,
    body: string | undefined,
  ): Promise<Reply> {
    const { endpoint, timeoutMs, dispatcher, clock } = this.#options;
    const url = `${endpoint.replace(/\/$/, "")}/${path}`;
    const sent = await send(dispatcher, clock, {
      method,
      url,
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body }),
      timeoutMs,
    });
    const reply =
      sent.kind === "response"
        ? { status: sent.status, body: parsed(sent.body), text: sent.body }
        : { status: null, body: undefined, text: sent.detail };
    this.exchanges.push({
      sent: `${method} ${url}${body === undefined ? "" : ` ${body}`}`,
      came: shown(reply),
    });
    return reply;
  }

  /** The answer to a hold, booking or cancellation, which must be one of the protocol's, for this key. */
  answer(reply: Reply, key: string): Answer {
    if (!Value.Check(Answer, reply.body)) throw new Broken("an answer with key and status", shown(reply));
    if (reply.body.key !== key) throw new Broken(`the key of the call, ${key}`, reply.body.key);
    const codes = reply.body.status === "refused" ? [409, 422] : [200];
    if (reply.status === null || !codes.includes(reply.status))
      throw new Broken(`"${reply.body.status}" with ${codes.join(" or ")}`, shown(reply));
    return reply.body;
  }

  async book(key: string, more: Partial<BookCall> & Record<string, unknown> = {}): Promise<Answer> {
    return this.answer(await this.post("book", this.bookCall(key, more)), key);
  }

  async cancel(key: string, more: Partial<CancelCall> = {}): Promise<Answer> {
    return this.answer(await this.post("cancel", this.cancelCall(key, more)), key);
  }

  /** A booking that stands; without one hardly anything can be tried. */
  async booked(key: string, more: Partial<BookCall> & Record<string, unknown> = {}): Promise<Answer> {
    const answer = await this.book(key, more);
    if (answer.status !== "booked" || !answer.bookingRef)
      throw new Broken('"booked" with a bookingRef (give it room for a test)', JSON.stringify(answer));
    return answer;
  }

  /** Nobody should cook what was only tried. */
  async cancelAll(): Promise<void> {
    for (const key of this.#keys) await this.post("cancel", this.cancelCall(key));
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const maxShown = 300;

export const shown = ({ status, text }: Reply): string =>
  status === null ? text : `${status} ${text.length > maxShown ? `${text.slice(0, maxShown)}…` : text}`;
