import type { Clock } from "../platform/clock.ts";
import type { Database, Executor } from "../platform/database.ts";
import { UoopError } from "../platform/errors.ts";
import { digest, type Ids, laneOfDigest } from "../platform/ids.ts";
import { appendJournal } from "../platform/journal.ts";
import type { Channel } from "./api.ts";
import type { Network } from "./network.ts";
import { readRules } from "./schedule-store.ts";
import * as store from "./store.ts";

/** Who changes something, and from where. */
export interface By {
  actor: string;
  source: string | null;
}

/** What every writer of channels needs. */
export interface ChangeDependencies {
  database: Database;
  clock: Clock;
  ids: Ids;
  network: Network;
  /** Something of this channel may have to be told. */
  announce(channelId: string): void;
}

/** Far enough that every slot of a channel is in the range. */
const endOfTimeMs = Date.UTC(9_999, 0, 1);

export const notFound = (id: string) => new UoopError("channel_not_found", `There is no channel ${id}.`);

/** The channel, locked. Throws `channel_not_found`. */
export async function lockChannel(tx: Executor, id: string): Promise<Channel> {
  const channel = await store.readChannel(tx, id, { lock: true });
  if (!channel) throw notFound(id);
  return channel;
}

/** Writes a channel's journal row with what it tells of; its events follow from what is stored (announcer.ts). */
export async function tell(tx: Executor, channel: Channel, entry: object, by: By): Promise<void> {
  const lane = laneOfDigest(digest(channel.id));
  await appendJournal(tx, [
    { subject: channel.id, version: channel.version, lane, at: channel.updatedAt, ...by, entries: [entry] },
  ]);
}

/** Stores the channel's next version. */
export async function nextVersion(tx: Executor, channel: Channel, nowMs: number): Promise<Channel> {
  const next = { ...channel, version: channel.version + 1, updatedAt: new Date(nowMs).toISOString() };
  await store.updateChannel(tx, next);
  return next;
}

/** After the commit: it is told, and the network in memory follows. */
export async function remember(
  channel: Channel,
  { database, clock, network, announce }: ChangeDependencies,
): Promise<void> {
  announce(channel.id);
  const [slots, rules] = await Promise.all([
    store.readSlots(database, channel.id, clock.nowMs(), endOfTimeMs),
    readRules(database, channel.id),
  ]);
  network.replaceChannel(channel, slots, rules.get(channel.id));
}
