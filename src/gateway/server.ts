import type { Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import { fastify } from "fastify";
import type { TSchema } from "typebox";
import { type Clock, sleep } from "../platform/clock.ts";
import { UoopError } from "../platform/errors.ts";
import type { Service } from "../platform/service.ts";
import type { App, GatewayDependencies, GatewayWorld } from "./app.ts";
import { createGuards, type Guard } from "./auth.ts";
import { acceptCsv } from "./csv.ts";
import { docsRoutes } from "./docs.ts";
import { collectOpenApi, openApiRoute } from "./openapi.ts";
import { createOrderReads } from "./order-reads.ts";
import {
  answerClientError,
  answerUnknownAddresses,
  createErrorHandler,
  sendProblem,
  toUoopError,
} from "./problems.ts";
import { createRateLimiter } from "./rate-limit.ts";
import { callbackRoutes } from "./routes-callbacks.ts";
import { changeRoutes } from "./routes-change.ts";
import { channelRoutes } from "./routes-channels.ts";
import { complaintRoutes } from "./routes-complaints.ts";
import { deadLetterRoutes } from "./routes-dead-letters.ts";
import { differenceRoutes } from "./routes-differences.ts";
import { healthRoutes } from "./routes-health.ts";
import { operateRoutes } from "./routes-operate.ts";
import { orderReadRoutes } from "./routes-order-reads.ts";
import { orderRoutes } from "./routes-orders.ts";
import { performanceRoutes } from "./routes-performance.ts";
import { quoteRoutes } from "./routes-quotes.ts";
import { routingRoutes } from "./routes-routing.ts";
import { scheduleRoutes } from "./routes-schedules.ts";
import { stockRoutes } from "./routes-stock.ts";
import { webhookRoutes } from "./routes-webhooks.ts";
import * as shared from "./schemas.ts";
import * as channelSchemas from "./schemas-channels.ts";
import * as complaintSchemas from "./schemas-complaints.ts";
import * as orderSchemas from "./schemas-orders.ts";
import * as performanceSchemas from "./schemas-performance.ts";
import * as quoteSchemas from "./schemas-quotes.ts";
import * as routingSchemas from "./schemas-routing.ts";
import * as scheduleSchemas from "./schemas-schedules.ts";
import * as stockSchemas from "./schemas-stock.ts";
import * as webhookSchemas from "./schemas-webhooks.ts";
import { streamRoutes } from "./streams.ts";
import { createValidation } from "./validation.ts";

const maxBodyBytes = 4 * 1024 * 1024;
/** A request that is not whole by then is cut off (slow senders must not hold sockets). */
const requestTimeoutMs = 30_000;
/** Longer than the idle timeouts of usual load balancers (60 s), so that it is they who close. */
const keepAliveMs = 72_000;
/** At a stop, clients have this long to hear of it at their next request, before connections that stay idle are closed under them. */
const lingerMs = 300;
/** Then answers under way have this long. */
const drainMs = 5_000;
const drainSweepMs = 20;
/** Requests under way at most (streams have a limit of their own); beyond it 503 at once, before a key or a body is looked at. */
const maxRequestsUnderWay = 10_000;

const components: readonly TSchema[] = [
  ...[shared, orderSchemas, channelSchemas, scheduleSchemas, routingSchemas, quoteSchemas, webhookSchemas],
  ...[performanceSchemas, complaintSchemas, stockSchemas],
]
  .flatMap((module) => Object.values(module) as unknown[])
  .filter(
    (value): value is shared.Component<unknown> =>
      typeof value === "object" && value !== null && "ref" in value,
  )
  .map(({ schema }) => schema);

export interface GatewayLimits {
  maxRequestsUnderWay: number;
}

/** The HTTP API: validates, authenticates, asks the other contexts and answers. Holds no state of its own. */
export function createGateway(
  deps: GatewayDependencies,
  limits: GatewayLimits = { maxRequestsUnderWay },
): Service & { readonly url: string } {
  const stopping = new AbortController();
  const sockets = new Set<Socket>();
  let app: App | undefined;
  let url = "";
  return {
    name: "gateway",
    get url() {
      return url;
    },
    async start() {
      app = await buildApp(deps, stopping.signal, limits);
      app.server.on("connection", (socket: Socket) => {
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket));
      });
      const { HOST: host, PORT: port } = deps.config;
      url = await app.listen({ host, port });
    },
    async stop() {
      if (app === undefined || stopping.signal.aborted) return;
      stopping.abort();
      await linger(sockets, deps.clock);
      const drained = drainConnections(app, sockets, deps.clock);
      await app.close().finally(drained);
    },
  };
}

/**
 * A connection that is closed while a request is on its way cuts that off. So each is told by the answer to its next request (503,
 * `connection: close`); only those that say nothing for a while are closed unasked, right after all that had arrived was read.
 */
