import { type Database, statement } from "../platform/database.ts";
import type { ChannelRoom } from "./api.ts";
import { listChannels } from "./store.ts";

const selectSlotsBetween = statement(
  "slots_between",
  `select s.id, s.channel_id as "channelId", s.starts_at as start, s.ends_at as "end",
     coalesce(sum(a.sellable), 0)::int as sellable, coalesce(sum(a.reserved), 0)::int as reserved
   from slots s left join allotments a on a.slot_id = s.id
   where s.ends_at > $1 and s.starts_at < $2 group by s.id order by s.starts_at`,
);

const maxChannels = 10_000;

/** All channels with their slots in a time range, past ones too, as the database has them now: for what looks back. */
export async function readNetworkBetween(
  database: Database,
  fromMs: number,
  toMs: number,
): Promise<ChannelRoom[]> {
  const [channels, slots] = await Promise.all([
    listChannels(database, "", maxChannels),
    database.run<SlotBetween>(selectSlotsBetween, [new Date(fromMs), new Date(toMs)]),
  ]);
  const slotsOf = Map.groupBy(slots, ({ channelId }) => channelId);
  return channels.map((channel) => ({
    channel,
    slots: (slotsOf.get(channel.id) ?? []).map(({ id, start, end, sellable, reserved }) => ({
      id,
      startMs: Date.parse(start),
      endMs: Date.parse(end),
      sellable,
      reserved,
    })),
  }));
}

interface SlotBetween {
  id: string;
  channelId: string;
  start: string;
  end: string;
  sellable: number;
  reserved: number;
}
