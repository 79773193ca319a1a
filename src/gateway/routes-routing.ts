import type { FastifyReply } from "fastify";
import type { PolicyBody, PolicyView } from "../optimization/api.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf } from "./auth.ts";
import { readIfMatch } from "./if-match.ts";
import { answers, ifMatchHeaders, problemAnswers } from "./schemas.ts";
import * as schemas from "./schemas-routing.ts";
import { wrongFields } from "./validation.ts";

const tags = ["routing"];
const readers = ["orders:operate", "channels:write"] as const;

export function routingRoutes(app: App, world: GatewayWorld): void {
  listPolicies(app, world);
  getPolicy(app, world);
  getVersions(app, world);
  putPolicy(app, world);
}

const sendPolicy = (reply: FastifyReply, shown: PolicyView): FastifyReply =>
  reply.code(200).header("etag", `"${shown.version}"`).send(shown);

function listPolicies(app: App, { policies, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "listRoutingPolicies",
    summary: "List routing policies, each at its newest version",
    ...answers(
      schemas.policyList,
      { 200: "All policies, by id" },
      problemAnswers({ key: true, body: false }),
    ),
  };
  app.get("/v1/routing-policies", { schema, onRequest: requires(...readers) }, async (_request, reply) =>
    reply.send({ items: await policies.list(), nextCursor: null }),
  );
}

function getPolicy(app: App, { policies, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "getRoutingPolicy",
    summary: "Read a routing policy, its newest version or an older one",
    params: schemas.policyParams,
    querystring: schemas.policyQuery,
    ...answers(
      schemas.policy.ref,
      { 200: "The policy" },
      problemAnswers({ key: true, body: false }, "validation_failed", "policy_not_found"),
    ),
  };
  app.get("/v1/routing-policies/:id", { schema, onRequest: requires(...readers) }, async (request, reply) =>
    sendPolicy(reply, await policies.get(request.params.id, request.query.version)),
  );
}

function getVersions(app: App, { policies, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "listRoutingPolicyVersions",
    summary: "What a routing policy was, newest first",
    params: schemas.policyParams,
    ...answers(
      schemas.policyList,
      { 200: "Its newest hundred versions" },
      problemAnswers({ key: true, body: false }, "policy_not_found"),
    ),
  };
  app.get(
    "/v1/routing-policies/:id/versions",
    { schema, onRequest: requires(...readers) },
    async (request, reply) =>
      reply.send({ items: await policies.versions(request.params.id), nextCursor: null }),
  );
}

function putPolicy(app: App, { policies, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "putRoutingPolicy",
    summary: "Set a routing policy: its next version",
    description:
      "New orders, and those that are routed again, go by it within seconds in every process. The same as there is makes no " +
      "new version.",
    params: schemas.policyParams,
    headers: ifMatchHeaders,
    body: schemas.policyBody.ref,
    ...answers(
      schemas.policy.ref,
      { 200: "The policy as it is now" },
      problemAnswers({ key: true, body: true }, "version_conflict", "policy_conflict"),
    ),
  };
  app.put(
    "/v1/routing-policies/:id",
    { schema, onRequest: requires("channels:write") },
    async (request, reply) => {
      const expected = readIfMatch(request.headers["if-match"]);
      const { id } = request.params;
      if (!new RegExp(schemas.policyIdPattern).test(id))
        throw wrongFields([
          { pointer: "/params/id", message: "must be of lower-case letters, digits and -, 64 at most" },
        ]);
      return sendPolicy(reply, await policies.put(id, request.body as PolicyBody, expected, byOf(request)));
    },
  );
}