async function linger(sockets: ReadonlySet<Socket>, clock: Clock): Promise<void> {
  const isKept = () => [...sockets].some(({ bytesRead }) => bytesRead > 0);
  for (let leftMs = lingerMs; leftMs > 0 && isKept(); leftMs -= drainSweepMs)
    await sleep(clock, drainSweepMs);
  await setImmediate(); // of an event loop's round, this is when its reading is over
}

/**
 * Node closes connections that are idle when a server closes; not those that become so later, nor those on which no
 * request ever came (browsers open some ahead). So we look again until all are gone. Returns how to stop looking.
 */
function drainConnections({ server }: App, sockets: ReadonlySet<Socket>, clock: Clock): () => void {
  const untilMs = clock.nowMs() + drainMs;
  let forget = (): void => undefined;
  const sweep = () => {
    if (clock.nowMs() < untilMs) server.closeIdleConnections();
    else server.closeAllConnections();
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    forget = clock.after(drainSweepMs, sweep);
  };
  sweep();
  return () => forget();
}

/** The OpenAPI document, without a running platform. */
export async function openApiDocument(deps: GatewayDependencies): Promise<object> {
  const app = await buildApp(deps, new AbortController().signal, { maxRequestsUnderWay });
  try {
    return app.swagger();
  } finally {
    await app.close();
  }
}

async function buildApp(
  deps: GatewayDependencies,
  stopping: AbortSignal,
  limits: GatewayLimits,
): Promise<App> {
  const validation = createValidation(components);
  const world: GatewayWorld = {
    ...deps,
    reads: createOrderReads(deps),
    validation,
    requires: createGuards(deps.keys, createRateLimiter(deps.clock)),
    stopping,
  };
  const app = createHttp(world);
  answerUnknownAddresses(app);
  observeRequests(app, world);
  limitRequests(app, limits);
  await collectOpenApi(app);
  for (const schema of components) app.addSchema(schema);
  for (const add of [
    ...[orderRoutes, orderReadRoutes, changeRoutes, operateRoutes, differenceRoutes, streamRoutes],
    ...[channelRoutes, scheduleRoutes, performanceRoutes, routingRoutes, callbackRoutes, complaintRoutes],
    ...[quoteRoutes, stockRoutes, webhookRoutes, deadLetterRoutes, healthRoutes],
  ])
    add(app, world);
  openApiRoute(app);
  docsRoutes(app);
  await app.ready();
  return app;
}

function createHttp({ log, validation, stopping }: GatewayWorld): App {
  const app = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    return503OnClosing: false, // we say so ourselves, as a problem
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, _request, reply) => void sendProblem(reply, toUoopError(error)),
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setErrorHandler(createErrorHandler(log));
  app.setValidatorCompiler(validation.compiler);
  app.decorateRequest("principal");
  app.decorateRequest("signedText", "");
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body: string, done) => {
    if (body.length === 0) done(null, undefined);
    else parse(request, body, done);
  });
  acceptCsv(app);
  app.addHook("onRequest", (_request, _reply, done) => {
    if (!stopping.aborted) return done();
    done(new UoopError("unavailable", "The process is stopping; another one answers."));
  });
  // Also what was under way already is the last on its connection: one that then lay idle would be closed, perhaps under a request.
  app.addHook("onSend", (_request, reply, payload, done) => {
    if (stopping.aborted) reply.header("connection", "close");
    done(null, payload);
  });
  return app;
}

/** Latency by route and status. Each route's observers are made once: looking labels up costs more than observing. */
function observeRequests(app: App, { metrics }: GatewayWorld): void {
  app.addHook("onRoute", (route) => {
    const method = String(route.method);
    const byStatus = new Map<number, { observe(seconds: number): void }>();
    const observe: NonNullable<typeof route.onResponse> = (
      _request: unknown,
      reply: { statusCode: number; elapsedTime: number },
      done: () => void,
    ) => {
      const status = reply.statusCode;
      let observer = byStatus.get(status);
      if (!observer) {
        observer = metrics.httpSeconds.labels({ method, route: route.url, status: String(status) });
        byStatus.set(status, observer);
      }
      observer.observe(reply.elapsedTime / 1_000);
      done();
    };
    if (!route.url.endsWith("/stream")) route.onResponse = [route.onResponse ?? [], observe].flat();
  });
}

/**
 * Bounds what waits in this process, whoever sent it. The API only: health and metrics answer also when nothing else does,
 * and a stream is open for hours.
 */
function limitRequests(app: App, { maxRequestsUnderWay: most }: GatewayLimits): void {
  const full = new UoopError("overloaded", `${most} requests are under way already.`);
  let underWay = 0;
  const leave = (): void => {
    underWay -= 1;
  };
  const enter: Guard = (_request, reply, done) => {
    if (underWay >= most) return done(full);
    underWay += 1;
    reply.raw.once("close", leave); // comes once, answered or left by the client
    done();
  };
  app.addHook("onRoute", (route) => {
    if (route.url.startsWith("/v1/") && !route.url.endsWith("/stream"))
      route.onRequest = [enter, route.onRequest ?? []].flat();
  });
}
