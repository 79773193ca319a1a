import type { FastifyReply } from "fastify";
import type { Static } from "typebox";
import type { CancelResult, OperatorAction } from "../orchestration/api.ts";
import { UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf } from "./auth.ts";
import { notFound } from "./order-reads.ts";
import { sendOrder, sendUndone } from "./routes-orders.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import { actHeaders, operatorAct, order, rerouteAct } from "./schemas-orders.ts";

interface ActionRoute {
  body: typeof operatorAct | typeof rerouteAct;
  path: string;
  operationId: string;
  summary: string;
  description: string;
  when: { 200: string; 202: string };
  send(reply: FastifyReply, result: CancelResult): FastifyReply;
}

const actions: Readonly<Record<OperatorAction, ActionRoute>> = {
  retry: {
    body: operatorAct,
    path: "retry",
    operationId: "retryOrder",
    summary: "Try the undo of a stuck order again now",
    description: "By itself it is tried again daily.",
    when: { 200: "It is undone", 202: "Being undone, or stuck again" },
    send: sendUndone,
  },
  reroute: {
    body: rerouteAct,
    path: "reroute",
    operationId: "rerouteOrder",
    summary: "Give an order to another channel",
    description:
      "Its booking is seen cancelled before another channel is asked; if its channel will not have it cancelled, it keeps the order. " +
      "Of a stuck order, or with `lost`, you answer for it that its channel is lost. Nothing is done where no other channel could take it now.",
    when: { 200: "At rest again: see its status and channel", 202: "On its way to another channel" },
    send: sendRerouted,
  },
  force_cancel: {
    body: operatorAct,
    path: "force-cancel",
    operationId: "forceCancelOrder",
    summary: "Cancel an order at any cost",
    description:
      "Also one that is being prepared: its channel is asked as with a cancel. While that is under way, or stuck, you answer for it that " +
      "the channel will not fulfil the order, and it ends without the channel's word.",
    when: { 200: "It has ended", 202: "Its channel is being asked" },
    send: sendUndone,
  },
};

/** What operators may do with any client's order. Each needs a reason, which goes to the audit trail. */
export function operateRoutes(app: App, world: GatewayWorld): void {
  for (const action of Object.keys(actions) as OperatorAction[]) actionRoute(app, world, action);
}

function actionRoute(app: App, world: GatewayWorld, action: OperatorAction): void {
  const { orchestration, requires, config } = world;
  const { path, body, when, send, ...described } = actions[action];
  const schema = {
    tags: ["operators"],
    ...described,
    params: idParams,
    headers: actHeaders,
    body: body.ref,
    ...answers(
      order.ref,
      when,
      problemAnswers(
        { key: true, body: true, order: true },
        ...(["order_not_found", "transition_refused", "no_other_channel"] as const),
      ),
    ),
  };
  app.post(
    `/v1/orders/:id/${path}`,
    { schema, onRequest: requires("orders:operate") },
    async (request, reply) => {
      const { id } = request.params;
      if (!isId("ord", id)) throw notFound(id);
      const key = request.headers["idempotency-key"] ?? null;
      const { reason: note, lost = false } = request.body as Static<(typeof rerouteAct)["ref"]>;
      const wanted = { id, action, note, lost, key, by: byOf(request) };
      const [result] = await orchestration.operate([wanted], { waitMs: config.ANSWER_WITHIN_MS });
      return send(reply, result!);
    },
  );
}

function sendRerouted(reply: FastifyReply, result: CancelResult): FastifyReply {
  if (result.kind === "refused") throw new UoopError(result.code, result.detail);
  const underWay = ["received", "reserved", "booked", "rerouting", "failing"].includes(result.order.status);
  return sendOrder(reply, result.order, underWay ? 202 : 200);
}
