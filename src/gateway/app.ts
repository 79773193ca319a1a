import type { IncomingMessage, ServerResponse } from "node:http";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { CapacityApi } from "../capacity/api.ts";
import type { PoliciesApi } from "../optimization/api.ts";
import type { OrchestrationApi } from "../orchestration/api.ts";
import type { TrialsApi } from "../orchestration/trials.ts";
import type { PerformanceApi } from "../performance/api.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Ids } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { ReadModel } from "../read-model/api.ts";
import type { Reconciliation } from "../reconciliation/api.ts";
import type { PlatformEvent } from "../relay/api.ts";
import type { WebhooksApi } from "../webhooks/api.ts";
import type { Guard } from "./auth.ts";
import type { Keys, Scope } from "./keys.ts";
import type { OrderReads } from "./order-reads.ts";
import type { Validation } from "./validation.ts";

/** What streams and timelines are fed from (bus/feed.ts). */
export interface EventFeed {
  /**
   * Events after `from`, first those that were, then live; without `from` only live ones. Ends when the signal aborts or
   * the reader falls too far behind.
   */
  subscribe(
    filter: { orderId?: string; clientId: string | null; types?: readonly string[] },
    from?: string,
    signal?: AbortSignal,
  ): AsyncIterable<{ position: string; event: PlatformEvent }>;
  /** An order's events so far, oldest first; waits a short while for those up to `atLeastVersion`. */
  timeline(orderId: string, options: { atLeastVersion: number }): Promise<readonly PlatformEvent[]>;
}

export interface GatewayDependencies {
  config: Pick<Config, "HOST" | "PORT" | "ANSWER_WITHIN_MS">;
  orchestration: OrchestrationApi;
  capacity: CapacityApi;
  policies: PoliciesApi;
  trials: TrialsApi;
  readModel: ReadModel;
  performance: PerformanceApi;
  reconciliation: Reconciliation;
  feed: EventFeed;
  keys: Keys;
  webhooks: WebhooksApi;
  metrics: Metrics;
  log: Log;
  clock: Clock;
  ids: Ids;
}

/** What the routes share, made once. */
export interface GatewayWorld extends GatewayDependencies {
  reads: OrderReads;
  validation: Validation;
  requires: (...scopes: readonly Scope[]) => Guard;
  /** Aborted when the gateway stops: streams end, and no request is taken any more. */
  stopping: AbortSignal;
}

/** Fastify whose handlers know the types of their schemas. */
export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
