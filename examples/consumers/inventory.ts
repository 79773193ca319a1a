import { type Consumer, numbers, type Order, sum } from "./consumer.ts";

/** Meals promised to customers, and meals that left the kitchen. What an order takes follows from its status alone. */
const stateOf = (status: string): "promised" | "used" | "none" => {
  if (["confirmed", "preparing", "ready"].includes(status)) return "promised";
  return ["dispatched", "delivered", "undelivered"].includes(status) ? "used" : "none";
};

const unitsIn = (orders: readonly Order[], state: string): number =>
  sum(orders, ({ status, items }) =>
    stateOf(status) === state ? sum(items, ({ quantity }) => quantity) : 0,
  );

export const inventory: Consumer = {
  name: "inventory",
  tables: `create table if not exists taken
    (order_id text, sku text, units integer not null, state text not null, primary key (order_id, sku));`,
  handle(store, { id, status, items }) {
    store.prepare("delete from taken where order_id = ?").run(id);
    const state = stateOf(status);
    if (state === "none") return;
    const take = store.prepare(
      "insert into taken values (?, ?, ?, ?) on conflict do update set units = units + excluded.units",
    );
    for (const { sku, quantity } of items) take.run(id, sku, quantity, state);
  },
  summary: (store) =>
    numbers(
      store,
      `select coalesce(sum(units) filter (where state = 'promised'), 0) as promised,
              coalesce(sum(units) filter (where state = 'used'), 0) as used from taken`,
    ),
  expected: (orders) => ({ promised: unitsIn(orders, "promised"), used: unitsIn(orders, "used") }),
};
