import { isEnd, orderStatuses } from "../orchestration/order-state.ts";
import { type RuleSet, sqlList, type WholeRule, wholeRule } from "./rule.ts";

const ends = sqlList(orderStatuses.filter(isEnd));

// What is in motion gets this long before it counts as forgotten: a takeover or a sweep takes seconds.
const grace = "interval '2 minutes'";
const someoneIsLive = `exists (select from owners w where w.lease_until > now() and w.started_at < now() - ${grace})`;

/** I1: nothing is lost, and nothing waits without an owner or a timer. */
export const orderRules: RuleSet = {
  rules: [
    {
      invariant: "I1",
      name: "an order's status is in the table, and its columns and its state say the same",
      of: "orders",
      sql: `
      select id as subject, format('status %s version %s, state says %s version %s', status, version,
        state::json->>'status', state::json->>'version') as what
      from orders where id > $1 and id <= $2 and (status not in (${sqlList(orderStatuses)})
        or state::json->>'status' is distinct from status or (state::json->>'version')::int is distinct from version)`,
    },
    {
      invariant: "I1",
      name: "an order that has ended has no deadline and no owner",
      of: "orders",
      sql: `
      select id as subject, format('%s, yet deadline %s, owner %s', status, deadline_at, owner_id) as what
      from orders where id > $1 and id <= $2 and status in (${ends})
        and (deadline_at is not null or owner_id is not null)`,
    },
    {
      invariant: "I1",
      name: "an order under way has a deadline, and no deadline is left unattended",
      of: "orders",
      sql: `
      select id as subject, case when deadline_at is null then format('%s without a deadline', status)
        else format('%s, was due at %s', status, deadline_at) end as what
      from orders where id > $1 and id <= $2 and status not in (${ends})
        and (deadline_at is null or (deadline_at < now() - ${grace} and ${someoneIsLive}))`,
    },
    {
      invariant: "I1",
      name: "an order's owner exists, and what a dead one left is taken over",
      of: "orders",
      sql: `
      select o.id as subject, case when w.id is null then format('owner %s does not exist', o.owner_id)
        else format('%s, its owner %s is gone since %s', o.status, o.owner_id, w.lease_until) end as what
      from orders o left join owners w on w.id = o.owner_id
      where o.id > $1 and o.id <= $2 and o.owner_id is not null
        and (w.id is null or (w.lease_until < now() - ${grace} and ${someoneIsLive}))`,
    },
    {
      invariant: "I8",
      name: "no write repeats a version: each commit of an order begins above the one before",
      of: "orders",
      sql: `
      select distinct order_id as subject, format('two commits wrote version %s', version) as what
      from (select order_id, version, lag(version) over (partition by order_id order by id) as before
            from journal where order_id > $1 and order_id <= $2) j
      where version <= before`,
    },
  ],
};

// Keys may be forgotten after seven days; an order a minute short of that must still have its own.
const keysAreKept = "interval '6 days 23 hours'";

/** I6: one key, one order. The key's index allows no second order for a key; these look at the other direction. */
export const keyRules: readonly WholeRule[] = [
  wholeRule(
    { invariant: "I6", name: "every idempotency key belongs to an order", of: "keys" },
    "select count(*) as count from idempotency_keys",
    `select k.order_id as subject, format('key %s is of an order that does not exist', k.key_hash) as what
     from idempotency_keys k left join orders o on o.id = k.order_id where o.id is null
     limit 1000`,
  ),
  wholeRule(
    { invariant: "I6", name: "every order has exactly one idempotency key", of: "orders" },
    `select count(*) as count from orders where created_at > now() - ${keysAreKept}`,
    `select o.id as subject, format('%s idempotency keys', coalesce(k.keys, 0)) as what
     from orders o left join (select order_id, count(*) as keys from idempotency_keys group by order_id) k on k.order_id = o.id
     where o.created_at > now() - ${keysAreKept} and coalesce(k.keys, 0) <> 1
     limit 1000`,
  ),
];
