import { bulkhead } from "cockatiel";
import type { Dispatcher } from "undici";
import type { CallbackKind } from "../../orchestration/api.ts";
import { type Clock, sleep } from "../../platform/clock.ts";
import { digest } from "../../platform/ids.ts";
import type { Log } from "../../platform/log.ts";
import { type Sent, send } from "../transport.ts";
import { pick } from "./random.ts";
import { count, type KnownChannel, type Settings } from "./settings.ts";

/** One report of a channel to the platform, as docs/channel-protocol.md has it. */
export interface Report {
  channelId: string;
  attemptKey: string;
  kind: CallbackKind;
  at: string;
  reason?: string;
}

/** What came of it: taken note of, turned down for good, or not got through (tries used up, or closing). */
type Told =
  | { kind: "taken"; status: number; result: string; detail: string }
  | { kind: "final"; status: number; detail: string }
  | { kind: "given_up"; detail: string };

export interface Reporter {
  /** Sends the signed report, again with growing pauses until it is taken or turned down for good. Never throws. */
  tell(report: Report, options?: { maxTries?: number }): Promise<Told>;
  close(): void;
}

const maxReportsAtOnce = 32;
// One report per cooking order waits at most; the limit is there to be seen when it is not so.
const maxReportsWaiting = 1_000_000;
const timeoutMs = 10_000;
const firstPauseMs = 200;
const longestPauseMs = 5_000;
const noPlatformPauseMs = 500;

export function createReporter(world: {
  dispatcher: Dispatcher;
  clock: Clock;
  log: Log;
  settings: Settings;
}): Reporter {
  const { clock, settings } = world;
  const lines = bulkhead(maxReportsAtOnce, maxReportsWaiting);
  let closed = false;

  async function post(channel: KnownChannel, url: string, report: Report): Promise<Sent> {
    const { channelId, ...rest } = report;
    // The id follows from what is reported: a repeat after a restart is known as one.
    const callbackId = `cbk_${digest(`${report.attemptKey}/${report.kind}`)}`;
    const body = JSON.stringify({ callbackId, ...rest });
    const call = {
      method: "POST" as const,
      url: `${url}/v1/channels/${channelId}/callbacks`,
      headers: {
        "content-type": "application/json",
        ...channel.signer.sign(callbackId, clock.nowMs(), body),
      },
      body,
      timeoutMs,
    };
    const sent = await send(world.dispatcher, clock, call);
    if (channel.random() < channel.behaviourOf(undefined).duplicateCallbackRate) {
      count(channel, "callback.repeated");
      await send(world.dispatcher, clock, call);
    }
    return sent;
  }

  return {
    async tell(report, { maxTries = Number.POSITIVE_INFINITY } = {}) {
      for (let tries = 1; !closed; tries += 1) {
        const channel = settings.channel(report.channelId);
        if (!channel) return { kind: "final", status: 0, detail: "the channel is not known here" };
        const { platform } = settings;
        const sent = platform
          ? await lines.execute(() => post(channel, platform.url, report))
          : ({ kind: "not_sent", detail: "the platform's address is not set" } as const);
        const told = read(sent);
        count(channel, `callback.${told?.kind ?? "again"}`);
        if (told) {
          if (told.kind === "final") world.log.warn({ ...report, ...told }, "report turned down for good");
          return told;
        }
        if (tries >= maxTries) return { kind: "given_up", detail: `${tries} tries: ${describe(sent)}` };
        const pauseMs = platform
          ? Math.min(firstPauseMs * 2 ** (tries - 1), longestPauseMs)
          : noPlatformPauseMs;
        await sleep(clock, pick(channel.random, { min: pauseMs / 2, max: pauseMs }));
      }
      return { kind: "given_up", detail: "the simulator is closing" };
    },
    close() {
      closed = true;
    },
  };
}

// Answers that a repeat would not change. Everything else (5xx, 408, 409, 425, 429, no answer) is tried again.
const final = new Set([400, 401, 403, 404, 405, 413, 415, 422]);

/** Undefined: to be tried again. */
function read(sent: Sent): Told | undefined {
  if (sent.kind !== "response") return undefined;
  if (sent.status >= 200 && sent.status < 300) {
    const { result = "", detail = "" } = parse(sent.body);
    return { kind: "taken", status: sent.status, result, detail };
  }
  return final.has(sent.status) ? { kind: "final", status: sent.status, detail: describe(sent) } : undefined;
}

function parse(text: string): { result?: string; detail?: string } {
  try {
    return JSON.parse(text) as { result?: string; detail?: string };
  } catch {
    return {};
  }
}

const describe = (sent: Sent): string =>
  sent.kind === "response" ? `${sent.status} ${sent.body.slice(0, 300)}` : sent.detail;
