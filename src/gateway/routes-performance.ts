import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { channelNotFound } from "./routes-channels.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import { performance as answer, toAnswer } from "./schemas-performance.ts";

export function performanceRoutes(app: App, { capacity, performance, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "getChannelPerformance",
    summary: "How well a channel does, and what routing makes of it",
    description:
      "Acceptance, booking, preparation, the way, punctuality and complaints, each forgotten by half every half-life; the quality score " +
      "that follows and how; its health and why. A few seconds behind.",
    params: idParams,
    ...answers(
      answer.ref,
      { 200: "Its performance as it is now" },
      problemAnswers({ key: true, body: false }, "channel_not_found"),
    ),
  };
  const onRequest = requires("orders:read", "channels:write");
  app.get("/v1/channels/:id/performance", { schema, onRequest }, async (request, reply) => {
    const { id } = request.params;
    const channel = isId("chn", id) ? await capacity.getChannel(id) : null;
    if (channel === null) throw channelNotFound(id);
    return reply.send(toAnswer(await performance.of(channel)));
  });
}
