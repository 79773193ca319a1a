import { randomBytes } from "node:crypto";
import type { Clock } from "../platform/clock.ts";
import type { Database, Executor } from "../platform/database.ts";
import { UoopError } from "../platform/errors.ts";
import { digest, type Ids, laneOfDigest } from "../platform/ids.ts";
import { appendJournal } from "../platform/journal.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Service } from "../platform/service.ts";
import type { PackedEvent } from "../relay/api.ts";
import { appendEvents } from "../relay/append.ts";
import type { CapacityApi, Channel, RankedChannel, RankingQuery, Slot, SlotView } from "./api.ts";
import { afterChange, withCircuit, withSigns } from "./circuits.ts";
import { createNetwork, type Network } from "./network.ts";
import { defaultPolicy, evaluate } from "./ranking.ts";
import * as store from "./store.ts";

interface By {
  actor: string;
  source: string | null;
}

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
}

/** Rows of channels read into memory at most; more channels than that are a configuration error, and said so. */
const maxChannels = 10_000;

/** Far enough that every slot of a channel is in the range. */
const endOfTimeMs = Date.UTC(9_999, 0, 1);

export interface Capacity extends CapacityApi, Service {
  /** What a commit said about the slots that it touched (exact, unlike the periodic refresh). */
  noteSlots: Network["noteSlots"];
  /** Channels as operations rate them; those of `network()` have the quality that `rateBy` says. */
  rated: Network["rated"];
  rateBy: Network["rateBy"];
}

/** Channels, their slots and who has room: PostgreSQL is the truth, the network in memory what routing looks at. */
export function createCapacity(dependencies: CapacityDependencies): Capacity {
  const { database, clock, log, refreshMs = 5_000 } = dependencies;
  const network = createNetwork();
  let forgetTimer: () => void = () => undefined;
  let stopped = false;

  async function refresh(): Promise<void> {
    const askedMs = clock.nowMs();
    const [channels, slots] = await Promise.all([
      store.listChannels(database, "", maxChannels + 1),
      store.readOpenSlots(database, clock.nowMs()),
    ]);
    if (channels.length > maxChannels)
      throw new Error(`more than ${maxChannels} channels: raise maxChannels and measure`);
    network.replaceAll(channels, slots);
    dependencies.metrics?.networkRead.set(askedMs / 1_000);
  }

  function refreshLater(): void {
    if (stopped || refreshMs === 0) return;
    forgetTimer = clock.after(refreshMs, () => {
      refresh()
        .catch((error: unknown) =>
          log.warn({ error }, "the network could not be read anew; routing goes on with what it has"),
        )
        .finally(refreshLater);
    });
  }

  const changes = channelChanges(dependencies, network);
  return {
    name: "capacity",
    async start() {
      stopped = false;
      await refresh();
      refreshLater();
    },
    async stop() {
      stopped = true;
      forgetTimer();
    },
    ...changes,
    listChannels: ({ afterId, limit }) => store.listChannels(database, afterId ?? "", limit),
    getChannel: (id) => store.readChannel(database, id),
    async getCapacity(id, { fromMs, toMs }) {
      if (!(await store.readChannel(database, id))) throw notFound(id);
      return (await store.readSlots(database, id, fromMs, toMs)).map(toView);
    },
    rankings: async (query) => rank(query, network, clock.nowMs()),
    network: () => network.rooms(),
    channelInMemory: (id) => network.channel(id),
    callbackSecret: (id) => store.readSecret(database, id),
    noteSlots: network.noteSlots,
    rated: network.rated,
    rateBy: network.rateBy,
  };
}

type Changes = Pick<
  CapacityApi,
  "createChannel" | "patchChannel" | "noteCircuit" | "noteSigns" | "putCapacity"
>;

