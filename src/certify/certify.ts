import { Agent } from "undici";
import type { Addressee } from "../channels/protocol.ts";
import type { Clock } from "../platform/clock.ts";
import { type Listener, listenForCallbacks } from "./callbacks.ts";
import { Broken, createProbe, type Probe, Skipped } from "./probe.ts";
import type { CertifyReport, CheckResult } from "./report.ts";
import type { Rule, Run } from "./rule.ts";
import { bookingRules } from "./rules-booking.ts";
import { callbackRules } from "./rules-callbacks.ts";
import { cancelRules } from "./rules-cancel.ts";
import { holdRules } from "./rules-hold.ts";
import { capabilitiesRule, optionalRules } from "./rules-optional.ts";
import { signatureRules } from "./rules-signature.ts";

export interface CertifyOptions {
  endpoint: string;
  addressee: Addressee;
  /** `whsec_…`, of the channel. */
  secret: string;
  /** Answers must come within this (the channel's `bookTimeoutMs`). */
  timeoutMs: number;
  /** Port for reports, 0 takes a free one; without it the rules of reports are skipped. */
  listen?: number;
  /** How long a report is waited for. */
  waitMs: number;
  clock: Clock;
  /** Where reports are listened for, before the first booking. */
  onListening?: (url: string) => void | Promise<void>;
}

const page = "docs/channel-protocol.md";

/** Reports run before `cancel.too-late`, which takes their booking; capabilities before batches. */
const rules: readonly Rule[] = [
  capabilitiesRule,
  ...bookingRules,
  ...callbackRules,
  ...cancelRules,
  ...holdRules,
  ...optionalRules,
  ...signatureRules,
];

/**
 * Holds an endpoint against docs/channel-protocol.md, rule by rule; a broken one does not keep the others from being looked at.
 * Each rule uses keys of its own and cancels what it booked. Throws when the endpoint can't be reached at all.
 */
export async function certify(options: CertifyOptions): Promise<CertifyReport> {
  const { clock, timeoutMs } = options;
  const dispatcher = new Agent();
  const endpoint = options.endpoint.replace(/\/+$/, "");
  const probe = createProbe({ ...options, endpoint, dispatcher });
  let listener: Listener | undefined;
  try {
    if (options.listen !== undefined) {
      listener = await listenForCallbacks(options.listen, probe.signer, clock);
      await options.onListening?.(listener.url);
    }
    const run: Run = { probe, listener, waitMs: options.waitMs, reportedKey: undefined, maxBatch: 0 };
    const reached = await probe.get("/capabilities");
    if (reached.status === 0) throw new Error(`${endpoint} does not answer: ${reached.text}`);
    const checks: CheckResult[] = [];
    for (const rule of rules) checks.push(await check(rule, run));
    checks.push(inTime(probe, timeoutMs));
    const count = (verdict: CheckResult["verdict"]) =>
      checks.filter((each) => each.verdict === verdict).length;
    const failed = count("failed");
    return {
      endpoint,
      ok: failed === 0,
      passed: count("passed"),
      failed,
      skipped: count("skipped"),
      slowestMs: probe.slowest.ms,
      timeoutMs,
      checks,
    };
  } finally {
    await listener?.close();
    await dispatcher.destroy();
  }
}

async function check({ id, rule, section, run: look }: Rule, run: Run): Promise<CheckResult> {
  const { probe } = run;
  probe.steps = [];
  const result = (verdict: CheckResult["verdict"], note?: string): CheckResult => ({
    id,
    rule,
    section: `${page}, "${section}"`,
    verdict,
    steps: probe.steps,
    ...(note === undefined ? {} : { note }),
  });
  try {
    await look(run);
    return result("passed");
  } catch (error) {
    if (error instanceof Skipped) return result("skipped", error.message);
    if (error instanceof Broken) return result("failed");
    throw error;
  } finally {
    await tidyUp(probe);
  }
}

/** Nothing that a check booked is left behind; what comes of it is of no interest here. */
async function tidyUp(probe: Probe): Promise<void> {
  const keys = [...probe.open];
  probe.open.clear();
  await Promise.all(keys.map((key) => probe.ask(probe.cancel(key))));
}

function inTime({ slowest }: Probe, timeoutMs: number): CheckResult {
  const ok = slowest.ms <= timeoutMs;
  return {
    id: "answers.in-time",
    rule: `every call was answered within ${timeoutMs} ms`,
    section: `${page}, "Answers to hold, book and cancel"`,
    verdict: ok ? "passed" : "failed",
    steps: [
      {
        sent: slowest.sent,
        expected: `an answer within ${timeoutMs} ms`,
        came: `after ${slowest.ms} ms`,
        ok,
      },
    ],
  };
}
