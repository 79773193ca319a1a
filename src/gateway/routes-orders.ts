import type { FastifyReply } from "fastify";
import { Type } from "typebox";
import type { CancelResult, OrchestrationApi, Submission, SubmitResult } from "../orchestration/api.ts";
import type { OrderView } from "../orchestration/order.ts";
import type { OrderStatus } from "../orchestration/order-state.ts";
import { toProblem, UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf, type Guard, visibleTo } from "./auth.ts";
import { notFound } from "./order-reads.ts";
import { sendProblem } from "./problems.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import {
  type BatchItem,
  type BatchResult,
  batchBody,
  batchEnvelope,
  batchItem,
  batchResults,
  newOrder,
  order,
  placeHeaders,
} from "./schemas-orders.ts";
import { type Placing, toSubmission } from "./submission.ts";

const maxBatchBytes = 32 * 1024 * 1024;

/**
 * What POST answers for an order in this status: on its way or undone (202), confirmed or later (201), could not be
 * fulfilled (409); 200 when a replay finds that it ended otherwise.
 */
const answerStatus: Record<OrderStatus, 200 | 201 | 202 | 409> = {
  received: 202,
  reserved: 202,
  booked: 202,
  rerouting: 202,
  cancelling: 202,
  failing: 202,
  stuck: 202,
  confirmed: 201,
  preparing: 201,
  ready: 201,
  dispatched: 201,
  delivered: 201,
  cancelled: 200,
  undelivered: 200,
  failed: 409,
};

export function orderRoutes(app: App, world: GatewayWorld): void {
  placeOrder(app, world);
  placeBatch(app, world);
  cancelOrder(app, world);
}

function placeOrder(app: App, world: GatewayWorld): void {
  const { orchestration, requires, config } = world;
  const schema = {
    tags: ["orders"],
    operationId: "placeOrder",
    summary: "Place an order",
    description:
      "Answers when the order is confirmed or has ended, after 2 seconds at most. Headers of the answer: Location, ETag, " +
      "Idempotency-Replayed (true: this key was known, the order is as it is now), Idempotency-Key (when the server made " +
      "it), Retry-After (202), Preference-Applied.",
    headers: placeHeaders,
    body: newOrder.ref,
    ...answers(
      order.ref,
      {
        200: "A replay: the order has since been cancelled, or did not arrive",
        201: "Confirmed, or further on its way",
        202: "Stored; still on its way to being confirmed",
      },
      problemAnswers(
        { key: true, body: true, order: true },
        ...([
          "window_reversed",
          "window_in_past",
          "currency_unknown",
          "order_unfulfillable",
          "idempotency_key_reused",
        ] as const),
      ),
    ),
  };
  const onRequest = [requires("orders:write"), admitting(orchestration)];
  app.post("/v1/orders", { schema, onRequest }, async (request, reply) => {
    const { headers } = request;
    const placing = placingOf(request.principal, request.ip, headers["idempotency-key"]);
    const submission = toSubmission(request.body, placing, world);
    if (submission instanceof UoopError) return sendProblem(reply, submission);
    const respondAsync = prefersAsync(headers.prefer);
    const [result] = await orchestration.submit([submission], {
      waitMs: respondAsync ? 0 : config.ANSWER_WITHIN_MS,
    });
    if (result!.kind === "refused") throw new UoopError(result!.code, result!.detail);
    if (submission.keyNamespace === "server") reply.header("idempotency-key", submission.idempotencyKey);
    if (result!.replayed) reply.header("idempotency-replayed", "true");
    if (respondAsync) reply.header("preference-applied", "respond-async");
    const { order: placed } = result!;
    return sendOrder(reply, placed, respondAsync ? 202 : answerStatus[placed.status]);
  });
}

/**
 * Refuses before the body is read, when a client's next order would wait too long even if it were urgent: what is not taken
 * should cost little. (Its true priority is in the body; the queue's own bound holds for the rest.)
 */
const admitting =
  ({ admits }: OrchestrationApi): Guard =>
  (request, _reply, done) =>
    done(admits(request.principal.clientId, "express") ?? undefined);

/** Order answers have one form, whatever was asked; with 409 the order is inside the problem. */
export function sendOrder(reply: FastifyReply, view: OrderView, status: 200 | 201 | 202 | 409): FastifyReply {
  reply.header("location", `/v1/orders/${view.id}`);
  if (status === 409) return sendProblem(reply, unfulfillable(view), { order: view });
  if (status === 202) reply.header("retry-after", 1);
  return reply.code(status).header("etag", `"${view.version}"`).send(view);
}

const unfulfillable = (view: OrderView): UoopError =>
  new UoopError("order_unfulfillable", view.reason?.detail ?? "No channel could take the order.");

