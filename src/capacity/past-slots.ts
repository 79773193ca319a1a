import { type Executor, statement } from "../platform/database.ts";
import type { ChannelRoom, SlotRoom } from "./api.ts";

const selectSlotsBetween = statement(
  "slots_between",
  `select s.id, s.channel_id as "channelId", s.starts_at as start, s.ends_at as "end",
     coalesce(sum(a.sellable), 0)::int as sellable, coalesce(sum(a.reserved), 0)::int as reserved
   from slots s left join allotments a on a.slot_id = s.id
   where s.ends_at > $1 and s.starts_at < $2 group by s.id order by s.starts_at`,
);

interface SlotBetween extends Pick<SlotRoom, "id" | "sellable" | "reserved"> {
  channelId: string;
  start: string;
  end: string;
}

/** Channels as they are in memory, with their slots of another time: past ones too, as the database has them. */
export async function withSlotsBetween(
  network: readonly ChannelRoom[],
  database: Executor,
  fromMs: number,
  toMs: number,
): Promise<ChannelRoom[]> {
  const slots = await database.run<SlotBetween>(selectSlotsBetween, [new Date(fromMs), new Date(toMs)]);
  const slotsOf = Map.groupBy(slots, ({ channelId }) => channelId);
  return network.map(({ channel, rules }) => ({
    channel,
    ...(rules ? { rules } : {}),
    slots: (slotsOf.get(channel.id) ?? []).map(({ id, start, end, sellable, reserved }) => ({
      id,
      startMs: Date.parse(start),
      endMs: Date.parse(end),
      sellable,
      reserved,
    })),
  }));
}
