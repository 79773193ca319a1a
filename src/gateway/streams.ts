import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import { Type } from "typebox";
import { isEnd, type OrderStatus } from "../orchestration/order-state.ts";
import type { Clock } from "../platform/clock.ts";
import { UoopError } from "../platform/errors.ts";
import { eventTypes, type PlatformEvent } from "../relay/api.ts";
import type { App, EventFeed, GatewayWorld } from "./app.ts";
import { visibleTo } from "./auth.ts";
import { idParams, problemAnswers, strict } from "./schemas.ts";
import { wrongFields } from "./validation.ts";

/** Comments that keep proxies from closing a quiet stream, and tell a client that it is alive. */
const heartbeatMs = 15_000;
/** Streams open at once; beyond it 503. Each costs a socket and the feed's buffer for one subscriber. */
const maxStreams = 2_000;
/** A client that takes nothing for so long is let go; it resumes with Last-Event-ID. */
const maxStallMs = 30_000;

const resumeHeaders = Type.Object({
  "last-event-id": Type.Optional(
    Type.String({ maxLength: 64, description: "`id` of the last event that you have" }),
  ),
});

const streamAnswer = (description: string) =>
  Type.Unsafe({ description, content: { "text/event-stream": { schema: { type: "string" } } } });

interface Resume {
  /** Of the bus: the last event that the client has. */
  position: string;
  /** Of the order, in an order's own stream. */
  version: number | null;
}

/** Events as they happen, over Server-Sent Events (WHATWG HTML §9.2). */
export function streamRoutes(app: App, world: GatewayWorld): void {
  const open = createStreams(world);
  orderStream(app, world, open);
  eventStream(app, world, open);
}

function orderStream(app: App, { reads, feed, requires }: GatewayWorld, open: OpenStream): void {
  const schema = {
    tags: ["streams"],
    operationId: "streamOrder",
    summary: "Follow one order (SSE)",
    description:
      "Begins with the events so far (or after Last-Event-ID), goes on live and ends after the order's final event.",
    params: idParams,
    headers: resumeHeaders,
    answers: {
      200: streamAnswer("One CloudEvent per `data:` line"),
      204: { type: "null", description: "You have the final event already: nothing more will come" },
      ...problemAnswers({ key: true, body: false }, "order_not_found", "cursor_invalid"),
    },
  };
  const options = { schema, exposeHeadRoute: false, onRequest: requires("orders:read") };
  app.get("/v1/orders/:id/stream", options, async (request, reply) => {
    const resume = readResume(request.headers["last-event-id"]);
    const view = await reads.find(request.params.id, request.principal);
    // An EventSource reconnects after every end; 204 is how it is told to stop.
    if (isEnd(view.status) && (resume?.version ?? -1) >= view.version) return reply.code(204).send();
    const filter = { orderId: view.id, clientId: visibleTo(request.principal) };
    // An id of the other stream does not say which version its event was of: then from the start, repeats allowed.
    const from = resume?.version == null ? "0" : resume.position;
    return open(reply, (signal) => feed.subscribe(filter, from, signal), {
      idOf: (position, event) => `${position}~${event.subjectversion}`,
      isLast: tellsTheEnd,
    });
  });
}

/** Whether this is the order's last event: its snapshot is in a final state. */
function tellsTheEnd(event: PlatformEvent): boolean {
  const status = (event.data.order as { status?: OrderStatus } | undefined)?.status;
  return status !== undefined && isEnd(status);
}

function eventStream(app: App, { feed, requires }: GatewayWorld, open: OpenStream): void {
  const schema = {
    tags: ["streams"],
    operationId: "streamEvents",
    summary: "Follow all events (SSE)",
    description:
      "Your client's orders' events; with an operator's key everyone's, and those of channels. Without Last-Event-ID it begins " +
      "with what happens from now on; 0 begins with the oldest event that is kept.",
    headers: resumeHeaders,
    querystring: strict({
      types: Type.Optional(
        Type.String({ maxLength: 500, description: `separated by commas: ${eventTypes.join(", ")}` }),
      ),
    }),
    answers: {
      200: streamAnswer("One CloudEvent per `data:` line"),
      ...problemAnswers({ key: true, body: false }, "validation_failed", "cursor_invalid"),
    },
  };
  const options = { schema, exposeHeadRoute: false, onRequest: requires("orders:read") };
  app.get("/v1/events/stream", options, async (request, reply) => {
    const types = readTypes(request.query.types);
    const resume = readResume(request.headers["last-event-id"]);
    const filter = { clientId: visibleTo(request.principal), ...(types === undefined ? {} : { types }) };
    return open(reply, (signal) => feed.subscribe(filter, resume?.position, signal), {
      idOf: (position) => position,
      isLast: () => false,
    });
  });
}

