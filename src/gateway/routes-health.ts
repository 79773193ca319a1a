import { Type } from "typebox";
import { UoopError } from "../platform/errors.ts";
import type { App, GatewayWorld } from "./app.ts";
import { answers, problemAnswers } from "./schemas.ts";

/** For load balancers, orchestrators and Prometheus; none needs a key, none tells of orders. */
export function healthRoutes(app: App, { keys, metrics, stopping }: GatewayWorld): void {
  const text = (description: string) =>
    Type.Unsafe<string>({ description, content: { "text/plain": { schema: { type: "string" } } } });
  const status = Type.Object({ status: Type.String() });
  const live = {
    tags: ["operations"],
    operationId: "isLive",
    summary: "Whether the process runs",
    security: [],
    ...answers(status, { 200: "It does" }, {}),
  };
  app.get("/health/live", { schema: live }, async () => ({ status: "live" }));

  const ready = {
    tags: ["operations"],
    operationId: "isReady",
    summary: "Whether it takes requests: services started, database reachable",
    security: [],
    ...answers(status, { 200: "It does" }, problemAnswers({ key: false, body: false })),
  };
  app.get("/health/ready", { schema: ready }, async () => {
    if (stopping.aborted) throw new UoopError("unavailable", "The process is stopping.");
    if (!(await keys.reachable())) throw new UoopError("unavailable", "The database does not answer.");
    return { status: "ready" };
  });

  const measured = {
    tags: ["operations"],
    operationId: "getMetrics",
    summary: "Metrics in Prometheus' text format",
    security: [],
    answers: { 200: text("docs/operating.md lists them") },
  };
  app.get("/metrics", { schema: measured }, async (_request, reply) =>
    reply.header("content-type", metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}
