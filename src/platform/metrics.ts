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
    ...channelMetrics([registry]),
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
    stuckOrders: new Counter({
      name: "uoop_orders_stuck_total",
      help: "Orders whose undo failed for good",
      registers,
    }),
    deadlines: new Counter({
      name: "uoop_deadlines_total",
      help: "Orders whose deadline came, by the status that they had",
      labelNames: ["status"],
      registers,
    }),
    inMotion: new Gauge({
      name: "uoop_orders_in_motion",
      help: "Orders that this process carries",
      registers,
    }),
  };
}

function channelMetrics(registers: Registry[]) {
  return {
    channelCalls: new Histogram({
      name: "uoop_channel_call_seconds",
      help: "Calls to channels, by call and outcome",
      labelNames: ["channel", "call", "outcome"],
      buckets: latencySeconds,
      registers,
    }),
    openCircuits: new Gauge({
      name: "uoop_channel_circuit_open",
      help: "1 while this process leaves the channel (or member of a network) alone after failures",
      labelNames: ["channel", "partner"],
      registers,
    }),
    networkRead: new Gauge({
      name: "uoop_network_read_timestamp_seconds",
      help: "When the channels and slots in memory, which routing and rankings look at, were last read whole (Unix time)",
      registers,
    }),
    bookingsCompared: new Counter({
      name: "uoop_bookings_compared_total",
      help: "Bookings that were compared with what their channel has, by channel",
      labelNames: ["channel"],
      registers,
    }),
    differences: new Counter({
      name: "uoop_booking_differences_total",
      help: "Bookings that differ from what their channel has, by kind and whether that was put right",
      labelNames: ["kind", "repaired"],
      registers,
    }),
    openDifferences: new Gauge({
      name: "uoop_booking_differences_open",
      help: "Differences that people have to look at",
      registers,
    }),
    lateOrders: new Counter({
      name: "uoop_orders_late_total",
      help: "Orders whose promised window passed before they were delivered, by channel",
      labelNames: ["channel"],
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
