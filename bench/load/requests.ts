import { makeBodies, windowText } from "../mix.ts";
import type { RunPlan, Traffic } from "./plan.ts";

/** Makes the requests of a run, one after the other. */
export interface RequestSource {
  /** The next request, whole. */
  next(): string;
  /** Of the request that `next` gave last: index in `channelTypes` (0 where it has none). */
  readonly kind: number;
  /** Orders in each request. */
  readonly orders: number;
  /** How often this is in an answer's body is how many orders it confirmed; undefined: its status says so. */
  readonly needle?: string;
}

export function createSource(plan: RunPlan): RequestSource {
  const host = `${plan.host}:${plan.port}`;
  switch (plan.traffic.kind) {
    case "orders":
      return orderSource(plan.id, host, plan.traffic);
    case "batch":
      return batchSource(plan.id, host, plan.traffic);
    case "reads":
      return inTurn(readsOf(host, plan.traffic));
    case "quotes":
      return inTurn(quotesOf(host, plan.traffic));
  }
}

/** Which window a contended order gets: the same for `ordersPerWindow` of them, then the next. */
function contendedTurns(mix: Extract<Traffic, { kind: "orders" }>["mix"]): () => string {
  const { windows, ordersPerWindow } = mix.contended ?? { windows: [], ordersPerWindow: 1 };
  const texts = windows.map(windowText);
  let taken = 0;
  return () => texts[Math.floor(taken++ / ordersPerWindow) % texts.length]!;
}

function orderSource(
  runId: string,
  host: string,
  { keys, mix }: Extract<Traffic, { kind: "orders" }>,
): RequestSource {
  const heads = keys.map(
    (key) =>
      `POST /v1/orders HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${key}\r\nidempotency-key: ${runId}-`,
  );
  const contended = contendedTurns(mix);
  const windowBytes = windowText(mix.windows[0]!).length;
  const bodies = makeBodies(mix).map((body) => {
    const length = Buffer.byteLength(body.before) + windowBytes + Buffer.byteLength(body.after);
    const middle = `\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${body.before}`;
    return { ...body, middle };
  });
  let sent = 0;
  let kind = 0;
  return {
    orders: 1,
    get kind() {
      return kind;
    },
    next() {
      const body = bodies[sent % bodies.length]!;
      // Shifted by one every round, so that a body is not always the same client's.
      const head = heads[(sent + Math.floor(sent / bodies.length)) % heads.length]!;
      sent += 1;
      kind = body.kind;
      return head + sent + body.middle + (body.window ?? contended()) + body.after;
    },
  };
}

function batchSource(
  runId: string,
  host: string,
  { keys, mix, size }: Extract<Traffic, { kind: "batch" }>,
): RequestSource {
  const bodies = makeBodies(mix);
  const contended = contendedTurns(mix);
  let sent = 0;
  let requests = 0;
  return {
    orders: size,
    kind: 0,
    needle: '{"status":201,',
    next() {
      const orders: string[] = [];
      for (let index = 0; index < size; index += 1) {
        const body = bodies[sent % bodies.length]!;
        sent += 1;
        const order = body.before + (body.window ?? contended()) + body.after;
        orders.push(`{"idempotencyKey":"${runId}-${sent}",${order.slice(1)}`);
      }
      const text = `{"orders":[${orders.join(",")}]}`;
      const key = keys[requests++ % keys.length]!;
      return (
        `POST /v1/orders/batch HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${key}\r\n` +
        `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
      );
    },
  };
}

const readsOf = (host: string, { orders }: Extract<Traffic, { kind: "reads" }>): readonly string[] =>
  orders.map(
    ({ id, key }) => `GET /v1/orders/${id} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${key}\r\n\r\n`,
  );

const quotesOf = (host: string, { keys, bodies }: Extract<Traffic, { kind: "quotes" }>): readonly string[] =>
  bodies.map(
    (body, index) =>
      `POST /v1/quotes HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${keys[index % keys.length]!}\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );

function inTurn(requests: readonly string[]): RequestSource {
  let sent = 0;
  return {
    orders: 0,
    kind: 0,
    next: () => requests[sent++ % requests.length]!,
  };
}
