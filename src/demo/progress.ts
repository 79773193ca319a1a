import type { Histogram } from "hdr-histogram-js";
import { build } from "hdr-histogram-js";
import type { OrderStatus } from "../orchestration/order-state.ts";

/** How a day goes, kept up to date while it is played; the live view reads it. */
export interface DayProgress {
  title: string;
  /** Minute of the day that is being played. */
  minute: number;
  firstMinute: number;
  /** The last placement's minute. */
  lastMinute: number;
  totalOrders: number;
  /** Orders placed and answered, by the status that they are known to be in. */
  byStatus: Map<OrderStatus, number>;
  /** Submit to answer, µs. */
  latency: Histogram;
  kitchens: KitchenProgress[];
}

export interface KitchenProgress {
  name: string;
  orders: number;
  /** Minutes at which the orders of the last quarter hour were placed; as many meals as the kitchen makes meanwhile. */
  recent: number[];
  /** Meals that it can make in a quarter hour. */
  capacity: number;
}

/** 1 µs to 1 minute, three digits: 0.1 % off at the most. */
export const newHistogram = (): Histogram =>
  build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });

export const percentileMs = (latency: Histogram, percentile: number): number =>
  latency.totalCount === 0 ? 0 : latency.getValueAtPercentile(percentile) / 1_000;

/** Moves one order from a status (undefined: it was just answered) to another. */
export function countMove(progress: DayProgress, from: OrderStatus | undefined, to: OrderStatus): void {
  const add = (status: OrderStatus, change: number) =>
    progress.byStatus.set(status, (progress.byStatus.get(status) ?? 0) + change);
  if (from !== undefined) add(from, -1);
  add(to, 1);
}
