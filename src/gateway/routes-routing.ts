import type { FastifyReply } from "fastify";
import type { PolicyRules } from "../capacity/policy.ts";
import type { PolicyBody, PolicyView } from "../optimization/api.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf } from "./auth.ts";
import { readIfMatch } from "./if-match.ts";
import { answers, ifMatchHeaders, problemAnswers } from "./schemas.ts";
import * as schemas from "./schemas-routing.ts";
import { reversed } from "./submission.ts";
import { wrongFields } from "./validation.ts";

const tags = ["routing"];
const readers = ["orders:operate", "channels:write"] as const;

export function routingRoutes(app: App, world: GatewayWorld): void {
  listPolicies(app, world);
  getPolicy(app, world);
  getVersions(app, world);
  putPolicy(app, world);
  getResults(app, world);
  simulatePolicy(app, world);
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

const dayMs = 86_400_000;
const maxRangeDays = 92;

/** A range of time as given; `window_reversed`, and `validation_failed` where it is too long. */
function rangeOf(
  { from, to }: { from?: string; to?: string },
  { nowMs, defaultDays, under }: { nowMs: number; defaultDays: number; under: string },
): { fromMs: number; toMs: number } {
  const toMs = to === undefined ? nowMs : Math.max(0, Date.parse(to));
  const fromMs = Math.max(0, from === undefined ? toMs - defaultDays * dayMs : Date.parse(from));
  if (toMs <= fromMs) throw reversed(`${under}/to`);
  if (toMs - fromMs <= maxRangeDays * dayMs) return { fromMs, toMs };
  throw wrongFields([
    { pointer: `${under}/from`, message: `must be at most ${maxRangeDays} days before to` },
  ]);
}

function getResults(app: App, { trials, clock, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "getRoutingPolicyResults",
    summary: "What became of the orders of a routing policy, by version",
    description:
      "With the policies that it is compared with: of whom it takes a share, or who take one of its.",
    params: schemas.policyParams,
    querystring: schemas.resultsQuery,
    ...answers(
      schemas.policyResults.ref,
      { 200: "The results" },
      problemAnswers({ key: true, body: false }, "validation_failed", "window_reversed", "policy_not_found"),
    ),
  };
  app.get(
    "/v1/routing-policies/:id/results",
    { schema, onRequest: requires("orders:operate") },
    async (request, reply) => {
      const range = rangeOf(request.query, { nowMs: clock.nowMs(), defaultDays: 7, under: "/query" });
      return reply.send(await trials.results(request.params.id, range));
    },
  );
}

function simulatePolicy(app: App, { trials, clock, requires }: GatewayWorld): void {
  const schema = {
    tags,
    operationId: "simulateRoutingPolicy",
    summary: "What a routing policy would have made of recorded orders",
    description:
      "One of the body, or a stored version, over orders as they were placed, against channels and slots as they are now less what " +
      "other orders hold there. Writes nothing.",
    params: schemas.policyParams,
    body: schemas.simulateBody.ref,
    ...answers(
      schemas.simulation.ref,
      { 200: "Beside what happened" },
      problemAnswers({ key: true, body: true }, "window_reversed", "policy_not_found"),
    ),
  };
  app.post(
    "/v1/routing-policies/:id/simulate",
    { schema, onRequest: requires("orders:operate") },
    async (request, reply) => {
      const { policy, version, clientId = null, maxOrders = schemas.defaultSimulatedOrders } = request.body;
      const range = rangeOf(request.body, { nowMs: clock.nowMs(), defaultDays: 1, under: "" });
      const which = {
        ...(policy === undefined ? {} : { policy: policy as PolicyRules }),
        ...(version === undefined ? {} : { version }),
      };
      return reply.send(
        await trials.simulate(request.params.id, { ...which, ...range, clientId, maxOrders }),
      );
    },
  );
}
