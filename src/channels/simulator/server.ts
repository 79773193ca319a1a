import fastify, { type FastifyInstance } from "fastify";
import type { Log } from "../../platform/log.ts";

const maxBodyBytes = 4 * 1024 * 1024;

/** An HTTP server that keeps each body as it was sent, because signatures cover the bytes. */
export function createServer(log: Log): FastifyInstance {
  const server: FastifyInstance = fastify({
    bodyLimit: maxBodyBytes,
    // Calls that are never answered must not keep it from closing.
    forceCloseConnections: true,
    // The protocol grows by optional fields: unknown ones are ignored, never a reason to refuse a call.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: true } },
  });
  server.decorateRequest("rawBody", "");
  server.decorateRequest("channel", undefined);
  server.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    request.rawBody = body as string;
    try {
      done(null, JSON.parse(request.rawBody));
    } catch {
      done(Object.assign(new Error("the body is not JSON"), { statusCode: 400 }));
    }
  });
  server.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) log.error({ err: error }, "a simulated call broke");
    return reply.code(status).send({ error: error.message });
  });
  return server;
}