function placeBatch(app: App, world: GatewayWorld): void {
  const { orchestration, requires, config, validation } = world;
  const checkItem = validation.validator(batchItem.ref);
  const checkEnvelope = validation.validator(batchEnvelope);
  const schema = {
    tags: ["orders"],
    operationId: "placeOrders",
    summary: "Place up to 5,000 orders",
    description:
      "Each order is answered by itself, in input order, with what POST /v1/orders would have said: one bad item never " +
      "fails the others. An item's key is its idempotencyKey or else its externalId.",
    headers: Type.Object({ prefer: placeHeaders.properties.prefer }),
    body: batchBody.ref,
    ...answers(batchResults.ref, { 200: "One result per order" }, problemAnswers({ key: true, body: true })),
  };
  const options = {
    schema,
    onRequest: [requires("orders:write"), admitting(orchestration)],
    bodyLimit: maxBatchBytes,
    validatorCompiler: validation.compilerWithBody(checkEnvelope),
  };
  app.post("/v1/orders/batch", options, async (request, reply) => {
    const respondAsync = prefersAsync(request.headers.prefer);
    const items = request.body.orders.map((item) => {
      const wrong = checkItem(item);
      if (wrong) return wrong;
      const { idempotencyKey, ...body } = item as BatchItem;
      return toSubmission(body, placingOf(request.principal, request.ip, idempotencyKey), world);
    });
    const good = items.filter((item): item is Submission => !(item instanceof UoopError));
    const waitMs = respondAsync ? 0 : config.ANSWER_WITHIN_MS;
    const placed = good.length === 0 ? [] : await orchestration.submit(good, { waitMs });
    let next = 0;
    const results = items.map((item) =>
      item instanceof UoopError ? refusedItem(item) : placedItem(placed[next++]!, item, respondAsync),
    );
    if (respondAsync) reply.header("preference-applied", "respond-async");
    return reply.send({ results });
  });
}

const refusedItem = (error: UoopError): BatchResult => ({ status: error.status, problem: toProblem(error) });

function placedItem(result: SubmitResult, submission: Submission, respondAsync: boolean): BatchResult {
  if (result.kind === "refused") return refusedItem(new UoopError(result.code, result.detail));
  const status = respondAsync ? 202 : answerStatus[result.order.status];
  const about = {
    ...(result.replayed ? { replayed: true } : {}),
    ...(submission.keyNamespace === "server" ? { idempotencyKey: submission.idempotencyKey } : {}),
  };
  if (status !== 409) return { status, order: result.order, ...about };
  return { status, problem: { ...toProblem(unfulfillable(result.order)), order: result.order }, ...about };
}

function cancelOrder(app: App, { orchestration, requires, config }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "cancelOrder",
    summary: "Cancel an order",
    description:
      "What was booked and reserved is undone. Answers 200 once that is so, 202 while it is under way.",
    params: idParams,
    ...answers(
      order.ref,
      { 200: "Cancelled: everything is undone", 202: "Being undone" },
      problemAnswers(
        { key: true, body: false, order: true },
        ...([
          "order_not_found",
          "transition_refused",
          "payload_too_large",
          "media_type_unsupported",
        ] as const),
      ),
    ),
  };
  app.post(
    "/v1/orders/:id/cancel",
    { schema, onRequest: requires("orders:write") },
    async (request, reply) => {
      const { id } = request.params;
      if (!isId("ord", id)) throw notFound(id);
      const wanted = { id, clientId: visibleTo(request.principal), by: byOf(request) };
      const [result] = await orchestration.cancel([wanted], { waitMs: config.ANSWER_WITHIN_MS });
      return sendUndone(reply, result!);
    },
  );
}

/** The answer to a cancel: undone, being undone, or it was too late and the order is on its way. */
export function sendUndone(reply: FastifyReply, result: CancelResult): FastifyReply {
  if (result.kind === "refused") throw new UoopError(result.code, result.detail);
  const { order: view } = result;
  switch (view.status) {
    case "cancelled":
    case "failed":
      return sendOrder(reply, view, 200);
    case "cancelling":
    case "failing":
    case "stuck":
      return sendOrder(reply, view, 202);
    default: {
      const detail = view.reason?.detail ?? `The order is ${view.status}: too late to cancel.`;
      return sendProblem(reply, new UoopError("transition_refused", detail), { order: view });
    }
  }
}

const placingOf = (principal: Placing["principal"], source: string, key: string | undefined): Placing => ({
  principal,
  source,
  idempotencyKey: key,
});

/** RFC 7240: preferences are separated by commas; what is not known is ignored. */
const prefersAsync = (prefer = ""): boolean =>
  prefer !== "" && prefer.split(",").some((one) => one.trim().toLowerCase() === "respond-async");
