import type { FastifyRequest } from "fastify";
import { LRUCache } from "lru-cache";
import { Webhook } from "standardwebhooks";
import { UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { channelNotFound } from "./routes-channels.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import { callback, callbackAnswer, callbackHeaders } from "./schemas-channels.ts";
import { toUtc } from "./submission.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The body as it came, on routes that verify a signature over it. */
    signedText: string;
  }
}

const maxCallbackBytes = 64 * 1024;
/** Verifiers kept, by secret: a changed secret is another entry. */
const maxVerifiers = 10_000;
const secretCacheMs = 30_000;

/** What channels report of their bookings: signed (Standard Webhooks) instead of an API key. */
export function callbackRoutes(app: App, world: GatewayWorld): void {
  const { orchestration } = world;
  const verify = createVerifier(world);

  app.register(async (scope: App) => {
    keepSignedText(scope);
    const schema = {
      tags: ["channels"],
      operationId: "reportFromChannel",
      summary: "A channel reports what became of a booking",
      description:
        "No API key: the body is signed with the channel's secret (Standard Webhooks). Repeats are recognised by callbackId; " +
        "reports before the booking's own answer are kept, those of a superseded attempt ignored. See docs/channel-protocol.md.",
      security: [],
      params: idParams,
      headers: callbackHeaders,
      body: callback.ref,
      ...answers(
        callbackAnswer.ref,
        { 200: "What was done with the report" },
        problemAnswers(
          { key: false, body: true },
          "signature_invalid",
          "channel_not_found",
          "attempt_unknown",
        ),
      ),
    };
    const options = { schema, bodyLimit: maxCallbackBytes, preValidation: verify };
    scope.post("/v1/channels/:id/callbacks", options, async (request, reply) => {
      const { callbackId, attemptKey, kind, at, reason } = request.body;
      const { id: channelId } = request.params;
      const by = { actor: `channel:${channelId}`, source: request.ip };
      const report = {
        channelId,
        callbackId,
        attemptKey,
        kind,
        at: toUtc(at),
        by,
        ...(reason === undefined ? {} : { reason }),
      };
      const [result] = await orchestration.callbacks([report]);
      if (result!.kind === "refused") throw new UoopError(result!.code, result!.detail);
      return reply.send({ result: result!.kind, detail: result!.detail });
    });
  });
}

function keepSignedText(scope: App): void {
  const parse = scope.getDefaultJsonParser("error", "error");
  scope.removeContentTypeParser("application/json");
  scope.addContentTypeParser("application/json", { parseAs: "string" }, (request, body: string, done) => {
    request.signedText = body;
    parse(request, body, done);
  });
}

/** Checks the signature before the fields: who can't sign is told nothing about what is in a body. */
function createVerifier({ capacity, clock }: GatewayWorld) {
  const verifiers = new LRUCache<string, { webhook: Webhook | null; untilMs: number }>({ max: maxVerifiers });

  async function verifierOf(channelId: string): Promise<Webhook | null> {
    const known = verifiers.get(channelId);
    if (known && known.untilMs > clock.nowMs()) return known.webhook;
    const secret = await capacity.callbackSecret(channelId);
    const webhook = secret === null ? null : new Webhook(secret);
    // That a channel is unknown is not remembered: it may be made the next moment.
    if (webhook) verifiers.set(channelId, { webhook, untilMs: clock.nowMs() + secretCacheMs });
    return webhook;
  }

  return async (request: FastifyRequest): Promise<void> => {
    const { id } = request.params as { id: string };
    const webhook = isId("chn", id) ? await verifierOf(id) : null;
    if (webhook === null) throw channelNotFound(id);
    try {
      webhook.verify(request.signedText ?? "", signatureHeaders(request), { jsonParse: false });
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : "it does not verify";
      throw new UoopError("signature_invalid", `The Standard Webhooks signature is refused: ${detail}.`, {
        cause,
      });
    }
  };
}

// Only the three that matter: the library lower-cases every header that it is given.
const signatureHeaders = ({ headers }: FastifyRequest): Record<string, string> => ({
  "webhook-id": String(headers["webhook-id"] ?? ""),
  "webhook-timestamp": String(headers["webhook-timestamp"] ?? ""),
  "webhook-signature": String(headers["webhook-signature"] ?? ""),
});
