import { Webhook, WebhookVerificationError } from "standardwebhooks";

/** Headers of a signed request (Standard Webhooks: HMAC-SHA-256 over id, timestamp and body). */
interface SignatureHeaders {
  "webhook-id": string;
  "webhook-timestamp": string;
  "webhook-signature": string;
}

export interface Signer {
  sign(messageId: string, nowMs: number, body: string): SignatureHeaders;
  /** Whether the headers sign this body; older or newer than five minutes counts as no. */
  verifies(headers: Record<string, unknown>, body: string): boolean;
}

/** Signs and verifies with one channel's secret (`whsec_…` or plain base64). Throws when it is neither. */
export function createSigner(secret: string): Signer {
  const webhook = new Webhook(secret);
  return {
    sign: (messageId, nowMs, body) => ({
      "webhook-id": messageId,
      "webhook-timestamp": String(Math.floor(nowMs / 1_000)),
      "webhook-signature": webhook.sign(messageId, new Date(nowMs), body),
    }),
    verifies(headers, body) {
      try {
        webhook.verify(body, headers as Record<string, string>, { jsonParse: false });
        return true;
      } catch (error) {
        if (error instanceof WebhookVerificationError) return false;
        throw error;
      }
    },
  };
}
