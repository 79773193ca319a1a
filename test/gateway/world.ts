import { randomBytes } from "node:crypto";
import type {
  CapacityApi,
  Channel,
  NewChannel,
  ScheduleView,
  Slot,
  SlotView,
  StockItem,
} from "../../src/capacity/api.ts";
import type { GatewayDependencies } from "../../src/gateway/app.ts";
import type { Keys, Principal, Scope } from "../../src/gateway/keys.ts";
import { createGateway, type GatewayLimits } from "../../src/gateway/server.ts";
import type { CallbackResult, OrchestrationApi, Submission } from "../../src/orchestration/api.ts";
import type { OrderView, PersonalData } from "../../src/orchestration/order.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { UoopError } from "../../src/platform/errors.ts";
import { createIds } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import type { PlatformEvent } from "../../src/relay/api.ts";

/** In-memory stand-ins for the other contexts: only for tests of what the gateway does by itself. */
export interface FakeWorld extends GatewayDependencies {
  orders: Map<string, { clientId: string; order: OrderView; personal: PersonalData | null }>;
  /** What the read model has; empty unless a test puts something there. */
  views: Map<string, { clientId: string; order: OrderView }>;
  told: Map<string, number>;
  submitted: Submission[];
  /** What the next orders are refused with, before they are read. */
  refusal: UoopError | null;
  /** Decides what becomes of the next orders. */
  outcome: Partial<OrderView>;
  events: { position: string; event: PlatformEvent }[];
  publish(event: PlatformEvent): void;
}

export const keyOf: Record<string, string> = {};

const ids = createIds();
const now = "2026-11-24T06:00:00.000Z";

/** Keys by name: all (admin), read, write, channels, other (another client's, all order scopes). */
function fakeKeys(): Keys {
  const known = new Map<string, Principal>();
  const add = (name: string, clientId: string, scopes: Scope[], rateLimitPerMinute = 0) => {
    const key = `uoop_${randomBytes(32).toString("base64url")}`;
    keyOf[name] = key;
    const keyId = ids.create("key", Date.now());
    const actor = scopes.includes("admin") ? `operator:${keyId}` : `client:${clientId}`;
    known.set(key, { keyId, clientId, scopes: new Set(scopes), rateLimitPerMinute, actor });
  };
  add("all", "cli_admin", ["admin"]);
  add("read", "cli_a", ["orders:read"]);
  add("write", "cli_a", ["orders:read", "orders:write"]);
  add("channels", "cli_a", ["channels:write"]);
  add("other", "cli_b", ["orders:read", "orders:write"]);
  add("three", "cli_c", ["orders:read", "orders:write"], 3);
  add("four", "cli_c", ["orders:read", "orders:write"], 4);
  return {
    authenticate: (key) => known.get(key) ?? null,
    reachable: async () => true,
    create: () => Promise.reject(new Error("not here")),
    list: async () => [],
    revoke: async () => false,
    ensureFirstKey: async () => null,
  };
}

