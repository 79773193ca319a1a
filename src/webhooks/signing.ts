import { createHmac, createSecretKey, randomBytes } from "node:crypto";
import { digest } from "../platform/ids.ts";

const prefix = "whsec_";

/** A new secret: `whsec_` and 32 random bytes in base64, as Standard Webhooks has them. */
export const newSecret = (): string => prefix + randomBytes(32).toString("base64");

/**
 * A message's id: the same at every try, so a receiver knows a repeat by it. Made of its events' ids, which have full stops, and
 * the standard joins id, time and body by full stops.
 */
export const messageId = (eventIds: readonly string[]): string => `msg_${digest(eventIds.join(","))}`;

export interface Secrets {
  secret: string;
  /** Signs as well while it is valid. */
  previousSecret: string | null;
  previousSecretUntilMs: number | null;
}

export type Sign = (id: string, nowMs: number, body: Buffer) => Record<string, string>;

/**
 * Makes the headers of Standard Webhooks: HMAC-SHA-256 over id, time and body, one signature for each secret that is valid. Signing
 * 2.4 KB takes 5 µs; 20 when the key is made each time, 33 by the package of that name. Tests verify with the package.
 */
export function createSigner({ secret, previousSecret, previousSecretUntilMs }: Secrets): Sign {
  const keyOf = (text: string) => createSecretKey(Buffer.from(text.slice(prefix.length), "base64"));
  const key = keyOf(secret);
  const previous = previousSecret === null ? undefined : keyOf(previousSecret);
  return (id, nowMs, body) => {
    const timestamp = String(Math.floor(nowMs / 1_000));
    const sign = (by: typeof key) =>
      `v1,${createHmac("sha256", by).update(`${id}.${timestamp}.`).update(body).digest("base64")}`;
    const both = previous !== undefined && nowMs < (previousSecretUntilMs ?? 0);
    return {
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": both ? `${sign(key)} ${sign(previous)}` : sign(key),
    };
  };
}
