import type { FastifyReply } from "fastify";
import type { Webhook, WebhookSettings } from "../webhooks/api.ts";
import type { App, GatewayWorld } from "./app.ts";
import { visibleTo } from "./auth.ts";
import { readCursor, writeCursor } from "./cursors.ts";
import { readIfMatch } from "./if-match.ts";
import { answers, idParams, ifMatchHeaders, problemAnswers } from "./schemas.ts";
import * as schemas from "./schemas-webhooks.ts";

const tags = ["webhooks"];
const scope = "webhooks:write";

export function webhookRoutes(app: App, world: GatewayWorld): void {
  createWebhook(app, world);
  listWebhooks(app, world);
  getWebhook(app, world);
  patchWebhook(app, world);
  deleteWebhook(app, world);
  pauseAndResume(app, world);
  rotateSecret(app, world);
  pingWebhook(app, world);
}

const sendWebhook = (reply: FastifyReply, shown: Webhook): FastifyReply =>
  reply.code(200).header("etag", `"${shown.version}"`).send(shown);

function createWebhook(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "createWebhook",
    summary: "Have events sent to an address",
    description:
      "From now on; what happened before is not sent. With an admin key: all clients' orders, and channels.",
    body: schemas.newWebhook.ref,
    ...answers(
      schemas.webhookWithSecret.ref,
      { 201: "The webhook, with the secret that signs what it gets" },
      problemAnswers({ key: true, body: true }, "webhook_target_refused", "webhook_limit_reached"),
    ),
  };
  app.post("/v1/webhooks", { schema, onRequest: requires(scope) }, async (request, reply) => {
    const { types = null, ...rest } = { ...schemas.webhookDefaults, ...request.body };
    const { clientId } = request.principal;
    const owner = { clientId, everything: visibleTo(request.principal) === null };
    const { webhook, secret } = await webhooks.create({ ...rest, types }, owner);
    reply.header("location", `/v1/webhooks/${webhook.id}`).header("etag", `"${webhook.version}"`);
    return reply.code(201).send({ ...webhook, secret });
  });
}

function listWebhooks(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "listWebhooks",
    summary: "List webhooks, old to new",
    querystring: schemas.pageQuery,
    ...answers(
      schemas.webhookList,
      { 200: "Webhooks, old to new, each with how it goes" },
      problemAnswers({ key: true, body: false }, "validation_failed", "cursor_invalid"),
    ),
  };
  app.get("/v1/webhooks", { schema, onRequest: requires(scope) }, async (request, reply) => {
    const { cursor, limit } = request.query;
    const afterId = cursor === undefined ? null : readCursor(cursor, "whk", "webhooks");
    const found = await webhooks.list(visibleTo(request.principal), { afterId, limit: limit + 1 });
    const items = found.slice(0, limit);
    const last = items.at(-1);
    return reply.send({
      items,
      nextCursor: found.length > limit && last ? writeCursor(last.id, "webhooks") : null,
    });
  });
}

function getWebhook(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "getWebhook",
    summary: "Read a webhook and how its deliveries go",
    params: idParams,
    ...answers(
      schemas.webhook.ref,
      { 200: "The webhook" },
      problemAnswers({ key: true, body: false }, "webhook_not_found"),
    ),
  };
  app.get("/v1/webhooks/:id", { schema, onRequest: requires(scope) }, async (request, reply) =>
    sendWebhook(reply, await webhooks.get(request.params.id, visibleTo(request.principal))),
  );
}

function patchWebhook(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "patchWebhook",
    summary: "Change a webhook",
    params: idParams,
    headers: ifMatchHeaders,
    body: schemas.webhookPatch.ref,
    ...answers(
      schemas.webhook.ref,
      { 200: "The webhook as it is now" },
      problemAnswers(
        { key: true, body: true },
        ...(["webhook_not_found", "version_conflict", "webhook_target_refused"] as const),
      ),
    ),
  };
  app.patch("/v1/webhooks/:id", { schema, onRequest: requires(scope) }, async (request, reply) => {
    const expected = readIfMatch(request.headers["if-match"]);
    const patch: Partial<WebhookSettings> = request.body;
    const viewer = visibleTo(request.principal);
    return sendWebhook(reply, await webhooks.patch(request.params.id, viewer, patch, expected));
  });
}

function deleteWebhook(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "deleteWebhook",
    summary: "Delete a webhook, what is pending for it and its dead letters",
    params: idParams,
    answers: {
      204: { type: "null", description: "It is gone" },
      ...problemAnswers(
        { key: true, body: false },
        ...(["webhook_not_found", "payload_too_large", "media_type_unsupported"] as const),
      ),
    },
  };
  app.delete("/v1/webhooks/:id", { schema, onRequest: requires(scope) }, async (request, reply) => {
    await webhooks.remove(request.params.id, visibleTo(request.principal));
    return reply.code(204).send();
  });
}

function pauseAndResume(app: App, { webhooks, requires }: GatewayWorld): void {
  for (const [verb, status, summary] of [
    ["pause", "paused", "Send nothing to it for now; nothing is lost"],
    ["resume", "active", "Go on where it was paused"],
  ] as const) {
    const schema = {
      tags,
      operationId: `${verb}Webhook`,
      summary,
      params: idParams,
      ...answers(
        schemas.webhook.ref,
        { 200: "The webhook as it is now" },
        problemAnswers(
          { key: true, body: false },
          ...(["webhook_not_found", "payload_too_large", "media_type_unsupported"] as const),
        ),
      ),
    };
    app.post(`/v1/webhooks/:id/${verb}`, { schema, onRequest: requires(scope) }, async (request, reply) => {
      const { id } = request.params as { id: string };
      return sendWebhook(reply, await webhooks.setStatus(id, visibleTo(request.principal), status));
    });
  }
}

function rotateSecret(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "rotateWebhookSecret",
    summary: "Give it a new secret",
    description: "For `graceHours` the secret before signs as well: each request then has both signatures.",
    params: idParams,
    body: schemas.secretRotation.ref,
    ...answers(
      schemas.webhookWithSecret.ref,
      { 200: "The webhook with its new secret" },
      problemAnswers({ key: true, body: true }, "webhook_not_found"),
    ),
  };
  const onRequest = requires(scope);
  app.post("/v1/webhooks/:id/rotate-secret", { schema, onRequest }, async (request, reply) => {
    const graceMs = (request.body.graceHours ?? schemas.defaultGraceHours) * 3_600_000;
    const viewer = visibleTo(request.principal);
    const { webhook, secret } = await webhooks.rotateSecret(request.params.id, viewer, graceMs);
    return reply.header("etag", `"${webhook.version}"`).send({ ...webhook, secret });
  });
}

function pingWebhook(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "pingWebhook",
    summary: "Send it a test event now",
    description: "An event of the type `ping`, signed as all are, sent once, also while it is paused.",
    params: idParams,
    ...answers(
      schemas.ping.ref,
      { 200: "What came of it" },
      problemAnswers(
        { key: true, body: false },
        ...(["webhook_not_found", "payload_too_large", "media_type_unsupported"] as const),
      ),
    ),
  };
  app.post("/v1/webhooks/:id/ping", { schema, onRequest: requires(scope) }, async (request, reply) =>
    reply.send(await webhooks.ping(request.params.id, visibleTo(request.principal))),
  );
}
