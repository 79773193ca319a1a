import { type Consumer, numbers } from "./consumer.ts";

const endings: Readonly<Record<string, string>> = {
  delivered: "Your meal is at the door.",
  undelivered: "We could not hand your meal over.",
  cancelled: "Your order is cancelled.",
  failed: "We could not take your order.",
};
const texts: Readonly<Record<string, string>> = {
  confirmed: "We are on it.",
  dispatched: "Your meal is on its way.",
  ...endings,
};

/** Tells the customer, once for each kind of news: the outbox of a mail or push service, which sends from it by key. */
export const notification: Consumer = {
  name: "notification",
  tables: `create table if not exists messages
    (order_id text, news text, customer_id text not null, body text not null, primary key (order_id, news));`,
  handle(store, { id, status, customerId }) {
    const body = texts[status];
    if (body === undefined) return;
    store
      .prepare("insert into messages values (?, ?, ?, ?) on conflict do nothing")
      .run(id, status, customerId, body);
  },
  summary: (store) =>
    numbers(
      store,
      `select count(*) as ended from messages where news in (${Object.keys(endings)
        .map((news) => `'${news}'`)
        .join(", ")})`,
    ),
  expected: (orders) => ({ ended: orders.filter(({ status }) => status in endings).length }),
};
