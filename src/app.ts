import { hostname } from "node:os";
import { createEventLog } from "./bus/event-log.ts";
import { createEventFeed } from "./bus/feed.ts";
import { type Capacity, createCapacity } from "./capacity/capacity.ts";
import { type Channels, createChannels } from "./channels/channels.ts";
import { createKeys, type Keys } from "./gateway/keys.ts";
import { createGateway, openApiDocument } from "./gateway/server.ts";
import type { PoliciesApi } from "./optimization/api.ts";
import { createCouriers } from "./optimization/couriers.ts";
import { createPolicies } from "./optimization/policies.ts";
import { pooledPrices } from "./optimization/pooled-prices.ts";
import { createSteerer, type Steerer } from "./optimization/steer.ts";
import type { OrchestrationApi } from "./orchestration/api.ts";
import { createOrchestration } from "./orchestration/orchestration.ts";
import { createSealer } from "./orchestration/sealer.ts";
import { createTrials } from "./orchestration/trials.ts";
import { createAnalyst } from "./performance/analyst.ts";
import { createPerformance, halfLivesOf, type Performance } from "./performance/performance.ts";
import { type Clock, systemClock } from "./platform/clock.ts";
import type { Config } from "./platform/config.ts";
import { type Database, openDatabase, statement } from "./platform/database.ts";
import { createIds, type Ids } from "./platform/ids.ts";
import { createLog, type Log } from "./platform/log.ts";
import { createMetrics, type Metrics } from "./platform/metrics.ts";
import { createPartitionKeeper } from "./platform/partitions.ts";
import { type Service, startAll, stopAll } from "./platform/service.ts";
import type { ReadModel } from "./read-model/api.ts";
import { createProjector } from "./read-model/projector.ts";
import { createReadModel } from "./read-model/store.ts";
import { createReconciler, type ReconcilerDependencies } from "./reconciliation/reconciler.ts";
import { createReconciliationStore } from "./reconciliation/store.ts";
import { createRelay } from "./relay/relay.ts";
import { type ServiceName, servicesOf } from "./roles.ts";
import { createDeliverer } from "./webhooks/deliverer.ts";
import { createWebhooks } from "./webhooks/webhooks.ts";

/** What tests and simulations put in place of the real thing. */
export interface Overrides {
  clock?: Clock;
  ids?: Ids;
  log?: Log;
  metrics?: Metrics;
  /** 0 to 1, for jitter. */
  random?: () => number;
  database?: Database;
  channels?: Channels;
  /** True where a lock says that no other process works on this database: then nobody's lease is waited out. */
  exclusive?: boolean;
}

/** One process of the platform, put together. */
export interface App extends Service {
  readonly config: Config;
  readonly database: Database;
  readonly capacity: Capacity;
  readonly policies: PoliciesApi;
  readonly orchestration: OrchestrationApi;
  readonly readModel: ReadModel;
  readonly performance: Performance;
  readonly keys: Keys;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Where the gateway listens; only once started, and only with the role gateway. */
  readonly url: string;
  /** The API's OpenAPI document; also when nothing was started. */
  openApi(): Promise<object>;
}

/**
 * The composition root: config → adapters → contexts → services; the only place that knows which adapter is behind a
 * port. Needs `config.DATABASE_URL` (the caller starts the embedded PostgreSQL and puts its URL there) on a migrated
 * database. Nothing runs before `start`; `stop` drains: intake first, then what it writes to.
 */
