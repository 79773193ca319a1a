import type { Problem } from "../../src/platform/errors.ts";

export interface Answer<T> {
  status: number;
  headers: Headers;
  text: string;
  body: T & Partial<Pick<Problem, "code" | "detail" | "errors">>;
}

/** A small HTTP client of the API: JSON in, JSON out, with one key. */
export function clientOf(url: string, key: string | null) {
  return async function call<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(url + path, {
      method,
      redirect: "manual",
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: (isJson ? JSON.parse(text) : {}) as Answer<T>["body"],
    };
  };
}

export type Call = ReturnType<typeof clientOf>;

const inHours = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();

/** A good order in two hours; `change` may spoil it. */
export function anOrder(change: Record<string, unknown> = {}) {
  return {
    customerId: "cus_42",
    currency: "AED",
    items: [{ sku: "meal-123", quantity: 2, unitPriceMinor: 4_500 }],
    delivery: {
      location: { lat: 25.0772, lng: 55.1405 },
      window: { start: inHours(2), end: inHours(4) },
    },
    ...change,
  };
}

export function aChannel(change: Record<string, unknown> = {}) {
  return {
    type: "internal_kitchen",
    name: "Marina Kitchen",
    location: { lat: 25.08, lng: 55.14 },
    serviceRadiusMeters: 8_000,
    vehicles: ["bike", "car"],
    costModel: { currency: "AED", baseMinor: 500, perKmMinor: 50, perUnitMinor: 10 },
    ...change,
  };
}

/** The first events of a stream, as `[id, event]`; resolves when `enough` says so or the stream ends. */
export async function readStream(
  url: string,
  key: string,
  options: { lastEventId?: string; enough(events: readonly StreamEvent[]): boolean; onOpen?(): void },
): Promise<{ status: number; events: StreamEvent[]; ended: boolean }> {
  const response = await fetch(url, {
    headers: {
      authorization: `Bearer ${key}`,
      ...(options.lastEventId === undefined ? {} : { "last-event-id": options.lastEventId }),
    },
  });
  const events: StreamEvent[] = [];
  if (response.status !== 200 || !response.body) return { status: response.status, events, ended: true };
  options.onOpen?.();
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop()!;
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event) events.push(event);
    }
    // Leaving the loop cancels the body, which closes the connection.
    if (options.enough(events)) return { status: 200, events, ended: false };
  }
  return { status: 200, events, ended: true };
}

export interface StreamEvent {
  id: string;
  type: string;
  data: { subject: string; subjectversion: number; type: string; data: Record<string, unknown> };
}

function parseBlock(block: string): StreamEvent | null {
  const fields = Object.fromEntries(
    block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]),
  );
  return fields.data === undefined
    ? null
    : { id: fields.id ?? "", type: fields.event ?? "", data: JSON.parse(fields.data) };
}
