import { Pool } from "undici";
import type { NewChannel, Slot } from "../capacity/api.ts";
import { createSigner, type Signer } from "../channels/signature.ts";
import type { CallbackKind } from "../orchestration/api.ts";
import type { OrderView } from "../orchestration/order.ts";
import { type Clock, sleep } from "../platform/clock.ts";

/** A channel as its own side knows it: its id, and the secret that it signs reports with. */
export interface OwnChannel {
  id: string;
  signer: Signer;
}

export interface Placed {
  order: OrderView;
  /** HTTP status: 201 confirmed, 202 under way, 409 could not be fulfilled. */
  status: number;
  /** From sending the request to having read the answer. */
  ms: number;
}

export interface ChannelReport {
  callbackId: string;
  attemptKey: string;
  kind: CallbackKind;
  /** RFC 3339. */
  at: string;
  reason?: string;
}

/** The platform as clients and channels see it: HTTP only. */
export interface DemoClient {
  createChannel(channel: NewChannel): Promise<OwnChannel>;
  putCapacity(channelId: string, slots: readonly Slot[]): Promise<void>;
  placeOrder(order: object): Promise<Placed>;
  getOrder(id: string): Promise<OrderView>;
  /** All orders, page by page. */
  listOrders(): AsyncGenerator<readonly OrderView[]>;
  report(channel: OwnChannel, report: ChannelReport): Promise<void>;
  close(): Promise<void>;
}

/** Requests at once: of orders, and of everything else; what is beyond waits in line. */
const ordersAtOnce = 64;
const othersAtOnce = 32;
/** A 503 asks to come again: at most this often, then the demo fails. */
const maxTries = 20;

interface Answer {
  status: number;
  body: unknown;
  retryAfterMs: number;
}

export function createClient(url: string, apiKey: string, clock: Clock): DemoClient {
  const orders = new Pool(url, { connections: ordersAtOnce });
  const others = new Pool(url, { connections: othersAtOnce });
  const authorization = `Bearer ${apiKey}`;

  const send = async (
    pool: Pool,
    method: "GET" | "POST" | "PUT",
    path: string,
    body?: string,
    signed?: object,
  ) => {
    const headers = {
      ...(signed ?? { authorization }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    };
    const response = await pool.request({ method, path, headers, body: body ?? null });
    const text = await response.body.text();
    return {
      status: response.statusCode,
      body: text === "" ? null : JSON.parse(text),
      retryAfterMs: Number(response.headers["retry-after"] ?? 1) * 1_000,
    } satisfies Answer;
  };

  /** Sends until the answer is none that asks to come again. Every request of the demo may be repeated: it has a key. */
  const persist = async (request: () => Promise<Answer>): Promise<Answer> => {
    for (let tries = 1; ; tries += 1) {
      const answer = await request();
      if ((answer.status !== 503 && answer.status !== 429) || tries >= maxTries) return answer;
      await sleep(clock, answer.retryAfterMs);
    }
  };

  const must = async <T>(
    what: string,
    request: () => Promise<Answer>,
    accepted: readonly number[],
  ): Promise<T> => {
    const answer = await persist(request);
    if (accepted.includes(answer.status)) return answer.body as T;
    throw new Error(`${what} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  };

  return {
    async createChannel(channel) {
      const made = await must<{ id: string; callbackSecret: string }>(
        `Channel ${channel.name}`,
        () => send(others, "POST", "/v1/channels", JSON.stringify(channel)),
        [201],
      );
      return { id: made.id, signer: createSigner(made.callbackSecret) };
    },
    async putCapacity(channelId, slots) {
      const path = `/v1/channels/${channelId}/capacity`;
      await must("Capacity", () => send(others, "PUT", path, JSON.stringify({ slots })), [200]);
    },
    async placeOrder(order) {
      const body = JSON.stringify(order);
      let ms = 0;
      const answer = await persist(async () => {
        const sentAt = performance.now();
        const attempt = await send(orders, "POST", "/v1/orders", body);
        ms = performance.now() - sentAt;
        return attempt;
      });
      const view =
        answer.status === 409 ? (answer.body as { order?: OrderView }).order : (answer.body as OrderView);
      if (![201, 202, 409].includes(answer.status) || !view) {
        throw new Error(`The order was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
      }
      return { order: view, status: answer.status, ms };
    },
    getOrder: (id) => must<OrderView>(`Order ${id}`, () => send(others, "GET", `/v1/orders/${id}`), [200]),
    async *listOrders() {
      let cursor: string | null = null;
      do {
        const path: string = `/v1/orders?limit=500${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;
        const page: { items: OrderView[]; nextCursor: string | null } = await must(
          "The list",
          () => send(others, "GET", path),
          [200],
        );
        yield page.items;
        cursor = page.nextCursor;
      } while (cursor !== null);
    },
    async report(channel, report) {
      const body = JSON.stringify(report);
      const path = `/v1/channels/${channel.id}/callbacks`;
      const signed = () => ({ ...channel.signer.sign(report.callbackId, clock.nowMs(), body) });
      const what = `Report "${report.kind}" of ${report.attemptKey}`;
      const { result } = await must<{ result: string }>(
        what,
        () => send(others, "POST", path, body, signed()),
        [200],
      );
      if (result !== "applied" && result !== "duplicate") throw new Error(`${what} was ${result}`);
    },
    async close() {
      await Promise.all([orders.close(), others.close()]);
    },
  };
}
