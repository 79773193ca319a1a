import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from "fastify";
import { type ProblemCode, toProblem, UoopError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";

const contentType = "application/problem+json; charset=utf-8";

/** Answers with the problem; `extra` are its extension members (RFC 9457 §3.2). */
export function sendProblem(reply: FastifyReply, error: UoopError, extra: object = {}): FastifyReply {
  if (error.retryAfterSeconds !== undefined) reply.header("retry-after", error.retryAfterSeconds);
  if (error.status === 401) reply.header("www-authenticate", "Bearer");
  return reply
    .code(error.status)
    .header("content-type", contentType)
    .serializer(asItIs)
    .send(JSON.stringify({ ...toProblem(error), ...extra }));
}

// A reply's own serializer keeps fastify from choosing one by schema: the problem is text already.
const asItIs = (payload: unknown): string => payload as string;

/** Every error that leaves the gateway is one of the table's; what is not known becomes `internal` and is logged. */
export function createErrorHandler(log: Log) {
  return (given: FastifyError | UoopError, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const error = toUoopError(given);
    if (error.code === "internal") {
      log.error(
        { error: given, method: request.method, route: request.routeOptions.url },
        "a request failed",
      );
    }
    return sendProblem(reply, error);
  };
}

const byFastifyCode: Record<string, [ProblemCode, string]> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    "media_type_unsupported",
    "Send the body as JSON, with Content-Type: application/json.",
  ],
  FST_ERR_CTP_BODY_TOO_LARGE: [
    "payload_too_large",
    "Send less at once: 4 MiB at most, 32 MiB for a batch, 64 KiB for a callback.",
  ],
  FST_ERR_CTP_INVALID_JSON_BODY: ["bad_request", "The body is not valid JSON."],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ["bad_request", "The body is not as long as Content-Length says."],
  FST_ERR_BAD_URL: ["bad_request", "The address is not a valid URL; percent-encode it."],
  FST_ERR_MAX_PARAM_LENGTH: ["not_found", "There is nothing at this address."],
};

/** The table's error for whatever was thrown. */
export function toUoopError(error: unknown): UoopError {
  if (error instanceof UoopError) return error;
  const { code, statusCode } = error as Partial<FastifyError>;
  const known = code === undefined ? undefined : byFastifyCode[code];
  if (known) return new UoopError(known[0], known[1], { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new UoopError("bad_request", (error as Error).message, { cause: error });
  }
  return new UoopError("internal", "Something broke on our side; try again, and tell us if it stays.", {
    cause: error,
  });
}

/** Remembers each route's methods, to answer 405 and `Allow` instead of 404 where only the method is wrong. */
export function answerUnknownAddresses(app: FastifyInstance): void {
  const routes = new Map<string, { shape: RegExp; methods: Set<string> }>();
  app.addHook("onRoute", ({ url, method }) => {
    const known = routes.get(url) ?? { shape: shapeOf(url), methods: new Set<string>() };
    for (const one of [method].flat() as HTTPMethods[]) known.methods.add(one);
    routes.set(url, known);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0]!;
    const allowed = [...routes.values()]
      .filter(({ shape }) => shape.test(path))
      .flatMap(({ methods }) => [...methods]);
    if (allowed.length === 0)
      return sendProblem(reply, new UoopError("not_found", "There is nothing at this address; see /docs."));
    const allow = [...new Set(allowed)].sort().join(", ");
    reply.header("allow", allow);
    return sendProblem(
      reply,
      new UoopError("method_not_allowed", `${request.method} is not for this address; use ${allow}.`),
    );
  });
}

const shapeOf = (url: string): RegExp =>
  new RegExp(`^${url.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll(/:[A-Za-z]+/g, "[^/]+")}$`);

/** What is not even HTTP is answered as a problem too, on the bare socket. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  if (!socket.writable) return void socket.destroy();
  const problem = toProblem(
    new UoopError("bad_request", "The request is not valid HTTP, or its headers are too large."),
  );
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
