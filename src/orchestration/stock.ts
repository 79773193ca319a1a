import type { Channel } from "../capacity/api.ts";
import type { AttemptRecord, Decision, Take } from "./carried.ts";
import type { LineItem, OrderDoc } from "./order.ts";
import type { OrderStatus } from "./order-state.ts";

/** What an attempt takes of a channel's stock, and when that leaves: pure, as decide.ts is. */

export type StockLine = Pick<LineItem, "sku" | "quantity">;

/** From here on the food has left, or its order ended without coming back. */
const leftWith: ReadonlySet<OrderStatus> = new Set(["dispatched", "delivered", "undelivered"]);

/** An order's items by SKU, in the order of their names. */
function linesOf({ items }: Pick<OrderDoc, "items">): StockLine[] {
  const bySku = new Map<string, number>();
  for (const { sku, quantity } of items) bySku.set(sku, (bySku.get(sku) ?? 0) + quantity);
  return [...bySku]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([sku, quantity]) => ({ sku, quantity }));
}

/** What a new attempt takes besides its units: nothing, where the channel does not track its stock. */
export function stockTaken(channel: Pick<Channel, "tracksStock">, doc: OrderDoc): Pick<Take, "stock"> {
  if (!channel.tracksStock) return {};
  const lines = linesOf(doc);
  return { stock: { takes: lines, holds: lines } };
}

/** What an attempt takes or gives back when its order's items change; nothing where that makes no difference. */
export function stockAdjusted(
  { stock }: Pick<AttemptRecord, "stock">,
  channel: Pick<Channel, "tracksStock">,
  doc: OrderDoc,
): Pick<Take, "stock"> {
  const holds = channel.tracksStock ? linesOf(doc) : [];
  const more = new Map(holds.map(({ sku, quantity }) => [sku, quantity]));
  for (const { sku, quantity } of stock ?? []) more.set(sku, (more.get(sku) ?? 0) - quantity);
  const takes = [...more].flatMap(([sku, quantity]) => (quantity === 0 ? [] : [{ sku, quantity }]));
  return takes.length === 0 ? {} : { stock: { takes, holds } };
}

/** Whether an attempt's stock leaves the shelf for good by what is decided. */
export const stockLeaves = (attempt: AttemptRecord, { base, attemptChanges }: Decision): boolean =>
  attempt.held &&
  attempt.stock != null &&
  base !== null &&
  leftWith.has(base.state.status) &&
  !attemptChanges.some(
    ({ release, leg, attempt: number }) => release && leg === attempt.leg && number === attempt.attempt,
  );