function readTypes(text: string | undefined): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const types = text.split(",").map((type) => type.trim());
  const unknown = types.find((type) => !(eventTypes as readonly string[]).includes(type));
  if (unknown === undefined) return types;
  throw wrongFields([
    { pointer: "/query/types", message: `names "${unknown}"; the types are ${eventTypes.join(", ")}` },
  ]);
}

function readResume(header: string | undefined): Resume | undefined {
  if (header === undefined || header === "") return undefined;
  const match = /^(\d{1,15})(?:~(\d{1,9}))?$/.exec(header);
  if (!match)
    throw new UoopError("cursor_invalid", "Last-Event-ID must be the id of an event that a stream sent.");
  return { position: match[1]!, version: match[2] === undefined ? null : Number(match[2]) };
}

type OpenStream = (
  reply: FastifyReply,
  subscribe: (gone: AbortSignal) => ReturnType<EventFeed["subscribe"]>,
  form: { idOf(position: string, event: PlatformEvent): string; isLast(event: PlatformEvent): boolean },
) => FastifyReply;

function createStreams({ clock, log, stopping }: GatewayWorld): OpenStream {
  let openStreams = 0;
  // The feed gives every subscriber the same object: written out once, however many streams it goes to.
  const written = new WeakMap<PlatformEvent, string>();
  const writeOut = (event: PlatformEvent): string => {
    const known = written.get(event);
    if (known !== undefined) return known;
    const text = `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
    written.set(event, text);
    return text;
  };

  return (reply, subscribe, { idOf, isLast }) => {
    if (openStreams >= maxStreams) {
      throw new UoopError("overloaded", `${maxStreams} streams are open already.`);
    }
    const gone = new AbortController();
    // Subscribed before the client sees the stream open: what it does next is not missed.
    const events = subscribe(gone.signal);
    const out = reply.hijack().raw;
    openStreams += 1;
    const forgetHeartbeat = keepAlive(out, clock);
    const leave = () => {
      if (gone.signal.aborted) return;
      gone.abort();
      openStreams -= 1;
      forgetHeartbeat();
      stopping.removeEventListener("abort", leave);
      out.end();
    };
    out.once("close", leave);
    stopping.addEventListener("abort", leave);
    out.writeHead(200, sseHeaders);
    out.write("retry: 1000\n\n");

    const pump = async () => {
      for await (const { position, event } of events) {
        if (!out.write(`id: ${idOf(position, event)}\n${writeOut(event)}`)) await drained(out, clock);
        if (isLast(event) || gone.signal.aborted) return;
      }
    };
    pump()
      .catch((error: unknown) => log.debug({ error }, "a stream ended early; its client resumes"))
      .finally(leave);
    return reply;
  };
}

/** Writes a comment now and then; returns how to stop. */
function keepAlive(out: ServerResponse, clock: Clock): () => void {
  let forget = (): void => undefined;
  const beat = () => {
    if (!out.writableNeedDrain) out.write(":\n\n");
    forget = clock.after(heartbeatMs, beat);
  };
  forget = clock.after(heartbeatMs, beat);
  return () => forget();
}

const sseHeaders = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** Resolves when the client has taken what was written, or left; one that takes nothing for too long is cut off. */
const drained = (out: ServerResponse, clock: Clock): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      forget();
      out.off("drain", done);
      out.off("close", done);
      resolve();
    };
    const forget = clock.after(maxStallMs, () => out.destroy());
    out.once("drain", done);
    out.once("close", done);
  });
