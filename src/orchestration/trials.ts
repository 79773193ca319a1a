import { setImmediate } from "node:timers/promises";
import type { CapacityApi } from "../capacity/api.ts";
import { withSlotsBetween } from "../capacity/past-slots.ts";
import { compilePolicy, type PolicyRules, type RoutingPolicy } from "../capacity/policy.ts";
import type { PoliciesApi } from "../optimization/api.ts";
import { createReplay, type PastOrder, type ReplayReport } from "../optimization/replay.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { UoopError } from "../platform/errors.ts";
import { type RecordedOrder, type ResultRow, readRecorded, readResults } from "./recorded.ts";
import { wishOf } from "./routing.ts";

export interface SimulationRequest {
  /** How channels are chosen; absent: by `version` of the policy, or its newest. */
  policy?: PolicyRules;
  version?: number;
  fromMs: number;
  toMs: number;
  /** null: all clients'. */
  clientId: string | null;
  maxOrders: number;
}

export interface Simulation extends ReplayReport {
  policy: string;
  from: string;
  to: string;
  /** There were more orders than `maxOrders`: these are the oldest of the range. */
  limited: boolean;
}

export interface PolicyResult {
  /** `<id>@<version>` */
  policy: string;
  orders: number;
  confirmedShare: number;
  failed: number;
  cancelled: number;
  delivered: number;
  /** Of the orders that reached their end at the door, those within the promised window; null: there are none yet. */
  onTimeShare: number | null;
  /** By currency. */
  meanCostMinor: Readonly<Record<string, number>>;
  meanPromiseMinutes: number | null;
}

export interface PolicyResults {
  policyId: string;
  from: string;
  to: string;
  /** There were more orders in the range than are looked at: these are the newest. */
  limited: boolean;
  /** Its versions, and those of the policies that it is compared with: of whom it takes a share, or who take one of its. */
  results: readonly PolicyResult[];
}

export interface TrialsApi {
  /** Throws `policy_not_found`, `validation_failed`, `overloaded` (one at a time in a process). Writes nothing. */
  simulate(id: string, request: SimulationRequest): Promise<Simulation>;
  /** Throws `policy_not_found`. */
  results(id: string, range: { fromMs: number; toMs: number }): Promise<PolicyResults>;
}

/** Orders that results look at: about 1.5 s of the database. */
const maxResultOrders = 20_000;
/** Orders that are replayed before other work has its turn: about a millisecond over 12 channels. */
const replayBatch = 100;

interface TrialsDependencies {
  database: Database;
  clock: Clock;
  policies: PoliciesApi;
  capacity: Pick<CapacityApi, "network">;
}

/** What policies came to, and would come to, over recorded orders. */
export function createTrials(dependencies: TrialsDependencies): TrialsApi {
  const { database, clock, policies } = dependencies;
  let busy = false;
  return {
    async simulate(id, request) {
      const policy = await policyOf(id, request, policies);
      if (busy)
        throw new UoopError("overloaded", "A simulation is under way here; try again when it is done.");
      busy = true;
      try {
        return await simulate(dependencies, policy, request);
      } finally {
        busy = false;
      }
    },
    async results(id, { fromMs, toMs }) {
      const { experiment } = await policies.get(id);
      const others = (await policies.list()).filter((one) => one.experiment?.of === id).map((one) => one.id);
      const ids = [id, ...(experiment ? [experiment.of] : []), ...others];
      const until = Math.min(toMs, clock.nowMs() + 1);
      const { rows, limited } = await readResults(database, { fromMs, toMs: until }, ids, maxResultOrders);
      return { policyId: id, ...rangeOf(fromMs, toMs), limited, results: toResults(rows) };
    },
  };
}

const rangeOf = (fromMs: number, toMs: number) => ({
  from: new Date(fromMs).toISOString(),
  to: new Date(toMs).toISOString(),
});

async function policyOf(
  id: string,
  { policy, version }: SimulationRequest,
  policies: PoliciesApi,
): Promise<RoutingPolicy> {
  if (policy) {
    policies.check(policy);
    return compilePolicy(`${id}@draft`, policy);
  }
  const view = await policies.get(id, version);
  return compilePolicy(`${id}@${view.version}`, view);
}

async function simulate(
  { database, capacity }: TrialsDependencies,
  policy: RoutingPolicy,
  { fromMs, toMs, clientId, maxOrders }: SimulationRequest,
): Promise<Simulation> {
  const recorded = await readRecorded(database, { fromMs, toMs, clientId }, maxOrders + 1);
  const orders = recorded.slice(0, maxOrders).map((order) => toPast(order, policy));
  const starts = orders.map(({ wish }) => wish.windowStartMs);
  const ends = orders.map(({ wish }) => wish.windowEndMs);
  const least = starts.reduce((one, other) => Math.min(one, other), toMs);
  const most = ends.reduce((one, other) => Math.max(one, other), fromMs);
  const network = await withSlotsBetween(capacity.network(), database, least, most);
  const replay = createReplay(network, orders);
  for (let done = 0; done < orders.length; done += replayBatch) {
    replay.add(orders.slice(done, done + replayBatch));
    await setImmediate();
  }
  const limited = recorded.length > maxOrders;
  return { policy: policy.id, ...rangeOf(fromMs, toMs), limited, ...replay.report() };
}

function toPast({ id, doc, state, held }: RecordedOrder, policy: RoutingPolicy): PastOrder {
  const { legs } = state;
  const got =
    legs.length === 0
      ? null
      : {
          channelId: legs[0]!.channel.id,
          costMinor: legs.reduce((sum, leg) => sum + leg.costMinor, 0),
          promisedStartMs: Math.min(...legs.map((leg) => Date.parse(leg.promised.start))),
          slots: held,
        };
  const placedMs = Date.parse(doc.createdAt);
  return { id, currency: doc.currency, placedMs, wish: wishOf(doc, policy), got };
}

/** Rows of several currencies of a version as one. */
function toResults(rows: readonly ResultRow[]): PolicyResult[] {
  return [...Map.groupBy(rows, ({ policy }) => policy)].map(([policy, ofPolicy]) => {
    const sum = (field: Exclude<keyof ResultRow, "policy" | "currency">) =>
      ofPolicy.reduce((total, row) => total + row[field], 0);
    const orders = sum("orders");
    const ended = sum("delivered") + sum("undelivered");
    const priced = sum("priced");
    return {
      policy,
      orders,
      confirmedShare: round(sum("confirmed") / orders),
      failed: sum("failed"),
      cancelled: sum("cancelled"),
      delivered: sum("delivered"),
      onTimeShare: ended === 0 ? null : round(sum("onTime") / ended),
      meanCostMinor: Object.fromEntries(
        ofPolicy
          .filter((row) => row.priced > 0)
          .map((row) => [row.currency, round(row.costMinor / row.priced)]),
      ),
      meanPromiseMinutes: priced === 0 ? null : round(sum("promiseMinutes") / priced),
    };
  });
}

const round = (value: number): number => Math.round(value * 10_000) / 10_000;
