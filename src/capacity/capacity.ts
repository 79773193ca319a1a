import { randomBytes } from "node:crypto";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { UoopError } from "../platform/errors.ts";
import type { Ids } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Service } from "../platform/service.ts";
import { createAnnouncer } from "./announcer.ts";
import type { CapacityApi, Channel, RankedChannel, RankingQuery } from "./api.ts";
import { afterChange, withCircuit, withSigns } from "./circuits.ts";
import { createNetwork, type Network } from "./network.ts";
import { defaultPolicy } from "./policy.ts";
import { evaluate } from "./ranking.ts";
import { sellableOf } from "./schedule.ts";
import { readRules, readSchedule } from "./schedule-store.ts";
import { createSchedules } from "./schedules.ts";
import { createStock } from "./stock.ts";
import * as store from "./store.ts";
import {
  type By,
  type ChangeDependencies,
  lockChannel,
  nextVersion,
  notFound,
  remember,
  tell,
} from "./telling.ts";

export interface CapacityDependencies {
  database: Database;
  clock: Clock;
  ids: Ids;
  log: Log;
  metrics?: Pick<Metrics, "networkRead">;
  /** Something was committed: the relay may look (a hint). */
  onCommitted?(): void;
  /** How often the whole network is read anew, for what other processes changed. 0: never. */
  refreshMs?: number;
  /** Local days beyond today for which schedules' slots are made. */
  slotDaysAhead?: number;
}

/** Rows of channels read into memory at most; more channels than that are a configuration error, and said so. */
const maxChannels = 10_000;

export interface Capacity extends CapacityApi, Service {
  /** What a commit said about the slots that it touched (exact, unlike the periodic refresh). */
  noteSlots: Network["noteSlots"];
  /** Channels as operations rate them; those of `network()` have the quality that `rateBy` says. */
  rated: Network["rated"];
  rateBy: Network["rateBy"];
  noteStock: Network["noteStock"];
}

/** Channels, their slots and who has room: PostgreSQL is the truth, the network in memory what routing looks at. */
export function createCapacity(dependencies: CapacityDependencies): Capacity {
  const { database, clock, log, refreshMs = 5_000, slotDaysAhead = 14 } = dependencies;
  const announcer = createAnnouncer(dependencies);
  const network = createNetwork(announcer.note);
  const shared = { ...dependencies, network, announce: announcer.note };
  let forgetTimer: () => void = () => undefined;
  let stopped = false;

  async function refresh(): Promise<void> {
    const askedMs = clock.nowMs();
    const [channels, slots, rules] = await Promise.all([
      store.listChannels(database, "", maxChannels + 1),
      store.readOpenSlots(database, clock.nowMs()),
      readRules(database),
    ]);
    if (channels.length > maxChannels)
      throw new Error(`more than ${maxChannels} channels: raise maxChannels and measure`);
    network.replaceAll(channels, slots, rules);
    dependencies.metrics?.networkRead.set(askedMs / 1_000);
  }

  function refreshLater(): void {
    if (stopped || refreshMs === 0) return;
    forgetTimer = clock.after(refreshMs, () => {
      refresh()
        .then(readOn)
        .catch((error: unknown) =>
          log.warn({ error }, "the network could not be read anew; routing goes on with what it has"),
        )
        .finally(refreshLater);
    });
  }

  const { readAll, readOn, ...stock } = createStock(shared);
  const { name: _own, start, stop, ...schedules } = createSchedules({ ...shared, daysAhead: slotDaysAhead });
  return {
    name: "capacity",
    async start() {
      stopped = false;
      await refresh();
      await readAll();
      await announcer.start();
      await start();
      refreshLater();
    },
    async stop() {
      stopped = true;
      forgetTimer();
      await stop();
      await announcer.stop();
    },
    ...schedules,
    ...stock,
    ...channelChanges(shared),
    listChannels: ({ afterId, limit }) => store.listChannels(database, afterId ?? "", limit),
    getChannel: (id) => store.readChannel(database, id),
    async getCapacity(id, { fromMs, toMs }) {
      if (!(await store.readChannel(database, id))) throw notFound(id);
      return (await store.readSlots(database, id, fromMs, toMs)).map(store.toView);
    },
    rankings: async (query) => rank(query, network, clock.nowMs()),
    network: () => network.rooms(),
    channelInMemory: (id) => network.channel(id),
    callbackSecret: (id) => store.readSecret(database, id),
    noteSlots: network.noteSlots,
    rated: network.rated,
    rateBy: network.rateBy,
    noteStock: network.noteStock,
  };
}

