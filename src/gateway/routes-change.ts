import { UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf, visibleTo } from "./auth.ts";
import { readIfMatch } from "./if-match.ts";
import { notFound } from "./order-reads.ts";
import { sendProblem } from "./problems.ts";
import { sendOrder } from "./routes-orders.ts";
import { answers, idParams, ifMatchHeaders, problemAnswers } from "./schemas.ts";
import { order, orderPatch } from "./schemas-orders.ts";
import { toChange } from "./submission.ts";

export function changeRoutes(app: App, { orchestration, requires, config }: GatewayWorld): void {
  const schema = {
    tags: ["orders"],
    operationId: "changeOrder",
    summary: "Change an order's window, place, items or address",
    description:
      "Until its channel begins to prepare it. Where it can't stay in its slot it moves: new room is kept before the old booking is " +
      "cancelled, so that what was promised stands until the change is sure. Not possible: 409, and nothing has changed.",
    params: idParams,
    headers: ifMatchHeaders,
    body: orderPatch.ref,
    ...answers(
      order.ref,
      { 200: "Changed", 202: "Being changed; until that is done it stands as it was" },
      problemAnswers(
        { key: true, body: true, order: true },
        ...([
          "order_not_found",
          "window_reversed",
          "window_in_past",
          "transition_refused",
          "order_busy",
          "change_refused",
          "version_conflict",
        ] as const),
      ),
    ),
  };
  app.patch(
    "/v1/orders/:id",
    { schema, onRequest: requires("orders:write", "orders:operate") },
    async (request, reply) => {
      const { id } = request.params;
      if (!isId("ord", id)) throw notFound(id);
      const expectedVersion = readIfMatch(request.headers["if-match"]);
      const change = toChange(request.body);
      if (change instanceof UoopError) return sendProblem(reply, change);
      const wanted = {
        id,
        clientId: visibleTo(request.principal),
        expectedVersion,
        change,
        by: byOf(request),
      };
      const [result] = await orchestration.change([wanted], { waitMs: config.ANSWER_WITHIN_MS });
      if (result!.kind === "refused") throw new UoopError(result!.code, result!.detail);
      const { status } = result!.order;
      const underWay = status === "rerouting" || status === "reserved" || status === "booked";
      return sendOrder(reply, result!.order, underWay ? 202 : 200);
    },
  );
}
