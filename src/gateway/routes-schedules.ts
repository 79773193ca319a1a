import type { FastifyReply } from "fastify";
import type { ScheduleView } from "../capacity/api.ts";
import { UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf } from "./auth.ts";
import { readIfMatch } from "./if-match.ts";
import { channelNotFound } from "./routes-channels.ts";
import { answers, idParams, ifMatchHeaders, problemAnswers } from "./schemas.ts";
import { scheduleBody, scheduleQuery, scheduleView } from "./schemas-schedules.ts";

export function scheduleRoutes(app: App, world: GatewayWorld): void {
  getSchedule(app, world);
  putSchedule(app, world);
}

const send = (reply: FastifyReply, view: ScheduleView): FastifyReply =>
  reply.code(200).header("etag", `"${view.version}"`).send(view);

function getSchedule(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "getSchedule",
    summary: "Read a channel's recurring schedule",
    params: idParams,
    ...answers(
      scheduleView.ref,
      { 200: "The schedule" },
      problemAnswers({ key: true, body: false }, "channel_not_found", "schedule_not_found"),
    ),
  };
  const onRequest = requires("orders:read", "channels:write");
  app.get("/v1/channels/:id/schedule", { schema, onRequest }, async (request, reply) => {
    const { id } = request.params;
    if (!isId("chn", id)) throw channelNotFound(id);
    const schedule = await capacity.getSchedule(id);
    if (!schedule) throw new UoopError("schedule_not_found", `Channel ${id} has no schedule yet.`);
    return send(reply, schedule);
  });
}

function putSchedule(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "putSchedule",
    summary: "Set a channel's recurring schedule",
    description:
      "Slots are made from it ahead of time. Slots set over `PUT …/capacity` stay as they are and win. The same again changes nothing.",
    params: idParams,
    querystring: scheduleQuery,
    headers: ifMatchHeaders,
    body: scheduleBody.ref,
    ...answers(
      scheduleView.ref,
      { 200: "The schedule as it is now" },
      problemAnswers(
        { key: true, body: true },
        ...(["channel_not_found", "version_conflict", "capacity_below_reserved"] as const),
      ),
    ),
  };
  const onRequest = requires("channels:write");
  app.put("/v1/channels/:id/schedule", { schema, onRequest }, async (request, reply) => {
    const { id } = request.params;
    if (!isId("chn", id)) throw channelNotFound(id);
    const expectedVersion = readIfMatch(request.headers["if-match"]);
    const options = { expectedVersion, whenReserved: request.query.whenReserved };
    const { schedule, kept } = await capacity.putSchedule(id, request.body, options, byOf(request));
    return send(reply, { ...schedule, ...(kept.length > 0 ? { kept } : {}) });
  });
}
