import type { DeadLetterFilter } from "../webhooks/api.ts";
import type { App, GatewayWorld } from "./app.ts";
import { visibleTo } from "./auth.ts";
import { readCursor, writeCursor } from "./cursors.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import * as schemas from "./schemas-webhooks.ts";

const tags = ["webhooks"];
const scope = "webhooks:write";

/** What could not be delivered: a client sees its own webhooks', an admin key all. */
export function deadLetterRoutes(app: App, world: GatewayWorld): void {
  listDeadLetters(app, world);
  getDeadLetter(app, world);
  replayOne(app, world);
  replayMany(app, world);
}

interface Given extends Omit<DeadLetterFilter, "fromMs" | "toMs"> {
  from?: string;
  to?: string;
}

const toFilter = ({ from, to, ...rest }: Given): DeadLetterFilter => ({
  ...rest,
  ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
  ...(to === undefined ? {} : { toMs: Date.parse(to) }),
});

function listDeadLetters(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "listDeadLetters",
    summary: "Events that could not be delivered, newest first",
    querystring: schemas.deadLetterQuery,
    ...answers(
      schemas.deadLetterList,
      { 200: "Dead letters, newest first" },
      problemAnswers({ key: true, body: false }, "validation_failed", "cursor_invalid"),
    ),
  };
  app.get("/v1/dead-letters", { schema, onRequest: requires(scope) }, async (request, reply) => {
    const { cursor, limit, ...given } = request.query;
    const beforeId = cursor === undefined ? null : readCursor(cursor, "dlt", given);
    const page = { beforeId, limit: limit + 1 };
    const found = await webhooks.deadLetters(visibleTo(request.principal), toFilter(given), page);
    const items = found.slice(0, limit);
    const last = items.at(-1);
    return reply.send({
      items,
      nextCursor: found.length > limit && last ? writeCursor(last.id, given) : null,
    });
  });
}

function getDeadLetter(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "getDeadLetter",
    summary: "Read a dead letter",
    params: idParams,
    ...answers(
      schemas.deadLetter.ref,
      { 200: "The dead letter" },
      problemAnswers({ key: true, body: false }, "dead_letter_not_found"),
    ),
  };
  app.get("/v1/dead-letters/:id", { schema, onRequest: requires(scope) }, async (request, reply) =>
    reply.send(await webhooks.deadLetter(request.params.id, visibleTo(request.principal))),
  );
}

function replayOne(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "replayDeadLetter",
    summary: "Send it again",
    description:
      "To the webhook that did not take it; one that did not fit its schema is checked anew and, if it passes, goes to everybody. " +
      "The event has `replay: true`. Asked a second time, it is not sent a second time; if it fails again, a new dead letter says so.",
    params: idParams,
    ...answers(
      schemas.deadLetter.ref,
      { 202: "The dead letter; it is on its way" },
      problemAnswers(
        { key: true, body: false },
        ...(["dead_letter_not_found", "payload_too_large", "media_type_unsupported"] as const),
      ),
    ),
  };
  app.post("/v1/dead-letters/:id/replay", { schema, onRequest: requires(scope) }, async (request, reply) =>
    reply.code(202).send(await webhooks.replay(request.params.id, visibleTo(request.principal))),
  );
}

function replayMany(app: App, { webhooks, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "replayDeadLetters",
    summary: "Send again all that pass a filter",
    description: "The oldest `limit` that were not replayed; call again until the answer is 0.",
    body: schemas.replayBody.ref,
    ...answers(
      schemas.replayed.ref,
      { 202: "How many are on their way" },
      problemAnswers({ key: true, body: true }),
    ),
  };
  app.post("/v1/dead-letters/replay", { schema, onRequest: requires(scope) }, async (request, reply) => {
    const { limit = schemas.maxReplays, ...given } = request.body;
    const count = await webhooks.replayAll(visibleTo(request.principal), toFilter(given), limit);
    return reply.code(202).send({ replayed: count });
  });
}
