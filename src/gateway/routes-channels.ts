import type { FastifyReply } from "fastify";
import type { Channel, ChannelType, NewChannel, Slot } from "../capacity/api.ts";
import { type FieldError, UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf } from "./auth.ts";
import { readCursor, readIfMatch, writeCursor } from "./cursors.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import {
  type ChannelPatchBody,
  capacityBody,
  capacityQuery,
  capacityView,
  channel,
  channelDefaults,
  channelList,
  channelPatch,
  channelQuery,
  createdChannel,
  ifMatchHeaders,
  type NewChannelBody,
  newChannel,
  rankingQuery,
  rankings,
} from "./schemas-channels.ts";
import { checkCurrency, reversed, toUtc } from "./submission.ts";
import { wrongFields } from "./validation.ts";

const defaultCapacityRangeMs = 7 * 24 * 3_600_000;
const maxCapacityRangeMs = 92 * 24 * 3_600_000;

export function channelRoutes(app: App, world: GatewayWorld): void {
  createChannel(app, world);
  listChannels(app, world);
  getRankings(app, world);
  getChannel(app, world);
  patchChannel(app, world);
  pauseAndResume(app, world);
  putCapacity(app, world);
  getCapacity(app, world);
}

function createChannel(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "createChannel",
    summary: "Add a fulfillment channel",
    description: "It takes orders once it has capacity. The answer has `callbackSecret`, shown this once.",
    body: newChannel.ref,
    ...answers(
      createdChannel.ref,
      { 201: "The channel, with the secret that signs its callbacks" },
      problemAnswers({ key: true, body: true }, "currency_unknown"),
    ),
  };
  app.post("/v1/channels", { schema, onRequest: requires("channels:write") }, async (request, reply) => {
    const wanted = toNewChannel(request.body);
    const { channel: made, secret } = await capacity.createChannel(wanted, byOf(request));
    reply.header("location", `/v1/channels/${made.id}`).header("etag", `"${made.version}"`);
    return reply.code(201).send({ ...made, callbackSecret: secret });
  });
}

function toNewChannel(body: NewChannelBody): NewChannel {
  checkChannel(body.type, body);
  const { quality, preparationMinutes, bookTimeoutMs, maxConcurrentCalls } = { ...channelDefaults, ...body };
  return { ...body, quality, preparationMinutes, bookTimeoutMs, maxConcurrentCalls };
}

/** What goes together: who speaks the protocol needs an address, who does not must not have one that is never called. */
function checkChannel(
  type: ChannelType,
  body: Pick<NewChannelBody, "endpoint" | "partners"> & Partial<Pick<Channel, "costModel">>,
): void {
  const wrongCurrency = body.costModel && checkCurrency(body.costModel.currency, "/costModel/currency");
  if (wrongCurrency) throw wrongCurrency;
  const wrong: FieldError[] = [];
  if (type === "external_partner" && body.endpoint === undefined) {
    wrong.push({ pointer: "/endpoint", message: "is missing: an external partner is called there" });
  }
  if (type !== "external_partner" && body.endpoint !== undefined) {
    wrong.push({
      pointer: "/endpoint",
      message: `is only for external_partner, never called for ${type}; remove it`,
    });
  }
  if (type === "partner_network" && body.partners === undefined) {
    wrong.push({ pointer: "/partners", message: "is missing: a network needs its members" });
  }
  if (type !== "partner_network" && body.partners !== undefined) {
    wrong.push({ pointer: "/partners", message: `is only for partner_network, not for ${type}; remove it` });
  }
  if (new Set(body.partners?.map(({ id }) => id)).size < (body.partners?.length ?? 0)) {
    wrong.push({ pointer: "/partners", message: "must not hold the same id twice" });
  }
  if (wrong.length > 0) throw wrongFields(wrong);
}

function listChannels(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "listChannels",
    summary: "List channels, old to new",
    querystring: channelQuery,
    ...answers(
      channelList,
      { 200: "Channels, old to new" },
      problemAnswers({ key: true, body: false }, "validation_failed", "cursor_invalid"),
    ),
  };
  app.get(
    "/v1/channels",
    { schema, onRequest: requires("orders:read", "channels:write") },
    async (request, reply) => {
      const { cursor, limit } = request.query;
      const afterId = cursor === undefined ? null : readCursor(cursor, "chn", "channels");
      const found = await capacity.listChannels({ afterId, limit: limit + 1 });
      const items = found.slice(0, limit);
      const last = items.at(-1);
      return reply.send({
        items,
        nextCursor: found.length > limit && last ? writeCursor(last.id, "channels") : null,
      });
    },
  );
}

function getRankings(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "rankChannels",
    summary: "Who could serve this place and time, best first",
    querystring: rankingQuery,
    ...answers(
      rankings,
      { 200: "Channels that could serve it, best first" },
      problemAnswers({ key: true, body: false }, "validation_failed"),
    ),
  };
  app.get(
    "/v1/channels/rankings",
    { schema, onRequest: requires("orders:read", "channels:write") },
    async (request, reply) => {
      const { lat, lng, slot, vehicle } = request.query;
      const items = await capacity.rankings({ lat, lng, slotMs: Date.parse(slot), vehicle: vehicle ?? null });
      return reply.send({ items, nextCursor: null });
    },
  );
}

