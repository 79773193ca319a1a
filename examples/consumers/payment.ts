import { type Consumer, numbers, type Order, sum, totalOf } from "./consumer.ts";

/** Holds the money when an order is confirmed, takes it at the door, lets it go when the order is not delivered. */
const nextState = (status: string): "held" | "taken" | "released" | undefined => {
  if (status === "confirmed") return "held";
  if (status === "delivered") return "taken";
  return ["cancelled", "failed", "undelivered"].includes(status) ? "released" : undefined;
};

const paid = (orders: readonly Order[]): readonly Order[] =>
  orders.filter(({ status }) => status === "delivered");

export const payment: Consumer = {
  name: "payment",
  // The order's id is the key of the payment: with a provider it would be the idempotency key of the request.
  tables: `create table if not exists payments
    (order_id text primary key, state text not null, minor integer not null, currency text not null);`,
  handle(store, order) {
    const state = nextState(order.status);
    if (state === "held") {
      store
        .prepare("insert into payments values (?, 'held', ?, ?) on conflict do nothing")
        .run(order.id, totalOf(order), order.currency);
    } else if (state !== undefined) {
      store
        .prepare("update payments set state = ? where order_id = ? and state = 'held'")
        .run(state, order.id);
    }
  },
  summary: (store) =>
    numbers(
      store,
      "select count(*) as payments, coalesce(sum(minor), 0) as minor from payments where state = 'taken'",
    ),
  expected: (orders) => ({ payments: paid(orders).length, minor: sum(paid(orders), totalOf) }),
};
