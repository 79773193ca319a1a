import type { OrderView } from "../orchestration/order.ts";
import type { OrderStatus } from "../orchestration/order-state.ts";

export interface OrderFilter {
  /** null: every client's (admin). */
  clientId: string | null;
  customerId?: string;
  status?: OrderStatus;
  channelId?: string;
  /** Creation time, ms. */
  fromMs?: number;
  toMs?: number;
  /** Orders with ids below this one: lists go from new to old. */
  beforeId?: string;
  limit: number;
}

/** Order views as projected from the bus: may lag behind the truth (the lag is a metric), never differ once it caught up. */
export interface ReadModel {
  get(ids: readonly string[]): Promise<readonly ({ clientId: string; order: OrderView } | null)[]>;
  list(filter: OrderFilter): Promise<readonly OrderView[]>;
}