/** The writers: each change is one transaction with its event and its journal row. */
function channelChanges(dependencies: CapacityDependencies, network: Network): Changes {
  const { database, clock, ids, onCommitted } = dependencies;

  async function tell(
    tx: Executor,
    channel: Channel,
    event: Omit<PackedEvent, "version" | "at"> | null,
    entry: object,
    by: By,
  ) {
    const lane = laneOfDigest(digest(channel.id));
    if (event) {
      const packed = { ...event, version: channel.version, at: channel.updatedAt };
      await appendEvents(tx, [
        { lane, subject: channel.id, clientId: null, doc: { ...channel }, events: [packed] },
      ]);
    }
    await appendJournal(tx, [
      { subject: channel.id, version: channel.version, lane, at: channel.updatedAt, ...by, entries: [entry] },
    ]);
  }

  async function remember(channel: Channel): Promise<void> {
    onCommitted?.();
    network.replaceChannel(channel, await store.readSlots(database, channel.id, clock.nowMs(), endOfTimeMs));
  }

  /** What is known of a channel's health changes to what `become` makes of it (null: nothing new), and is told. */
  async function note(
    id: string,
    become: (before: Channel, at: string) => Channel | null,
    entryOf: (after: Channel) => { what: string; detail?: string },
    by: By,
  ): Promise<void> {
    const changed = await database.transaction(async (tx) => {
      const before = await store.readChannel(tx, id, { lock: true });
      const at = new Date(clock.nowMs()).toISOString();
      const after = before && become(before, at);
      if (!after) return null;
      const channel = { ...after, version: before.version + 1, updatedAt: at };
      await store.updateChannel(tx, channel);
      const entry = entryOf(channel);
      await tell(tx, channel, healthEvent(before, channel, entry.detail), entry, by);
      return channel;
    });
    if (changed) await remember(changed);
  }

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
        await tell(tx, channel, null, { what: "channel created" }, by);
      });
      await remember(channel);
      return { channel, secret };
    },

    async patchChannel(id, patch, expectedVersion, by) {
      const changed = await database.transaction(async (tx) => {
        const before = await store.readChannel(tx, id, { lock: true });
        if (!before) throw notFound(id);
        if (expectedVersion !== null && before.version !== expectedVersion) {
          throw new UoopError(
            "version_conflict",
            `Channel ${id} is at version ${before.version}, not ${expectedVersion}.`,
          );
        }
        const version = before.version + 1;
        const updatedAt = new Date(clock.nowMs()).toISOString();
        const channel = afterChange({ ...before, ...patch, version, updatedAt }, patch.health);
        await store.updateChannel(tx, channel);
        await tell(
          tx,
          channel,
          healthEvent(before, channel),
          { what: "channel changed", fields: Object.keys(patch) },
          by,
        );
        return channel;
      });
      await remember(changed);
      return changed;
    },

    noteCircuit(id, partner, detail, by) {
      const what = detail === null ? "circuit closed" : "circuit opened";
      const entry = { what, ...(partner === undefined ? {} : { partner }), ...(detail ? { detail } : {}) };
      return note(
        id,
        (before, at) => withCircuit(before, partner, detail, at),
        () => entry,
        by,
      );
    },

    noteSigns: (id, judge, by) =>
      note(
        id,
        (before, at) => withSigns(before, judge(before), at),
        ({ healthSigns = [] }) => ({
          what: "health judged",
          signs: healthSigns.map(({ sign }) => sign),
          ...(healthSigns[0] ? { detail: healthSigns[0].detail } : {}),
        }),
        by,
      ),

    async putCapacity(id, slots, by) {
      const fromMs = Math.min(...slots.map((slot) => Date.parse(slot.start)));
      const toMs = Math.max(...slots.map((slot) => Date.parse(slot.end)));
      const { channel, views } = await database.transaction(async (tx) => {
        const before = await store.readChannel(tx, id, { lock: true });
        if (!before) throw notFound(id);
        const reserved = await store.lockReserved(tx, id, fromMs, toMs);
        const present = await store.readSlots(tx, id, fromMs, toMs);
        const wanted = slots.map((slot) => ({ ...slot, id: ids.create("slt", clock.nowMs()) }));
        refuseBadSlots(slots, present, new Map(reserved.map((row) => [row.id, row.reserved])));
        await store.writeSlots(tx, id, wanted);
        const channel = {
          ...before,
          version: before.version + 1,
          updatedAt: new Date(clock.nowMs()).toISOString(),
        };
        await store.updateChannel(tx, channel);
        const views = (await store.readSlots(tx, id, fromMs, toMs)).map(toView);
        await tell(
          tx,
          channel,
          { type: "capacity.updated", data: { slots: views } },
          { what: "capacity set", slots },
          by,
        );
        return { channel, views };
      });
      await remember(channel);
      const keys = new Set(slots.map(sameSlot));
      return views.filter((view) => keys.has(sameSlot(view)));
    },
  };
}

const notFound = (id: string) => new UoopError("channel_not_found", `There is no channel ${id}.`);

const sameSlot = (slot: { start: string; end: string }): string =>
  `${Date.parse(slot.start)}/${Date.parse(slot.end)}`;

const toView = (row: store.SlotRow): SlotView => ({
  id: row.id,
  start: row.start,
  end: row.end,
  capacity: row.capacity,
  reserved: row.reserved,
});

/** Capacity below what is reserved, and slots that overlap, are refused whole; each offending slot is named. */
function refuseBadSlots(
  wanted: readonly Slot[],
  present: readonly store.SlotRow[],
  reservedBySlot: ReadonlyMap<string, number>,
): void {
  const before = new Map(present.map((slot) => [sameSlot(slot), slot]));
  const after = new Map<string, { start: string; end: string }>(before);
  wanted.forEach((slot, index) => {
    if (after.has(sameSlot(slot)) && !before.has(sameSlot(slot))) {
      throw new UoopError("slots_overlap", `Slot ${index} (${slot.start}) is in the list twice.`);
    }
    after.set(sameSlot(slot), slot);
    const reserved = reservedBySlot.get(before.get(sameSlot(slot))?.id ?? "") ?? 0;
    if (slot.capacity < reserved) {
      throw new UoopError(
        "capacity_below_reserved",
        `Slot ${slot.start} – ${slot.end} has ${reserved} units reserved; ${slot.capacity} is below that. Set ${reserved} or more, or pause the channel.`,
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

/** Pausing and resuming change what a channel is good for, as its health does: one event type tells of both. */
function healthEvent(
  before: Channel,
  after: Channel,
  reason?: string,
): Pick<PackedEvent, "type" | "data"> | null {
  const was = before.status === "paused" ? "paused" : before.health;
  const is = after.status === "paused" ? "paused" : after.health;
  if (was === is) return null;
  return { type: "channel.health_changed", data: { from: was, to: is, ...(reason ? { reason } : {}) } };
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
  };
  // Looking ahead is not ordering: lead time is not held against a slot that is asked about.
  const { candidates } = evaluate(
    wish,
    network.rooms(),
    defaultPolicy,
    Math.min(nowMs, query.slotMs - 86_400_000),
  );
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
