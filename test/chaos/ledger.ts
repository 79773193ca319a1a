import type { LedgerEntry } from "../../src/channels/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";

/** Live bookings by order, as all channels see them: partners, and the staff of our own kitchens and stores. */
export type LiveBookings = ReadonlyMap<string, readonly LedgerEntry[]>;

/** Reads the whole ledger: entries change, so where an earlier reading ended is no place to begin. */
export async function readLiveBookings(worldUrl: string): Promise<LiveBookings> {
  const live = new Map<string, LedgerEntry[]>();
  for (let cursor: string | null = "0"; cursor !== null; ) {
    const answer = await fetch(`${worldUrl}/control/ledger?limit=5000&cursor=${cursor}`);
    const page = (await answer.json()) as { items: LedgerEntry[]; nextCursor: string | null };
    for (const entry of page.items.filter(({ state }) => state === "booked")) {
      const orderId = entry.key.split(".")[0]!;
      live.set(orderId, [...(live.get(orderId) ?? []), entry]);
    }
    cursor = page.nextCursor;
  }
  return live;
}

/**
 * A cancellation that reached its channel only after the food had left, because the calls before were lost: the order goes on to
 * the door, as it should, and says why.
 */
export const leftBeforeCancel = ({ status, reason }: OrderView): boolean =>
  status === "undelivered" || (status === "delivered" && reason?.code === "too_late_to_undo");

/** What the channels hold of an order that they should not, or do not hold and should. */
export interface BookingFault {
  what: string;
  /** Only our own staff has it, of an order that was cancelled or failed: food wasted. */
  wasted: boolean;
}

/**
 * One live booking, that of its channel, for an order that went out; none for one that was undone. `isOurs` says whether a channel is a kitchen or store of our own: its staff is not called but hears of a cancellation over the event stream, and
 * what left the kitchen before it was heard is food wasted, not a booking that somebody holds against us.
 */
export function judgeBookings(
  order: OrderView,
  live: LiveBookings,
  isOurs: (channelId: string) => boolean,
): BookingFault | null {
  const bookings = live.get(order.id) ?? [];
  const delivered = order.status === "delivered" || order.status === "undelivered";
  const wanted = delivered ? order.legs.map(({ leg, attempt }) => `${order.id}.${leg}.${attempt}`) : [];
  const present = wanted.every((key) => bookings.some((one) => one.key === key));
  const extra = bookings.filter(({ key }) => !wanted.includes(key));
  if (present && extra.length === 0) return null;
  const list = bookings.map(({ key, channelId, partner }) => `${key} at ${channelId}/${partner ?? ""}`);
  return {
    what: `${order.id} is ${order.status}, and is booked ${bookings.length} times: ${list.join(", ")}`,
    wasted: present && extra.every(({ channelId }) => isOurs(channelId)),
  };
}
