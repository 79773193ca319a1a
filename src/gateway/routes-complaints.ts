import { UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf, visibleTo } from "./auth.ts";
import { notFound } from "./order-reads.ts";
import { sendOrder } from "./routes-orders.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import { complaintBody, complaintHeaders, complaintList } from "./schemas-complaints.ts";
import { order } from "./schemas-orders.ts";

export function complaintRoutes(app: App, world: GatewayWorld): void {
  complainOf(app, world);
  listComplaints(app, world);
}

function complainOf(app: App, { orchestration, requires }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "complainOfOrder",
    summary: "Tell that the customer was not content",
    description:
      "It counts against the channel that has the order. What the customer said is personal data: in no event, list or log. The same key, or " +
      "without one the same words, is the same complaint.",
    params: idParams,
    headers: complaintHeaders,
    body: complaintBody.ref,
    ...answers(
      order.ref,
      { 200: "The order, with the complaint" },
      problemAnswers(
        { key: true, body: true },
        ...(["order_not_found", "transition_refused", "order_busy", "idempotency_key_reused"] as const),
      ),
    ),
  };
  app.post(
    "/v1/orders/:id/complaints",
    { schema, onRequest: requires("orders:write", "orders:operate") },
    async (request, reply) => {
      const { id } = request.params;
      if (!isId("ord", id)) throw notFound(id);
      const key = request.headers["idempotency-key"] ?? null;
      const clientId = visibleTo(request.principal);
      const [result] = await orchestration.complain([
        { ...request.body, id, clientId, key, by: byOf(request) },
      ]);
      if (result!.kind === "refused") throw new UoopError(result!.code, result!.detail);
      return sendOrder(reply, result!.order, 200);
    },
  );
}

function listComplaints(app: App, { orchestration, reads, requires }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "listComplaints",
    summary: "An order's complaints, with what was said",
    params: idParams,
    ...answers(
      complaintList,
      { 200: "Complaints, oldest first" },
      problemAnswers({ key: true, body: false }, "order_not_found"),
    ),
  };
  app.get(
    "/v1/orders/:id/complaints",
    { schema, onRequest: requires("orders:read") },
    async (request, reply) => {
      const { id, complaints = [] } = await reads.find(request.params.id, request.principal);
      const [texts = {}] = complaints.length === 0 ? [] : await orchestration.complaintTexts([id]);
      const items = complaints.map((one) => ({ ...one, ...(texts[one.id] ? { text: texts[one.id]! } : {}) }));
      return reply.send({ items, nextCursor: null });
    },
  );
}