function fakeOrchestration(world: FakeWorld): OrchestrationApi {
  const byKey = new Map<string, { id: string; body: string }>();
  const place = (submission: Submission) => {
    world.submitted.push(submission);
    const { clientId, keyNamespace, idempotencyKey, order, personal } = submission;
    const key = JSON.stringify([clientId, keyNamespace, idempotencyKey]);
    const body = JSON.stringify([order, personal]);
    const known = byKey.get(key);
    if (known) {
      if (known.body !== body) {
        return { kind: "refused" as const, code: "idempotency_key_reused" as const, detail: "another body" };
      }
      return { kind: "order" as const, order: world.orders.get(known.id)!.order, replayed: true };
    }
    if (Date.parse(order.delivery.window.end) < Date.now()) {
      return { kind: "refused" as const, code: "window_in_past" as const, detail: "it has passed" };
    }
    const id = ids.order(3, Date.now());
    const view: OrderView = {
      ...order,
      id,
      createdAt: now,
      updatedAt: now,
      status: "confirmed",
      version: 4,
      legs: [],
    };
    const decided = { ...view, ...world.outcome };
    world.orders.set(id, { clientId, order: decided, personal });
    byKey.set(key, { id, body });
    return { kind: "order" as const, order: decided, replayed: false };
  };
  return {
    admits: () => world.refusal,
    submit: async (submissions) => submissions.map(place),
    cancel: async (requests) =>
      requests.map(({ id, clientId }) => {
        const found = world.orders.get(id);
        if (!found || (clientId !== null && clientId !== found.clientId)) {
          return { kind: "refused", code: "order_not_found", detail: "no such order" };
        }
        if (found.order.status === "dispatched") {
          return { kind: "refused", code: "transition_refused", detail: "it is on its way" };
        }
        found.order = { ...found.order, status: "cancelled", version: found.order.version + 2 };
        return { kind: "order", order: found.order };
      }),
    change: async (requests) =>
      requests.map(({ id, clientId, change: { window } }) => {
        const found = world.orders.get(id);
        if (!found || (clientId !== null && clientId !== found.clientId))
          return { kind: "refused", code: "order_not_found", detail: "no such order" };
        if (window) found.order = { ...found.order, delivery: { ...found.order.delivery, window } };
        return { kind: "order", order: found.order };
      }),
    operate: async (requests) =>
      requests.map(({ id }) => {
        const found = world.orders.get(id);
        return found
          ? { kind: "order", order: found.order }
          : { kind: "refused", code: "order_not_found", detail: "no such order" };
      }),
    complain: async (requests) =>
      requests.map(({ id }) => ({ kind: "order", order: world.orders.get(id)!.order })),
    complaintTexts: async (wanted) => wanted.map(() => ({})),
    callbacks: async (callbacks) =>
      callbacks.map(({ attemptKey }): CallbackResult => {
        const known = world.orders.has(attemptKey.split(".")[0]!);
        return known
          ? { kind: "applied", detail: "done" }
          : { kind: "refused", code: "attempt_unknown", detail: "no such attempt" };
      }),
    read: async (wanted) => wanted.map((id) => world.orders.get(id) ?? null),
    contacts: async (wanted) => wanted.map((id) => world.orders.get(id)?.personal ?? null),
    decisions: async (wanted) =>
      wanted.map((id) =>
        world.orders.get(id)?.order.status === "received"
          ? null
          : [
              {
                attempt: { leg: 1, attempt: 1, at: now, channelId: "chn_1", booking: "booked" },
                method: "best_each",
                policy: "default@1",
                summary: "Kitchen was chosen",
                chosen: { channelId: "chn_1", name: "Kitchen", score: 0.5 },
                candidates: [],
                excluded: [{ reason: "radius", channels: 3, text: "does not deliver so far" }],
                nearestExcluded: [],
              },
            ],
      ),
    quotes: () => [],
    toldVersion: (id) => world.told.get(id),
  };
}

function fakeCapacity(): CapacityApi {
  const channels = new Map<
    string,
    { channel: Channel; secret: string; slots: SlotView[]; schedule?: ScheduleView; stock?: StockItem[] }
  >();
  const find = (id: string) => {
    const found = channels.get(id);
    if (!found) throw new UoopError("channel_not_found", "no such channel");
    return found;
  };
  return {
    listChannels: async ({ afterId, limit }) =>
      [...channels.values()]
        .map(({ channel }) => channel)
        .filter(({ id }) => afterId === null || id > afterId)
        .slice(0, limit),
    getChannel: async (id) => channels.get(id)?.channel ?? null,
    async createChannel(wanted: NewChannel) {
      const id = ids.create("chn", Date.now());
      const secret = `whsec_${randomBytes(24).toString("base64")}`;
      const channel: Channel = {
        ...wanted,
        id,
        status: "active",
        health: "up",
        version: 1,
        createdAt: now,
        updatedAt: now,
      };
      channels.set(id, { channel, secret, slots: [] });
      return { channel, secret };
    },
    async patchChannel(id, patch, expectedVersion) {
      const found = find(id);
      if (expectedVersion !== null && expectedVersion !== found.channel.version) {
        throw new UoopError("version_conflict", "changed meanwhile");
      }
      found.channel = { ...found.channel, ...patch, version: found.channel.version + 1 };
      return found.channel;
    },
    noteCircuit: async () => undefined,
    noteSigns: async () => undefined,
    async putCapacity(id, slots: readonly Slot[]) {
      const found = find(id);
      if (slots.some(({ capacity }) => capacity === 0))
        throw new UoopError("capacity_below_reserved", "2 are reserved");
      found.slots = slots.map((slot) => ({
        ...slot,
        id: ids.create("slt", Date.now()),
        sellable: slot.capacity,
        reserved: 0,
      }));
      return found.slots;
    },
    getCapacity: async (id) => find(id).slots,
    getStock: async (id) => find(id).stock ?? [],
    async putStock(id, changes) {
      const items = changes.map((change) => {
        const quantity = "adjust" in change ? Math.max(0, change.adjust) : change.quantity;
        return { safety: 0, ...change, quantity, sellable: quantity, reserved: 0 };
      });
      find(id).stock = items;
      return items;
    },
    getSchedule: async (id) => find(id).schedule ?? null,
    async putSchedule(id, schedule) {
      const found = find(id);
      const version = (found.schedule?.version ?? 0) + 1;
      found.schedule = { ...schedule, version, updatedAt: now, madeUntil: now.slice(0, 10) };
      return { schedule: found.schedule, kept: [] };
    },
    rankings: async () => [],
    network: () => [],
    channelInMemory: () => undefined,
    callbackSecret: async (id) => channels.get(id)?.secret ?? null,
  };
}

