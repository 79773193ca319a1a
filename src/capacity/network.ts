import type { Channel, ChannelRoom, OrderRules, SlotRoom, StockNow } from "./api.ts";
import type { SlotRow } from "./store.ts";

/** The network in memory: what routing looks at. Fed by commits (exact) and by a periodic refresh (other processes). */
export interface Network {
  rooms(): readonly ChannelRoom[];
  channel(id: string): Channel | undefined;
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
  slots: SlotRoom[];
}

export function createNetwork(): Network {
  let rooms: Room[] = [];
  let byChannel = new Map<string, Room>();
  let bySlot = new Map<string, SlotRoom>();
  // Outlives the rooms: it is read in parts, and told of row by row.
  const stockOf = new Map<string, Map<string, number>>();
  const shelfOf = (channelId: string) => {
    const shelf = stockOf.get(channelId) ?? new Map<string, number>();
    stockOf.set(channelId, shelf);
    return shelf;
  };
  const toRoom = (channel: Channel, slots: readonly SlotRow[], rules: OrderRules | undefined): Room => ({
    channel,
    slots: slots.map(toSlotRoom),
    ...(rules ? { rules } : {}),
    ...(channel.tracksStock ? { stock: shelfOf(channel.id) } : {}),
  });

  const index = (next: Room[]) => {
    rooms = next.toSorted((a, b) => (a.channel.id < b.channel.id ? -1 : 1));
    byChannel = new Map(rooms.map((room) => [room.channel.id, room]));
    bySlot = new Map(rooms.flatMap((room) => room.slots.map((slot) => [slot.id, slot] as const)));
  };

  return {
    rooms: () => rooms,
    channel: (id) => byChannel.get(id)?.channel,
    replaceAll(channels, slots, rules) {
      const slotsOf = Map.groupBy(slots, (slot) => slot.channelId);
      index(channels.map((channel) => toRoom(channel, slotsOf.get(channel.id) ?? [], rules.get(channel.id))));
    },
    replaceChannel(channel, slots, rules) {
      index([...rooms.filter((room) => room.channel.id !== channel.id), toRoom(channel, slots, rules)]);
    },
    noteSlots(slots) {
      for (const { slotId, reserved, sellable } of slots) {
        const slot = bySlot.get(slotId);
        if (slot) {
          slot.reserved = reserved;
          slot.sellable = sellable;
        }
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