type Changes = Pick<
  CapacityApi,
  "createChannel" | "patchChannel" | "noteCircuit" | "noteSigns" | "putCapacity"
>;

/** The writers: each change is one transaction with its event and its journal row. */
function channelChanges(dependencies: ChangeDependencies): Changes {
  const { database, clock, ids } = dependencies;
  return {
    async createChannel(fields, by) {
      const nowMs = clock.nowMs();
      const at = new Date(nowMs).toISOString();
      const id = ids.create("chn", nowMs);
      const channel: Channel = {
        id,
        ...fields,
        status: "active",
        health: "up",
        version: 1,
        createdAt: at,
        updatedAt: at,
      };
      const secret = `whsec_${randomBytes(24).toString("base64")}`;
      await database.transaction(async (tx) => {
        await store.insertChannel(tx, channel, secret);
        await tell(tx, channel, { what: "channel created" }, by);
      });
      await remember(channel, dependencies);
      return { channel, secret };
    },

    async patchChannel(id, patch, expectedVersion, by) {
      const changed = await database.transaction(async (tx) => {
        const before = await lockChannel(tx, id);
        if (expectedVersion !== null && before.version !== expectedVersion) {
          throw new UoopError(
            "version_conflict",
            `Channel ${id} is at version ${before.version}, not ${expectedVersion}.`,
          );
        }
        const after = afterChange({ ...before, ...patch }, patch.health);
        const channel = await nextVersion(tx, after, clock.nowMs());
        await tell(tx, channel, { what: "channel changed", fields: Object.keys(patch) }, by);
        return channel;
      });
      await remember(changed, dependencies);
      return changed;
    },

    noteCircuit(id, partner, detail, by) {
      const what = detail === null ? "circuit closed" : "circuit opened";
      const entry = { what, ...(partner === undefined ? {} : { partner }), ...(detail ? { detail } : {}) };
      const become: Become = (before, at) => withCircuit(before, partner, detail, at);
      return noteHealth(id, become, () => entry, by, dependencies);
    },

    noteSigns(id, judge, by) {
      const become: Become = (before, at) => withSigns(before, judge(before), at);
      return noteHealth(id, become, entryOfSigns, by, dependencies);
    },

    async putCapacity(id, slots, by) {
      const fromMs = Math.min(...slots.map((slot) => Date.parse(slot.start)));
      const toMs = Math.max(...slots.map((slot) => Date.parse(slot.end)));
      const { channel, views } = await database.transaction(async (tx) => {
        const before = await lockChannel(tx, id);
        const schedule = (await readSchedule(tx, id)) ?? {};
        await store.lockReserved(tx, id, fromMs, toMs);
        const present = await store.readSlots(tx, id, fromMs, toMs);
        const wanted = slots.map((slot) => ({
          ...slot,
          id: ids.create("slt", clock.nowMs()),
          sellable: sellableOf(slot.capacity, schedule),
          scheduled: false,
        }));
        refuseBadSlots(wanted, present);
        await store.writeSlots(tx, id, wanted);
        const channel = await nextVersion(tx, before, clock.nowMs());
        const views = (await store.readSlots(tx, id, fromMs, toMs)).map(store.toView);
        await tell(tx, channel, { what: "capacity set", slots }, by);
        return { channel, views };
      });
      await remember(channel, dependencies);
      const keys = new Set(slots.map(store.timesOf));
      return views.filter((view) => keys.has(store.timesOf(view)));
    },
  };
}