function fakeFeed(world: FakeWorld): GatewayDependencies["feed"] {
  const waiting = new Set<() => void>();
  world.publish = (event) => {
    world.events.push({ position: String(world.events.length + 1), event });
    for (const wake of waiting) wake();
    waiting.clear();
  };
  return {
    subscribe(filter, from, signal) {
      let at = from === undefined ? world.events.length : Number(from);
      let ended = false;
      let wakeUp = (): void => undefined;
      const take = async (): Promise<IteratorResult<{ position: string; event: PlatformEvent }>> => {
        while (!ended) {
          const next = world.events[at];
          if (!next) {
            await new Promise<void>((resolve) => {
              wakeUp = resolve;
              waiting.add(resolve);
            });
            continue;
          }
          at += 1;
          if (filter.orderId !== undefined && filter.orderId !== next.event.subject) continue;
          if (filter.types !== undefined && !filter.types.includes(next.event.type)) continue;
          return { done: false, value: next };
        }
        return { done: true, value: undefined };
      };
      const end = () => {
        ended = true;
        wakeUp();
      };
      signal?.addEventListener("abort", end);
      return {
        [Symbol.asyncIterator]: () => ({
          next: take,
          return: async () => {
            end();
            return { done: true, value: undefined };
          },
        }),
      };
    },
    timeline: async (orderId) =>
      world.events.map(({ event }) => event).filter(({ subject }) => subject === orderId),
  };
}

/** A gateway over fakes, listening on a free port. */
export async function startFakeWorld(
  change: Partial<GatewayDependencies> = {},
  limits?: GatewayLimits,
): Promise<FakeWorld & { url: string; stop(): Promise<void> }> {
  const world = {
    config: { HOST: "127.0.0.1", PORT: 0, ANSWER_WITHIN_MS: 2_000 },
    orders: new Map(),
    views: new Map(),
    told: new Map(),
    submitted: [],
    outcome: {},
    refusal: null,
    events: [],
    keys: fakeKeys(),
    capacity: fakeCapacity(),
    metrics: createMetrics(),
    log: createLog("silent"),
    clock: systemClock,
    ids,
  } as unknown as FakeWorld;
  world.orchestration = fakeOrchestration(world);
  world.feed = fakeFeed(world);
  world.readModel = {
    get: async (wanted) => wanted.map((id) => world.views.get(id) ?? null),
    list: async ({ clientId, beforeId, limit }) =>
      [...world.orders.values()]
        .filter((one) => clientId === null || one.clientId === clientId)
        .map(({ order }) => order)
        .sort((a, b) => (a.id < b.id ? 1 : -1))
        .filter(({ id }) => beforeId === undefined || id < beforeId)
        .slice(0, limit),
  };
  world.performance = { of: () => Promise.reject(new Error("not here")) };
  world.reconciliation = { differences: async () => [] };
  Object.assign(world, change);
  const gateway = createGateway(world, limits);
  await gateway.start();
  return Object.assign(world, { url: gateway.url, stop: () => gateway.stop() });
}
