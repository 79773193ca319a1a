import { type Consumer, numbers } from "./consumer.ts";

/** The couriers' board: what waits at which kitchen, what is on the road, what has arrived or came back. */
const columns = {
  ready: "waiting",
  dispatched: "on_the_road",
  delivered: "arrived",
  undelivered: "came_back",
} as const;

export const logistics: Consumer = {
  name: "logistics",
  tables:
    "create table if not exists trips (order_id text primary key, channel_id text, state text not null);",
  handle(store, { id, status, channel }) {
    const state = columns[status as keyof typeof columns];
    if (state === undefined) {
      store.prepare("delete from trips where order_id = ?").run(id); // given back or cancelled: off the board
    } else {
      store
        .prepare("insert into trips values (?, ?, ?) on conflict do update set state = excluded.state")
        .run(id, channel?.id ?? null, state);
    }
  },
  summary: (store) =>
    numbers(
      store,
      `select ${Object.values(columns)
        .map((state) => `count(*) filter (where state = '${state}') as ${state}`)
        .join(", ")} from trips`,
    ),
  expected: (orders) =>
    Object.fromEntries(
      Object.entries(columns).map(([from, state]) => [
        state,
        orders.filter(({ status }) => status === from).length,
      ]),
    ),
};