/** What a channel becomes; null: nothing new. */
type Become = (before: Channel, at: string) => Channel | null;

/** What is known of a channel's health changes, and is told. */
async function noteHealth(
  id: string,
  become: Become,
  entryOf: (after: Channel) => object,
  by: By,
  dependencies: ChangeDependencies,
): Promise<void> {
  const { database, clock } = dependencies;
  const changed = await database.transaction(async (tx) => {
    const before = await store.readChannel(tx, id, { lock: true });
    const after = before && become(before, new Date(clock.nowMs()).toISOString());
    if (!after) return null;
    const channel = await nextVersion(tx, after, clock.nowMs());
    await tell(tx, channel, entryOf(channel), by);
    return channel;
  });
  if (changed) await remember(changed, dependencies);
}

const entryOfSigns = ({ healthSigns = [] }: Channel) => ({
  what: "health judged",
  signs: healthSigns.map(({ sign }) => sign),
  ...(healthSigns[0] ? { detail: healthSigns[0].detail } : {}),
});

/** Capacity below what is reserved, and slots that overlap, are refused whole; each offending slot is named. */
function refuseBadSlots(wanted: readonly store.SlotToWrite[], present: readonly store.SlotRow[]): void {
  const before = new Map(present.map((slot) => [store.timesOf(slot), slot]));
  const after = new Map<string, { start: string; end: string }>(before);
  wanted.forEach((slot, index) => {
    const times = store.timesOf(slot);
    if (after.has(times) && !before.has(times)) {
      throw new UoopError("slots_overlap", `Slot ${index} (${slot.start}) is in the list twice.`);
    }
    after.set(times, slot);
    const reserved = before.get(times)?.reserved ?? 0;
    if (slot.sellable < reserved) {
      throw new UoopError(
        "capacity_below_reserved",
        `Slot ${slot.start} – ${slot.end} has ${reserved} units reserved; ${slot.sellable} is below that. Set ${reserved} or more, or pause the channel.`,
        { fields: [{ pointer: `/slots/${index}/capacity`, message: `must be at least ${reserved}` }] },
      );
    }
  });
  const sorted = [...after.values()].sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
  sorted.forEach((slot, index) => {
    const next = sorted[index + 1];
    if (next && Date.parse(next.start) < Date.parse(slot.end)) {
      throw new UoopError(
        "slots_overlap",
        `Slot ${slot.start} – ${slot.end} overlaps ${next.start} – ${next.end}.`,
      );
    }
  });
}

/** Best first: one unit, somewhere in the slot that holds the instant asked for. */
function rank(query: RankingQuery, network: Network, nowMs: number): RankedChannel[] {
  const wish = {
    location: query,
    windowStartMs: query.slotMs,
    windowEndMs: query.slotMs + 1,
    vehicle: query.vehicle,
    units: 1,
    currency: null,
    channelTypes: null,
    maxCostMinor: null,
    excluded: [],
    policy: defaultPolicy,
    facts: { items: [], priority: "standard", metadata: {} },
  };
  // Looking ahead is not ordering: lead time is not held against a slot that is asked about.
  const { candidates } = evaluate(wish, network.rooms(), Math.min(nowMs, query.slotMs - 31 * 86_400_000));
  return candidates.map(({ channel, slot, score, distanceMeters, costMinor, remaining }) => ({
    channelId: channel.id,
    name: channel.name,
    type: channel.type,
    score,
    distanceMeters: Math.round(distanceMeters),
    costMinor,
    currency: channel.costModel.currency,
    slot: {
      id: slot.id,
      start: new Date(slot.startMs).toISOString(),
      end: new Date(slot.endMs).toISOString(),
    },
    remaining,
  }));
}