function getChannel(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "getChannel",
    summary: "Read a channel",
    params: idParams,
    ...answers(
      channel.ref,
      { 200: "The channel" },
      problemAnswers({ key: true, body: false }, "channel_not_found"),
    ),
  };
  app.get(
    "/v1/channels/:id",
    { schema, onRequest: requires("orders:read", "channels:write") },
    async (request, reply) => sendChannel(reply, await found(capacity, request.params.id)),
  );
}

const sendChannel = (reply: FastifyReply, shown: Channel): FastifyReply =>
  reply.code(200).header("etag", `"${shown.version}"`).send(shown);

/** The channel. Throws `channel_not_found`. */
async function found(capacity: GatewayWorld["capacity"], id: string): Promise<Channel> {
  const known = isId("chn", id) ? await capacity.getChannel(id) : null;
  if (known === null) throw channelNotFound(id);
  return known;
}

export const channelNotFound = (id: string): UoopError =>
  new UoopError("channel_not_found", `There is no channel ${id.slice(0, 64)}.`);

function patchChannel(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "patchChannel",
    summary: "Change a channel",
    params: idParams,
    headers: ifMatchHeaders,
    body: channelPatch.ref,
    ...answers(
      channel.ref,
      { 200: "The channel as it is now" },
      problemAnswers({ key: true, body: true }, "channel_not_found", "version_conflict", "currency_unknown"),
    ),
  };
  app.patch("/v1/channels/:id", { schema, onRequest: requires("channels:write") }, async (request, reply) => {
    const expected = readIfMatch(request.headers["if-match"]);
    const before = await found(capacity, request.params.id);
    const patch: ChannelPatchBody = request.body;
    const { endpoint, partners } = { ...before, ...patch };
    checkChannel(before.type, {
      ...patch,
      ...(endpoint ? { endpoint } : {}),
      ...(partners ? { partners: [...partners] } : {}),
    });
    return sendChannel(reply, await capacity.patchChannel(before.id, patch, expected, byOf(request)));
  });
}

function pauseAndResume(app: App, { capacity, requires }: GatewayWorld): void {
  for (const [verb, status, summary] of [
    ["pause", "paused", "Give a channel no new orders"],
    ["resume", "active", "Give a channel orders again"],
  ] as const) {
    const schema = {
      tags: ["channels"],
      operationId: `${verb}Channel`,
      summary,
      params: idParams,
      ...answers(
        channel.ref,
        { 200: "The channel as it is now" },
        problemAnswers(
          { key: true, body: false },
          "channel_not_found",
          "payload_too_large",
          "media_type_unsupported",
        ),
      ),
    };
    app.post(
      `/v1/channels/:id/${verb}`,
      { schema, onRequest: requires("channels:write") },
      async (request, reply) => {
        const { id } = request.params as { id: string };
        if (!isId("chn", id)) throw channelNotFound(id);
        return sendChannel(reply, await capacity.patchChannel(id, { status }, null, byOf(request)));
      },
    );
  }
}

function putCapacity(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "putCapacity",
    summary: "Set the capacity of slots",
    description: "Slots that are new are made, the others of the channel stay as they are. All or nothing.",
    params: idParams,
    body: capacityBody.ref,
    ...answers(
      capacityView.ref,
      { 200: "These slots as they are now" },
      problemAnswers(
        { key: true, body: true },
        ...(["window_reversed", "channel_not_found", "capacity_below_reserved", "slots_overlap"] as const),
      ),
    ),
  };
  app.put(
    "/v1/channels/:id/capacity",
    { schema, onRequest: requires("channels:write") },
    async (request, reply) => {
      const { id } = request.params;
      if (!isId("chn", id)) throw channelNotFound(id);
      return reply.send({
        slots: await capacity.putCapacity(id, request.body.slots.map(toSlot), byOf(request)),
      });
    },
  );
}

function toSlot({ start, end, capacity }: Slot, index: number): Slot {
  const slot = { start: toUtc(start), end: toUtc(end), capacity };
  if (slot.end <= slot.start) throw reversed(`/slots/${index}/end`);
  return slot;
}

function getCapacity(app: App, { capacity, requires, clock }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "getCapacity",
    summary: "Capacity and what of it is reserved",
    params: idParams,
    querystring: capacityQuery,
    ...answers(
      capacityView.ref,
      { 200: "The slots in this range, by start" },
      problemAnswers({ key: true, body: false }, "validation_failed", "window_reversed", "channel_not_found"),
    ),
  };
  const onRequest = requires("orders:read", "channels:write");
  app.get("/v1/channels/:id/capacity", { schema, onRequest }, async (request, reply) => {
    const { from, to } = request.query;
    const fromMs = from === undefined ? clock.nowMs() : Date.parse(from);
    const toMs = to === undefined ? fromMs + defaultCapacityRangeMs : Date.parse(to);
    if (toMs <= fromMs) throw reversed("/query/to");
    if (toMs - fromMs > maxCapacityRangeMs)
      throw wrongFields([{ pointer: "/query/to", message: "must be at most 92 days after from" }]);
    const { id } = await found(capacity, request.params.id);
    return reply.send({ slots: await capacity.getCapacity(id, { fromMs, toMs }) });
  });
}
