import type { OrderFilter } from "../read-model/api.ts";
import type { App, GatewayWorld } from "./app.ts";
import { visibleTo } from "./auth.ts";
import { readCursor, writeCursor } from "./cursors.ts";
import type { Principal } from "./keys.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import { decisions, type OrderQuery, order, orderList, orderQuery, timeline } from "./schemas-orders.ts";
import { reversed } from "./submission.ts";

export function orderReadRoutes(app: App, world: GatewayWorld): void {
  getOrder(app, world);
  listOrders(app, world);
  getTimeline(app, world);
  getDecision(app, world);
}

function getOrder(app: App, { reads, requires }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "getOrder",
    summary: "Read an order",
    description:
      "Never older than what you were last told of it. With address, contact and instructions, which no list, event or " +
      "stream has. ETag is the version; If-None-Match answers 304.",
    params: idParams,
    ...answers(
      order.ref,
      { 200: "The order" },
      {
        304: { description: "Still at the version of If-None-Match", type: "null" },
        ...problemAnswers({ key: true, body: false }, "order_not_found"),
      },
    ),
  };
  app.get("/v1/orders/:id", { schema, onRequest: requires("orders:read") }, async (request, reply) => {
    const view = await reads.find(request.params.id, request.principal);
    const etag = `"${view.version}"`;
    reply.header("etag", etag);
    if (matches(request.headers["if-none-match"], etag)) return reply.code(304).send(undefined as never); // no body, whatever the schema says
    const personal = await reads.personalOf(view.id);
    return reply
      .code(200)
      .send(personal === null ? view : { ...view, delivery: { ...view.delivery, ...personal } });
  });
}

/** RFC 9110 §13.1.2: a list of tags, compared weakly, or any. */
const matches = (header: string | undefined, etag: string): boolean =>
  (header ?? "").split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag);

function listOrders(app: App, { readModel, requires }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "listOrders",
    summary: "List orders, new to old",
    description: "Served by the read model, which follows the truth within moments.",
    querystring: orderQuery,
    ...answers(
      orderList,
      { 200: "Orders, new to old, without personal data" },
      problemAnswers({ key: true, body: false }, "validation_failed", "window_reversed", "cursor_invalid"),
    ),
  };
  app.get("/v1/orders", { schema, onRequest: requires("orders:read") }, async (request, reply) => {
    const { cursor, limit, ...filters } = request.query;
    const mark = [visibleTo(request.principal), filters];
    const filter = toFilter(filters, request.principal, limit + 1);
    if (cursor !== undefined) filter.beforeId = readCursor(cursor, "ord", mark);
    const found = await readModel.list(filter);
    const items = found.slice(0, limit);
    const last = items.at(-1);
    return reply.send({
      items,
      nextCursor: found.length > limit && last ? writeCursor(last.id, mark) : null,
    });
  });
}

function toFilter(
  query: Omit<OrderQuery, "cursor" | "limit">,
  principal: Principal,
  limit: number,
): OrderFilter {
  const { customerId, status, channelId, from, to } = query;
  const fromMs = from === undefined ? undefined : Date.parse(from);
  const toMs = to === undefined ? undefined : Date.parse(to);
  if (fromMs !== undefined && toMs !== undefined && toMs <= fromMs) throw reversed("/query/to");
  return {
    clientId: visibleTo(principal),
    ...(customerId === undefined ? {} : { customerId }),
    ...(status === undefined ? {} : { status }),
    ...(channelId === undefined ? {} : { channelId }),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(toMs === undefined ? {} : { toMs }),
    limit,
  };
}

function getTimeline(app: App, { reads, feed, requires }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "getOrderEvents",
    summary: "What happened to an order so far",
    params: idParams,
    ...answers(
      timeline,
      { 200: "Its events, oldest first" },
      problemAnswers({ key: true, body: false }, "order_not_found"),
    ),
  };
  app.get("/v1/orders/:id/events", { schema, onRequest: requires("orders:read") }, async (request, reply) => {
    const view = await reads.find(request.params.id, request.principal);
    const items = await feed.timeline(view.id, { atLeastVersion: view.version });
    return reply.send({ items, nextCursor: null });
  });
}

function getDecision(app: App, { reads, orchestration, requires }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "getOrderDecision",
    summary: "Why this channel, in words",
    description:
      "A decision for each attempt, newest first, and before them the last routing if it found nobody. Names are those that " +
      "channels have now.",
    params: idParams,
    ...answers(
      decisions.ref,
      { 200: "The decisions" },
      problemAnswers({ key: true, body: false }, "order_not_found"),
    ),
  };
  app.get(
    "/v1/orders/:id/decision",
    { schema, onRequest: requires("orders:read") },
    async (request, reply) => {
      const { id: orderId } = await reads.find(request.params.id, request.principal);
      const [found] = await orchestration.decisions([orderId]);
      return reply.send({ orderId, decisions: found ?? [] });
    },
  );
}
