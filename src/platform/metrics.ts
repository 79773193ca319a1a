import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** The metrics of one process; docs/operating.md lists them. Created once in app.ts and passed in. */
export type Metrics = ReturnType<typeof createMetrics>;

const latencySeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10];

export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return {
    registry,
    ...orderMetrics([registry]),
    ...eventMetrics([registry]),
    ...webhookMetrics([registry]),
  };
}

function orderMetrics(registers: Registry[]) {
  return {
    orderSeconds: new Histogram({
      name: "uoop_order_processing_seconds",
      help: "Submit to confirmed, failed or cancelled",
      labelNames: ["status"],
      buckets: latencySeconds,
      registers,
    }),
    httpSeconds: new Histogram({
      name: "uoop_http_request_seconds",
      help: "HTTP requests by route and status",
      labelNames: ["method", "route", "status"],
      buckets: latencySeconds,
      registers,
    }),
    ordersWritten: new Counter({
      name: "uoop_orders_written_total",
      help: "Orders committed, by the status that the commit left them in",
      labelNames: ["to"],
      registers,
    }),
    commits: new Histogram({
      name: "uoop_commit_orders",
      help: "Orders per commit, by kind",
      labelNames: ["kind"],
      buckets: [1, 10, 50, 100, 250, 500, 1_000, 2_000],
      registers,
    }),
    channelCalls: new Histogram({
      name: "uoop_channel_call_seconds",
      help: "Calls to channels, by call and outcome",
      labelNames: ["channel", "call", "outcome"],
      buckets: latencySeconds,
      registers,
    }),
    stuckOrders: new Counter({
      name: "uoop_orders_stuck_total",
      help: "Orders whose undo failed for good",
      registers,
    }),
    inMotion: new Gauge({
      name: "uoop_orders_in_motion",
      help: "Orders that this process carries",
      registers,
    }),
  };
}

function eventMetrics(registers: Registry[]) {
  return {
    relayLag: new Gauge({
      name: "uoop_relay_lag_seconds",
      help: "Age of the oldest event not yet on the bus",
      registers,
    }),
    published: new Counter({
      name: "uoop_events_published_total",
      help: "Events put on the bus",
      labelNames: ["type"],
      registers,
    }),
    deadLetters: new Counter({
      name: "uoop_dead_letters_total",
      help: "Events that could not be delivered",
      labelNames: ["subscriber"],
      registers,
    }),
    consumerLag: new Gauge({
      name: "uoop_consumer_lag_events",
      help: "Events on the bus that a consumer has not handled",
      labelNames: ["consumer"],
      registers,
    }),
    streams: new Gauge({ name: "uoop_sse_streams", help: "Open SSE streams", registers }),
  };
}

/** `webhook` is its id; beyond the first hundred of a process they are one, `other`. */
function webhookMetrics(registers: Registry[]) {
  const labelNames = ["webhook"] as const;
  return {
    webhookEvents: new Counter({
      name: "uoop_webhook_events_total",
      help: "Events by webhook and outcome: delivered, failed (and tried again), dead (given up)",
      labelNames: ["webhook", "outcome"],
      registers,
    }),
    webhookRetries: new Counter({
      name: "uoop_webhook_retries_total",
      help: "Events sent again after a failure",
      labelNames,
      registers,
    }),
    webhookSeconds: new Histogram({
      name: "uoop_webhook_request_seconds",
      help: "Requests to webhooks until their answer; by outcome, so the success rate as well",
      labelNames: ["webhook", "outcome"],
      buckets: latencySeconds,
      registers,
    }),
    webhookLag: new Gauge({
      name: "uoop_webhook_lag_events",
      help: "Events on the bus that a webhook has not passed",
      labelNames,
      registers,
    }),
    webhookPending: new Gauge({
      name: "uoop_webhook_pending_events",
      help: "Events that wait to be tried again, or behind one that does",
      labelNames,
      registers,
    }),
    webhooksPaused: new Counter({
      name: "uoop_webhooks_paused_total",
      help: "Webhooks paused because they failed for long or asked for it (410)",
      registers,
    }),
  };
}
