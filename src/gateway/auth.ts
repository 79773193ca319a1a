import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from "fastify";
import type { Actor } from "../orchestration/api.ts";
import { UoopError } from "../platform/errors.ts";
import type { Keys, Principal, Scope } from "./keys.ts";
import type { RateLimiter } from "./rate-limit.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Whose key the request carries; set by `requires`, on the routes that have it. */
    principal: Principal;
  }
}

export type Guard = (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => void;

/**
 * Lets a request pass that carries a key with one of these scopes (admin has all): 401 without a known key, 403
 * naming the scope, 429 when the key has used up its limit. Synchronous while the key is in memory, so the hot path waits
 * for nothing.
 */
export function createGuards(keys: Keys, limiter: RateLimiter): (...scopes: readonly Scope[]) => Guard {
  return (...scopes) =>
    (request, reply, done) => {
      const admit = (principal: Principal | null): void => {
        const refusal = refuse(principal, scopes) ?? limit(reply, principal!, limiter);
        if (refusal === undefined) request.principal = principal!;
        done(refusal);
      };
      const key = bearerOf(request.headers.authorization);
      if (key === null)
        return done(new UoopError("unauthorized", "Send the API key as Authorization: Bearer uoop_…."));
      const principal = keys.authenticate(key);
      if (principal instanceof Promise) principal.then(admit, done);
      else admit(principal);
    };
}

function refuse(principal: Principal | null, scopes: readonly Scope[]): UoopError | undefined {
  if (principal === null)
    return new UoopError("unauthorized", "This API key is not known, or it was revoked.");
  if (mayDo(principal, scopes)) return undefined;
  return new UoopError(
    "forbidden",
    `This needs the scope ${scopes.join(" or ")}; the key has ${listed(principal)}.`,
  );
}

/**
 * A request counts one, whatever it carries. Headers as in draft-ietf-httpapi-ratelimit-headers: `q` requests in `w`
 * seconds, `r` of them left, `t` seconds until all are there again.
 */
function limit(reply: FastifyReply, principal: Principal, limiter: RateLimiter): UoopError | undefined {
  const { keyId, rateLimitPerMinute: perMinute } = principal;
  if (perMinute === 0) return undefined;
  const { passes, remaining, resetSeconds, retryAfterSeconds } = limiter.take(keyId, perMinute);
  reply.header("ratelimit-policy", `"key";q=${perMinute};w=60`);
  reply.header("ratelimit", `"key";r=${remaining};t=${resetSeconds}`);
  if (passes) return undefined;
  const detail = `This key may send ${perMinute} requests a minute. Many orders in one request count as one: POST /v1/orders/batch.`;
  return new UoopError("rate_limited", detail, { retryAfterSeconds });
}

const isAdmin = (principal: Principal): boolean => principal.scopes.has("admin");

/** Whose orders a request may see: its own client's; null: all. */
export const visibleTo = (principal: Principal): string | null =>
  mayDo(principal, ["orders:operate"]) ? null : principal.clientId;

export const byOf = (request: FastifyRequest): Actor => ({
  actor: request.principal.actor,
  source: request.ip,
});

const mayDo = (principal: Principal, scopes: readonly Scope[]): boolean =>
  isAdmin(principal) || scopes.some((scope) => principal.scopes.has(scope));

const listed = (principal: Principal): string => [...principal.scopes].join(", ") || "none";

function bearerOf(header: string | undefined): string | null {
  if (header === undefined || header.length < 8 || header.slice(0, 7).toLowerCase() !== "bearer ")
    return null;
  return header.slice(7).trim();
}