export function createApp(config: Config, overrides: Overrides = {}): App {
  const { clock = systemClock, ids = createIds(), metrics = createMetrics() } = overrides;
  const { log = createLog(config.LOG_LEVEL), random = Math.random, exclusive = false } = overrides;
  const database =
    overrides.database ??
    openDatabase(config.DATABASE_URL, { connections: config.DATABASE_CONNECTIONS, application: "uoop" });
  const { WEBHOOK_TARGETS: rule, SLOT_DAYS_AHEAD: slotDaysAhead } = config;
  const common = { database, clock, ids, log, metrics, config, rule, slotDaysAhead };

  const bus = createEventLog({ database });
  const holder = ids.create("own", clock.nowMs());
  const relay = createRelay({ ...common, bus, holder });
  const deliverer = createDeliverer({ ...common, bus, holder, random, exclusive });
  const pokeRelay = () => relay.poke();
  const webhooks = createWebhooks({ ...common, bus, onChanged: deliverer.poke, onAppended: pokeRelay });
  const capacity = createCapacity({ ...common, onCommitted: pokeRelay });
  const policies = createPolicies(common);
  const couriers = createCouriers({ log });
  const performance = createPerformance({ ...common, capacity });
  const channels = overrides.channels ?? channelsOver(capacity, performance, common);
  const steerer = steererOver({ capacity, random }, common);
  const orchestration = createOrchestration({
    ...{ ...common, capacity, policies, channels, random, exclusive, steerer },
    onAppended: (rows) => relay.poke(rows),
  });
  const reconciliation = createReconciliationStore(database);
  const reconciler = reconcilerOver({ store: reconciliation, channels, orchestration }, capacity, common);
  const readModel = createReadModel({ database });
  const feed = createEventFeed({ ...common, bus });
  const keys = createKeys({ database, clock, ids });
  const contexts = { orchestration, capacity, policies, readModel, performance, keys };
  const trials = createTrials({ ...common, policies, capacity });
  const api = { ...common, ...contexts, couriers, trials, reconciliation, feed, webhooks };
  const gateway = createGateway(api);

  const partitions = createPartitionKeeper({ database, clock, log });
  const all: Record<ServiceName, Service> = {
    ...{
      database: databaseService(database),
      partitions,
      channels,
      capacity,
      policies,
      steerer,
      performance,
      relay,
    },
    ...{ webhooks: deliverer, sealer: createSealer({ database, clock, log }), feed, orchestration },
    projector: createProjector({ ...common, bus }),
    analyst: createAnalyst({ ...common, bus, halfLives: halfLivesOf(config) }),
    ...{ reconciler, couriers, gateway },
  };
  const services = servicesOf(config.roleSet).map((name) => all[name]);
  return {
    name: "app",
    config,
    database,
    ...contexts,
    metrics,
    log,
    get url() {
      return gateway.url;
    },
    openApi: () => openApiDocument(api),
    start: () => startAll(services),
    stop: () => stopAll(services),
  };
}

type Common = Parameters<typeof createCapacity>[0] & { metrics: Metrics; config: Config };

/** Channels whose circuits are noted where channels are kept. */
const channelsOver = (
  capacity: Capacity,
  performance: Performance,
  { clock, log, metrics, config }: Common,
): Channels =>
  createChannels({
    clock,
    log,
    metrics,
    secretOf: (id) => capacity.callbackSecret(id),
    breaker: {
      failuresToOpen: config.BREAKER_FAILURES,
      recoveryMs: config.BREAKER_RECOVERY_MS,
      monitorMs: config.BREAKER_MONITOR_MS,
    },
    onCircuit: (id, partner, detail) =>
      capacity.noteCircuit(id, partner, detail, { actor: "breaker", source: `${hostname()}:${process.pid}` }),
    onCall: performance.noteCall,
    known: knownTo(capacity),
  });

const steererOver = (
  { capacity, random }: { capacity: Capacity; random: () => number },
  { clock, log, config }: { clock: Clock; log: Log; config: Config },
): Steerer =>
  createSteerer({
    ...{ clock, random, everyMs: config.BID_PRICES_EVERY_MS },
    network: () => capacity.network(),
    onError: (error) => log.warn({ error }, "no new bid prices; the last ones stay"),
    ...pooledPrices(),
  });

const reconcilerOver = (
  parts: Pick<ReconcilerDependencies, "store" | "channels" | "orchestration">,
  capacity: Capacity,
  common: Common,
): Service =>
  createReconciler({
    ...common,
    ...parts,
    known: knownTo(capacity),
    everySeconds: common.config.RECONCILE_EVERY_SECONDS,
  });

const knownTo = (capacity: Capacity) => () => capacity.network().map(({ channel }) => channel);

const databaseService = (database: Database): Service => {
  let closed: Promise<void> | undefined;
  return {
    name: "database",
    start: async () => void (await database.run(statement("app.hello", "select 1"))),
    stop: () => (closed ??= database.close()),
  };
};
