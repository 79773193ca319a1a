import type { Channel, ChannelRoom, OrderRules, SlotRoom, StockNow } from "./api.ts";
import type { SlotRow } from "./store.ts";

/** The network in memory: what routing looks at. Fed by commits (exact) and by a periodic refresh (other processes). */
export interface Network {
  rooms(): readonly ChannelRoom[];
  channel(id: string): Channel | undefined;
  /** Channels as operations rate them. */
  rated(): readonly Channel[];
  /** From now on this is the quality of channels that routing sees, instead of the rating of operations. */
  rateBy(quality: (rated: Channel) => number): void;
  /** Replaces everything, as read from the database. */
  replaceAll(
    channels: readonly Channel[],
    slots: readonly SlotRow[],
    rules: ReadonlyMap<string, OrderRules>,
  ): void;
  replaceChannel(channel: Channel, slots: readonly SlotRow[], rules: OrderRules | undefined): void;
  /** What a commit said about the slots that it touched. */
  noteSlots(slots: readonly { slotId: string; reserved: number; sellable: number }[]): void;
  /** The same of stock, from commits, changes and the periodic reading. */
  noteStock(stock: readonly StockNow[]): void;
}

interface Room extends ChannelRoom {
  /** As operations rate it. */
  rated: Channel;
  slots: SlotRoom[];
}

/** Quality that differs by less is left as it is: what is made of the network is kept while the network is the same. */
const leastDifference = 0.001;

/** `onTaken`: units of this channel's slots were taken or given back by this process. */
export function createNetwork(onTaken: (channelId: string) => void): Network {
  let rooms: Room[] = [];
  let byChannel = new Map<string, Room>();
  let bySlot = new Map<string, { slot: SlotRoom; channelId: string }>();
  let quality = (rated: Channel): number => rated.quality;
  // Outlives the rooms: it is read in parts, and told of row by row.
  const stockOf = new Map<string, Map<string, number>>();
  const shelfOf = (channelId: string) => {
    const shelf = stockOf.get(channelId) ?? new Map<string, number>();
    stockOf.set(channelId, shelf);
    return shelf;
  };

  const index = (next: Room[]) => {
    rooms = next.toSorted((a, b) => (a.channel.id < b.channel.id ? -1 : 1));
    byChannel = new Map(rooms.map((room) => [room.channel.id, room]));
    bySlot = new Map(
      rooms.flatMap(({ channel, slots }) =>
        slots.map((slot) => [slot.id, { slot, channelId: channel.id }] as const),
      ),
    );
  };
  const asRated = (rated: Channel): Channel => {
    const measured = quality(rated);
    return measured === rated.quality ? rated : { ...rated, quality: measured };
  };
  const toRoom = (rated: Channel, slots: readonly SlotRow[], rules: OrderRules | undefined): Room => ({
    channel: asRated(rated),
    rated,
    slots: slots.map(toSlotRoom),
    ...(rules ? { rules } : {}),
    ...(rated.tracksStock ? { stock: shelfOf(rated.id) } : {}),
  });

  return {
    rooms: () => rooms,
    channel: (id) => byChannel.get(id)?.channel,
    rated: () => rooms.map(({ rated }) => rated),
    rateBy(by) {
      quality = by;
      const differs = ({ channel, rated }: Room) => Math.abs(by(rated) - channel.quality) >= leastDifference;
      if (!rooms.some(differs)) return;
      index(rooms.map((room) => (differs(room) ? { ...room, channel: asRated(room.rated) } : room)));
    },
    replaceAll(channels, slots, rules) {
      const slotsOf = Map.groupBy(slots, (slot) => slot.channelId);
      index(channels.map((channel) => toRoom(channel, slotsOf.get(channel.id) ?? [], rules.get(channel.id))));
    },
    replaceChannel(channel, slots, rules) {
      index([...rooms.filter((room) => room.channel.id !== channel.id), toRoom(channel, slots, rules)]);
    },
    noteSlots(slots) {
      for (const { slotId, reserved, sellable } of slots) {
        const known = bySlot.get(slotId);
        if (!known) continue;
        known.slot.reserved = reserved;
        known.slot.sellable = sellable;
        onTaken(known.channelId);
      }
    },
    noteStock(stock) {
      for (const { channelId, sku, free } of stock) shelfOf(channelId).set(sku, free);
    },
  };
}

const toSlotRoom = (row: SlotRow): SlotRoom => ({
  id: row.id,
  startMs: Date.parse(row.start),
  endMs: Date.parse(row.end),
  sellable: row.sellable,
  reserved: row.reserved,
});
