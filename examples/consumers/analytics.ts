import { type Consumer, numbers, sum } from "./consumer.ts";

/** Counts every change of every order: what a repeat or a gap would spoil first. */
export const analytics: Consumer = {
  name: "analytics",
  tables: "create table if not exists changes (status text primary key, times integer not null);",
  handle(store, { status }) {
    store
      .prepare("insert into changes values (?, 1) on conflict do update set times = times + 1")
      .run(status);
  },
  summary: (store) =>
    numbers(
      store,
      `select coalesce(sum(times), 0) as changes,
              coalesce(sum(times) filter (where status = 'delivered'), 0) as delivered from changes`,
    ),
  // Each version of an order is one event.
  expected: (orders) => ({
    changes: sum(orders, ({ version }) => version),
    delivered: orders.filter(({ status }) => status === "delivered").length,
  }),
};
