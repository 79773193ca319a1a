import { Agent } from "undici";
import { type Certificate, type CheckResult, certify } from "../channels/certify/certify.ts";
import { protocolVersion } from "../channels/protocol.ts";
import { createSigner } from "../channels/signature.ts";
import { systemClock } from "../platform/clock.ts";
import { createIds } from "../platform/ids.ts";
import { type CertifyCommandOptions, UsageError } from "./program.ts";

/** Holds a partner's endpoint against the channel protocol; exit code 1 when a rule is broken. */
export async function certifyCommand(endpoint: string, options: CertifyCommandOptions): Promise<number> {
  if (!/^https?:$/.test(URL.parse(endpoint)?.protocol ?? ""))
    throw new UsageError(`"${endpoint}" is not an http:// or https:// address`);
  if (!isSecret(options.secret)) throw new UsageError("--secret must be the channel's secret, whsec_…");
  const ids = createIds();
  const channelId = options.channel ?? ids.create("chn", systemClock.nowMs());
  const dispatcher = new Agent({ connections: 16 });
  const say = (text: string): void => (options.json ? undefined : console.log(text));
  say(
    `${endpoint} as ${channelId}${options.partner ? `, member ${options.partner}` : ""}, ${protocolVersion}\n`,
  );
  try {
    const certificate = await certify({
      endpoint,
      protocol: protocolVersion,
      secret: options.secret,
      to: { channelId, ...(options.partner === undefined ? {} : { partner: options.partner }) },
      timeoutMs: options.timeout,
      dispatcher,
      clock: systemClock,
      ids,
      onResult: (result) => say(lineOf(result)),
    });
    say(`\n${summaryOf(certificate)}`);
    if (options.json) console.log(JSON.stringify(certificate));
    return certificate.ok ? 0 : 1;
  } finally {
    await dispatcher.destroy();
  }
}

function isSecret(text: string): boolean {
  try {
    createSigner(text);
    return text.startsWith("whsec_");
  } catch {
    return false;
  }
}

/** Of a check that failed; --json has all of them, whole. */
const maxShownCalls = 3;
const maxShownText = 400;
const shortened = (text: string): string =>
  text.length > maxShownText ? `${text.slice(0, maxShownText)}…` : text;

const marks = { passed: "✓", failed: "✗", skipped: "–" } as const;

function lineOf({ id, rule, section, outcome, why, expected, got, exchanges = [] }: CheckResult): string {
  const head = `${marks[outcome]} ${id.padEnd(17)} ${rule}`;
  if (outcome === "skipped") return `${head}\n    skipped: ${why}`;
  if (outcome === "passed") return head;
  const calls = exchanges
    .slice(-maxShownCalls)
    .flatMap(({ sent, came }) => [`    → ${shortened(sent)}`, `    ← ${shortened(came)}`]);
  return [
    head,
    ...calls,
    `    expected: ${expected}`,
    `    got:      ${got}`,
    `    see docs/channel-protocol.md, ${section}`,
  ].join("\n");
}

function summaryOf({ results, ok }: Certificate): string {
  const count = (outcome: CheckResult["outcome"]) => results.filter((one) => one.outcome === outcome).length;
  const counts = `${count("passed")} rules hold, ${count("skipped")} skipped, ${count("failed")} broken`;
  return ok ? `${counts}: it speaks the protocol` : `${counts}: not yet`;
}
