import { readFileSync } from "node:fs";
import { certify } from "../certify/certify.ts";
import { toText } from "../certify/report.ts";
import { createSigner } from "../channels/signature.ts";
import { systemClock } from "../platform/clock.ts";
import { type CertifyCommandOptions, UsageError } from "./program.ts";

const defaultTimeoutMs = 2_000;
const defaultWaitSeconds = 60;

/** Runs the channel protocol's rules against a partner's endpoint; exit code 1 when one is broken. */
export async function certifyCommand(url: string, options: CertifyCommandOptions): Promise<number> {
  const alive = setInterval(() => undefined, 60_000); // timers of the checks keep nothing alive
  const report = await certify({
    endpoint: readUrl(url),
    addressee: {
      channelId: options.channel,
      ...(options.partner === undefined ? {} : { partner: options.partner }),
    },
    secret: readSecret(options.secret),
    timeoutMs: options.timeout ?? defaultTimeoutMs,
    waitMs: (options.wait ?? defaultWaitSeconds) * 1_000,
    clock: systemClock,
    ...(options.listen === undefined ? {} : { listen: options.listen }),
    onListening: (at) =>
      console.error(`Listening for your reports at ${at}/v1/channels/${options.channel}/callbacks`),
  }).finally(() => clearInterval(alive));
  for (const line of options.json ? [JSON.stringify(report)] : toText(report)) console.log(line);
  return report.ok ? 0 : 1;
}

function readUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`"${text}" is not an http or https address. It is the endpoint, without /book.`);
}

/** `whsec_…`, or `@path` of a file that holds it: what is on the command line is seen by everyone on the machine. */
function readSecret(text: string): string {
  let secret = text;
  try {
    if (text.startsWith("@")) secret = readFileSync(text.slice(1), "utf8").trim();
    createSigner(secret).sign("msg_x", 0, "");
  } catch (error) {
    throw new UsageError(`The secret can't be used: ${(error as Error).message}`);
  }
  return secret;
}
