import { type Dispatcher, request } from "undici";
import type { Clock } from "../platform/clock.ts";
import type { Sign } from "./signing.ts";

/** What came of one request. */
export interface Sent {
  ok: boolean;
  /** 0: there was no answer. */
  status: number;
  ms: number;
  /** In words, when it failed. */
  reason: string | null;
  /** The answer asks to be left alone for so long (429, 503). */
  retryAfterMs: number;
}

export interface Message {
  id: string;
  body: Buffer;
  url: string;
  sign: Sign;
  timeoutMs: number;
}

/** Bytes of an answer that are read (and thrown away) so that the connection can be kept; a longer answer costs it. */
const maxAnswerBytes = 16_384;
const maxRetryAfterMs = 3_600_000;

/** Sends one signed request. Never throws, never follows a redirect; the status alone counts, not what else is answered. */
export async function send(dispatcher: Dispatcher, clock: Clock, message: Message): Promise<Sent> {
  const { id, body, url, sign, timeoutMs } = message;
  const startedMs = clock.nowMs();
  const abort = new AbortController();
  const forget = clock.after(timeoutMs, () => abort.abort());
  const failed = (reason: string, status = 0, retryAfterMs = 0): Sent => {
    return { ok: false, status, ms: clock.nowMs() - startedMs, reason, retryAfterMs };
  };
  try {
    const {
      statusCode,
      headers,
      body: answer,
    } = await request(url, {
      dispatcher,
      method: "POST",
      headers: {
        "content-type": "application/json",
        "user-agent": "uoop-webhooks",
        ...sign(id, startedMs, body),
      },
      body,
      signal: abort.signal,
    });
    await answer.dump({ limit: maxAnswerBytes, signal: abort.signal }).catch(() => undefined);
    if (statusCode >= 200 && statusCode < 300)
      return { ok: true, status: statusCode, ms: clock.nowMs() - startedMs, reason: null, retryAfterMs: 0 };
    const redirect = statusCode >= 300 && statusCode < 400 ? " (redirects are not followed)" : "";
    return failed(
      `answered ${statusCode}${redirect}`,
      statusCode,
      readRetryAfterMs(headers["retry-after"], clock.nowMs()),
    );
  } catch (error) {
    if (abort.signal.aborted) return failed(`no answer within ${timeoutMs} ms`);
    return failed(inWords(error));
  } finally {
    forget();
  }
}

function inWords(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: string };
  return `${typeof code === "string" ? `${code}: ` : ""}${message || "the connection failed"}`.slice(0, 500);
}

/** Retry-After in seconds or as a date (RFC 9110 §10.2.3), an hour at most; 0 when it is neither. */
function readRetryAfterMs(header: string | string[] | undefined, nowMs: number): number {
  const text = [header].flat()[0];
  if (text === undefined) return 0;
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), maxRetryAfterMs) : 0;
}
