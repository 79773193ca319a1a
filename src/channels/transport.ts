import { type Dispatcher, request } from "undici";
import type { Clock } from "../platform/clock.ts";

/** What came of sending bytes: an HTTP answer, surely nothing (`not_sent`), or nobody knows (`lost`). */
export type Sent =
  | { kind: "response"; status: number; retryAfterMs: number | undefined; body: string }
  | { kind: "not_sent"; detail: string }
  | { kind: "lost"; detail: string };

export interface HttpCall {
  method: "GET" | "POST";
  url: string;
  headers: Record<string, string>;
  body?: string;
  timeoutMs: number;
}

/** A timer this late tells that our own process stood still: the answer may lie unread in its socket. */
const stalledMs = 200;
/** Then what lies there is read first. */
const readFirstMs = 100;

/** Sends one request and reads its answer whole. Never throws: what went wrong is in the value. */
export async function send(dispatcher: Dispatcher, clock: Clock, call: HttpCall): Promise<Sent> {
  const abort = new AbortController();
  const startedMs = clock.nowMs();
  let forget = clock.after(call.timeoutMs, () => {
    if (clock.nowMs() - startedMs < call.timeoutMs + stalledMs) abort.abort();
    else forget = clock.after(readFirstMs, () => abort.abort());
  });
  try {
    const response = await request(call.url, {
      dispatcher,
      method: call.method,
      headers: call.headers,
      body: call.body ?? null,
      signal: abort.signal,
    });
    const body = await response.body.text();
    return {
      kind: "response",
      status: response.statusCode,
      retryAfterMs: readRetryAfterMs(response.headers["retry-after"], clock.nowMs()),
      body,
    };
  } catch (error) {
    if (abort.signal.aborted) return { kind: "lost", detail: `no answer within ${call.timeoutMs} ms` };
    return whatHappened(error);
  } finally {
    forget();
  }
}

// Failures from before the first byte was written. Everything else may have reached the channel, so it counts as lost.
const beforeSending = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_CLOSED",
  "UND_ERR_INVALID_ARG",
  "ERR_INVALID_URL",
]);
const certificateTrouble = /^(CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

function whatHappened(error: unknown): Sent {
  const { code, message } = error as { code?: unknown; message?: string };
  const detail = `${typeof code === "string" ? `${code}: ` : ""}${message || "connection failed"}`;
  const early = typeof code === "string" && (beforeSending.has(code) || certificateTrouble.test(code));
  return { kind: early ? "not_sent" : "lost", detail };
}

/** Retry-After in seconds or as a date (RFC 9110 §10.2.3), capped at an hour; undefined when it is neither. */
function readRetryAfterMs(header: string | string[] | undefined, nowMs: number): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), 3_600_000) : undefined;
}
