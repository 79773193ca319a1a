import type { LedgerEntry } from "../../src/channels/api.ts";
import type { OrderView } from "../../src/orchestration/order.ts";

/** Live bookings by order, as all channels see them: partners, and the staff of our own kitchens and stores. */
export type LiveBookings = ReadonlyMap<string, readonly string[]>;

/** Reads the simulator's ledger from `cursor` (where an earlier reading ended is not enough: entries change). */
export async function readLiveBookings(worldUrl: string): Promise<LiveBookings> {
  const live = new Map<string, string[]>();
  for (let cursor: string | null = "0"; cursor !== null; ) {
    const answer = await fetch(`${worldUrl}/control/ledger?limit=5000&cursor=${cursor}`);
    const page = (await answer.json()) as { items: LedgerEntry[]; nextCursor: string | null };
    for (const entry of page.items.filter(({ state }) => state === "booked")) {
      const orderId = entry.key.split(".")[0]!;
      live.set(orderId, [
        ...(live.get(orderId) ?? []),
        `${entry.key} at ${entry.channelId}/${entry.partner ?? ""}`,
      ]);
    }
    cursor = page.nextCursor;
  }
  return live;
}

/** One live booking, that of its channel, for an order that was delivered; none for one that was not taken or was undone. */
export function judgeBookings(order: OrderView, live: LiveBookings): string[] {
  const bookings = live.get(order.id) ?? [];
  const wanted =
    order.status === "delivered"
      ? order.legs.map(({ leg, attempt }) => `${order.id}.${leg}.${attempt} `)
      : [];
  const right =
    bookings.length === wanted.length && wanted.every((key) => bookings.some((one) => one.startsWith(key)));
  return right
    ? []
    : [`${order.id} is ${order.status}, and is booked ${bookings.length} times: ${bookings.join(", ")}`];
}
