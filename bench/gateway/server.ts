/**
 * The other end of `uoop bench gateway` and `uoop bench quotes`, a process of its own: the gateway with everything behind it answering at once, or
 * (argument `bare`) a server that reads the body and answers the same bytes, which is what HTTP itself costs.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createKeys } from "../../src/gateway/keys.ts";
import { createGateway } from "../../src/gateway/server.ts";
import type { OrchestrationApi, Submission } from "../../src/orchestration/api.ts";
import { type OrderView, viewOf } from "../../src/orchestration/order.ts";
import { quoteAll } from "../../src/orchestration/routing.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { Database } from "../../src/platform/database.ts";
import { createIds } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { cityOf } from "../measure/route-cost.ts";

const clock = systemClock;
const ids = createIds();

/** What a kitchen's order looks like once it is confirmed. */
function confirmed({ order }: Submission): OrderView {
  const now = new Date(clock.nowMs()).toISOString();
  const { window } = order.delivery;
  const leg = {
    leg: 1,
    attempt: 1,
    channel: { id: "chn_01jzzzzzzzzzzzzzzzzzzzzzzz", type: "internal_kitchen" as const },
    slot: window,
    promised: window,
    costMinor: 900,
    bookingRef: "K-ZZZZZZZZ-1-1",
  };
  const doc = { id: ids.order(1, clock.nowMs()), ...order, createdAt: now };
  return viewOf(doc, { status: "confirmed", legs: [leg], version: 4, updatedAt: now });
}

/** Keys that were made are in memory, as they are in a server that has seen them once. */
function databaseOfKeys(): Database {
  const rows = new Map<string, object>();
  const run = async <Row>({ name }: { name: string }, params: readonly unknown[] = []): Promise<Row[]> => {
    if (name === "keys_insert_client") return [{ id: params[0] }] as Row[];
    if (name === "keys_insert") {
      const [id, clientId, , keyHash, scopes, rateLimitPerMinute] = params;
      rows.set(keyHash as string, { id, clientId, keyHash, scopes, rateLimitPerMinute });
    }
    if (name !== "keys_by_hash") return [];
    return (params[0] as string[]).flatMap((hash) => rows.get(hash) ?? []) as Row[];
  };
  return {
    run,
    transaction: (work) => work({ run }),
    statementsSent: 0,
    close: async () => undefined,
  };
}

const unused = (): never => {
  throw new Error("Only orders and quotes are sent here.");
};

/** Channels that quotes are made over. */
const quotedChannels = 12;

/** Requests a minute: counted, as for everybody, and never used up. */
const beyondReach = 1_000_000_000;

async function gateway(clients: number): Promise<{ url: string; keys: readonly string[] }> {
  const keys = createKeys({ database: databaseOfKeys(), clock, ids });
  const made = await Promise.all(
    Array.from({ length: clients }, (_, index) =>
      keys.create(`bench-${index}`, ["orders:write"], beyondReach),
    ),
  );
  const orchestration: OrchestrationApi = {
    admits: () => null,
    submit: async (submissions) =>
      submissions.map((submission) => ({ kind: "order", order: confirmed(submission), replayed: false })),
    cancel: unused,
    change: unused,
    operate: unused,
    complain: unused,
    complaintTexts: unused,
    callbacks: unused,
    read: unused,
    contacts: unused,
    decisions: unused,
    quotes: (requests) => quoteAll(requests, network, clock.nowMs()),
    toldVersion: () => undefined,
  };
  const network = cityOf(quotedChannels, clock.nowMs());
  const other = new Proxy({}, { get: unused }) as never;
  const server = createGateway({
    config: { HOST: "127.0.0.1", PORT: 0, ANSWER_WITHIN_MS: 2_000 },
    orchestration,
    capacity: other,
    policies: other,
    trials: other,
    readModel: other,
    performance: other,
    reconciliation: other,
    feed: other,
    webhooks: other,
    keys,
    metrics: createMetrics(),
    log: createLog("error"),
    clock,
    ids,
  });
  await server.start();
  return { url: server.url, keys: made.map(({ key }) => key) };
}

async function bare(): Promise<{ url: string; keys: readonly string[] }> {
  const body = Buffer.from(JSON.stringify({ filler: "x".repeat(900) }));
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      response.writeHead(201, { "content-type": "application/json", "content-length": body.length });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, keys: ["none"] };
}

const clients = 400;
process.send?.(process.argv[2] === "bare" ? await bare() : await gateway(clients));
process.on("disconnect", () => process.exit(0));
