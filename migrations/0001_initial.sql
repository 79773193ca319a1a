-- Ids are TypeIDs kept as text in byte order (collate "C"): they sort by time, partition by time, and an on-call
-- engineer can paste one from a log into psql. Columns that a status change rewrites are in no index (HOT updates).
-- JSON that only the platform writes is kept as text: PostgreSQL would parse what was just made from an object, 5 µs a
-- kilobyte, which was a tenth of an order. In psql: doc::json.

create table owners (                    -- a process that carries orders; its lease is on the database's clock
  id text collate "C" primary key,
  epoch int not null default 1,          -- a takeover bumps it: every write of the old epoch then does nothing (I8)
  lease_until timestamptz not null,
  started_at timestamptz not null default now(),
  process text not null                  -- host:pid, for people
) with (fillfactor = 50);

create table clients (
  id text collate "C" primary key,
  name text not null unique,
  created_at timestamptz not null default now()
);

create table api_keys (
  id text collate "C" primary key,
  client_id text collate "C" not null references clients (id),
  name text not null,
  key_hash text not null unique,         -- SHA-256 of the key, hex; the key itself is shown once and kept nowhere
  scopes text[] not null,
  rate_limit_per_minute int not null check (rate_limit_per_minute >= 0),  -- requests; 0: as many as it likes
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);

create table channels (
  id text collate "C" primary key,
  version int not null default 1,
  type text not null check (type in ('internal_kitchen', 'dark_store', 'external_partner', 'partner_network')),
  status text not null check (status in ('active', 'paused')),
  health text not null check (health in ('up', 'degraded', 'down')),
  doc jsonb not null,                    -- the rest of the API's channel: name, location, radius, vehicles, endpoint, cost model…
  secret text not null,                  -- signs callbacks (Standard Webhooks), both ways
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table slots (
  id text collate "C" primary key,
  channel_id text collate "C" not null references channels (id),
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  capacity int not null check (capacity >= 0),
  margin int not null default 0,         -- what may be sold beyond it (overbooking) or less (safety): sellable = capacity + margin
  scheduled boolean not null default false,  -- made from the schedule; false: set by hand, which wins
  retired boolean not null default false,    -- the schedule has it no more and nothing is reserved: only old attempts name it
  check (starts_at < ends_at),
  unique (channel_id, starts_at, ends_at)
);
create index slots_by_end on slots (ends_at);

create table schedules (                 -- when a channel works, week by week: slots are made from it ahead of time
  channel_id text collate "C" primary key references channels (id),
  version int not null,
  doc jsonb not null,                    -- the API's schedule
  made_until date not null,              -- the last local day that has its slots
  updated_at timestamptz not null
);

-- A slot's capacity is divided into allotments, one per shard; a reservation takes from its own shard's (I2).
create table allotments (
  slot_id text collate "C" not null references slots (id),
  shard smallint not null default 0,
  sellable int not null check (sellable >= 0),
  overcommitted int not null default 0 check (overcommitted >= 0),
  reserved int not null default 0 check (reserved >= 0),
  primary key (slot_id, shard),
  check (reserved <= sellable + overcommitted)
) with (fillfactor = 20);                -- hot rows, rewritten by every commit: keep each page's versions prunable

create table routing_policies (          -- every version of every policy; the newest is used
  id text collate "C" not null,
  version int not null,
  doc text not null,                     -- as the API shows it: weights, limits, rules, whose orders go by it
  actor text not null,
  made_at timestamptz not null,
  primary key (id, version)
);

-- What a channel that tracks its stock has of each SKU. Reserved with the units of a slot, gone when the food leaves (I2).
create table stock (
  channel_id text collate "C" not null references channels (id),
  sku text collate "C" not null,
  quantity int not null check (quantity >= 0),   -- on the shelf, what is reserved of it included
  safety int not null default 0 check (safety >= 0),  -- kept back
  overcommitted int not null default 0 check (overcommitted >= 0),
  reserved int not null default 0 check (reserved >= 0),
  primary key (channel_id, sku),
  check (reserved <= greatest(quantity - safety, 0) + overcommitted)
) with (fillfactor = 50);

create table stock_adjustments (         -- a repeat of an adjustment changes nothing; kept for seven days
  channel_id text collate "C" not null references channels (id),
  key_hash uuid not null,
  body_hash uuid not null,
  made_at timestamptz not null,
  primary key (channel_id, key_hash)
);

create table idempotency_keys (          -- its own table: a unique index over partitions would need the partition key (I6)
  key_hash uuid primary key,             -- SHA-256 of client, namespace and key, first 128 bits
  order_id text collate "C" not null,
  body_hash uuid not null
) with (autovacuum_analyze_threshold = 1000000, autovacuum_vacuum_insert_threshold = 1000000);

create table orders (
  id text collate "C" not null primary key,
  lane smallint not null,
  version int not null,
  revision int not null default 0,       -- guards writes: also counts those that change its attempts and make no version
  status text collate "C" not null,
  client_id text collate "C" not null,
  owner_id text collate "C",             -- who carries it now; null while it only waits for a callback or a deadline
  deadline_at timestamptz,               -- what happens then is in order-state.ts; null only at an end (I1)
  created_at timestamptz not null,
  updated_at timestamptz not null,
  doc text not null,                     -- what was asked, as the API shows it, without personal data
  state text not null,                   -- what became of it, as the API shows it: { status, version, legs, … }; the view = doc + state
  saga text not null                     -- what the saga remembers: { name, version, attempts, refusals, excluded, … }
) partition by range (id) ;
create index orders_owned on orders (owner_id) where owner_id is not null;
create index orders_due on orders (deadline_at) where deadline_at is not null;

create table order_contacts (            -- personal data: here and nowhere else, so that it can be erased
  order_id text collate "C" not null primary key,
  doc text not null                      -- { address, contact, instructions }
) partition by range (order_id);

-- One row per try to have a leg fulfilled by a channel: what it holds (units of a slot) and what was promised (booking).
create table attempts (
  order_id text collate "C" not null,
  leg smallint not null,
  attempt smallint not null,             -- (order, leg, attempt) is the idempotency key at the channel
  channel_id text collate "C" not null,
  slot_id text collate "C" not null,
  units int not null check (units > 0),
  held boolean not null,                 -- whether the units are still taken (a delivered order keeps what it used)
  booking text collate "C" not null,     -- pending, booked, refused, cancelled
  partner text collate "C",              -- which member of a partner network won the award
  booking_ref text,
  decision text,                         -- why this channel: method, candidates, scores, why others lost
  made_at timestamptz not null,
  stock text,                            -- [{ sku, quantity }] that it has of the channel's stock while held; null: none, or it has left
  primary key (order_id, leg, attempt)
) partition by range (order_id);
create index attempts_held on attempts (slot_id) where held;

-- Saga log and audit trail in one append-only table: one row per order and commit.
create table journal (
  order_id text collate "C" not null,
  version int not null,                  -- the order's version after the commit
  lane smallint not null,
  xid xid8 not null default pg_current_xact_id(),  -- before id: a transaction has its number before it draws ids (sealer.ts)
  at timestamptz not null,
  actor text not null,                   -- client:cli_…, channel:chn_…, owner:own_…, operator:key_…
  source text,                           -- from where: an address, a process
  entries text not null,                 -- [{ version, to, step?, phase?, outcome?, attempt?, channel?, reason? }]
  id bigint generated always as identity,
  primary key (order_id, id)
) partition by range (order_id);
create index journal_by_id on journal (id);  -- finds what is not yet sealed; ascending, so 70 bytes of WAL a row and no measurable time

create table channel_callbacks (         -- what channels reported; a repeat is known by its id, an early one is kept until its booking is answered
  channel_id text collate "C" not null,
  callback_id text collate "C" not null,
  order_id text collate "C" not null,
  leg smallint not null,
  attempt smallint not null,
  kind text collate "C" not null,
  doc json not null,
  outcome text collate "C" not null,     -- applied, kept, ignored
  received_at timestamptz not null default now(),
  primary key (channel_id, callback_id)
);
create index channel_callbacks_kept on channel_callbacks (order_id) where outcome = 'kept';

-- The bookings of each partner (or member of a network) are compared with ours, a part of them at a time.
create table reconciliation (
  channel_id text collate "C" not null,
  partner text collate "C" not null,     -- empty: the channel itself
  list_cursor text,                      -- where the channel's list goes on; null: at its beginning
  order_cursor text collate "C" not null default '',  -- where our own bookings go on, by order id
  due_at timestamptz not null default now(),
  primary key (channel_id, partner)
);

create table booking_differences (       -- what was found, for operators
  id text collate "C" primary key,
  channel_id text collate "C" not null,
  partner text collate "C" not null,
  key text collate "C" not null,         -- the attempt's, ord_….<leg>.<attempt>
  order_id text collate "C" not null,
  kind text collate "C" not null,        -- unowned, missing, unknown
  detail text not null,
  repair text,                           -- how it is put right: cancel, reroute; null: people have to look
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  settled_at timestamptz,                -- put right, or there no more
  unique (channel_id, partner, key, kind)
);
create index booking_differences_open on booking_differences (id) where settled_at is null;

-- Written with what it tells of, in one transaction; the relay moves rows to the bus and deletes them in bulk.
create table outbox (
  id bigint generated always as identity primary key,   -- taken under the order's row lock: per order, id order is version order
  lane smallint not null,
  subject text collate "C" not null,     -- an order's or a channel's id
  version int,                           -- the subject's after these events: subject and version name the row to who wrote it
  client_id text collate "C",            -- whose order; null for channels
  doc text not null,                     -- the order as asked, or the channel
  events text not null                   -- [{ version, type, at, …patch }]: packed, unfolded by relay/events.ts
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_threshold = 1000000, toast_tuple_target = 8160);            -- short-lived rows of 2 KB: compressing them was half of the insert

create table lanes (                     -- who relays each lane: fenced by epoch, as owners are
  lane smallint primary key,
  holder text collate "C",
  epoch int not null default 0,
  lease_until timestamptz                -- a holder that has not renewed by then has lost it
) with (fillfactor = 50);
insert into lanes (lane) select generate_series(0, 63);

create table dead_letters (              -- what could not be delivered or did not fit its schema; an operator sees and replays it
  id uuid primary key default uuidv7(),  -- the API's dlt_…
  subscriber text collate "C" not null,  -- a webhook's id; 'schema' when the event itself was bad (then `event` is its outbox row)
  client_id text collate "C",            -- who may see it; null: operators
  event_id text not null,
  event_type text,                       -- null: of a whole row
  subject text collate "C" not null,
  position bigint,                       -- on the bus, if it got there
  reason text not null,
  event json not null,
  attempts int not null,
  created_at timestamptz not null default now(),
  replayed_at timestamptz
);
create index dead_letters_by_subscriber on dead_letters (subscriber, id);
create index dead_letters_by_client on dead_letters (client_id, id);
create index dead_letters_open on dead_letters (id) where replayed_at is null;

create table webhooks (
  id text collate "C" primary key,
  client_id text collate "C" not null references clients (id),
  sees_all boolean not null,             -- made with an admin key: every client's orders, and channels
  version int not null default 1,        -- grows with every change; deliverers read it anew
  url text not null,
  description text not null,
  types text[],                          -- null: every type
  max_events_per_request int not null,
  max_concurrent_requests int not null,
  status text collate "C" not null check (status in ('active', 'paused')),
  paused_reason text,
  paused_at timestamptz,
  secret text not null,
  previous_secret text,                  -- signs as well until then
  previous_secret_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index webhooks_by_client on webhooks (client_id, id);

-- Who delivers to a webhook (fenced by epoch, as lanes are), how far it is on the bus and how it goes. Written once a batch.
create table webhook_progress (
  webhook_id text collate "C" primary key references webhooks (id) on delete cascade,
  holder text collate "C",
  epoch int not null default 0,
  lease_until timestamptz,
  position bigint not null,              -- everything up to here is delivered, pending, a dead letter, or not for it
  failures int not null default 0,       -- requests that failed since one succeeded
  failing_since timestamptz,
  retry_at timestamptz,                  -- before that nothing is sent to it
  last_error text,
  last_delivered_at timestamptz,
  delivered bigint not null default 0,   -- events
  retried bigint not null default 0,     -- events sent again
  dead bigint not null default 0,        -- events given up
  requests bigint not null default 0,
  failed_requests bigint not null default 0,
  response_ms bigint not null default 0  -- of all requests together
) with (fillfactor = 50);

create table webhook_pending (           -- passed by `position`, yet to be delivered: failed before, behind one that did, or a replay
  webhook_id text collate "C" not null references webhooks (id) on delete cascade,
  event_id text collate "C" not null,
  position bigint not null,
  subject text collate "C" not null,
  type text collate "C" not null,
  replay boolean not null,
  attempts int not null,
  next_at timestamptz not null,
  reason text,
  event text not null,
  primary key (webhook_id, event_id)
);

create table webhook_deliverers (        -- processes that deliver: they share the webhooks evenly
  id text collate "C" primary key,
  lease_until timestamptz not null
);

-- The embedded bus. Positions are given by the one writer that holds the head row, so they become visible in order.
create table event_log_head (
  only_row boolean primary key default true check (only_row),
  next_position bigint not null default 1
);
insert into event_log_head default values;

create table event_log (
  position bigint not null,              -- of the row's first event; the others follow by one
  count int not null,
  lane smallint not null,
  subject text collate "C" not null,
  client_id text collate "C",
  logged_at timestamptz not null default now(),
  doc text not null,
  events text not null,
  primary key (position)
) partition by range (position);
create index event_log_by_subject on event_log (subject, position);

create table bus_consumers (             -- each consumer's own position: the last one it is done with
  name text primary key,
  position bigint not null default 0,
  updated_at timestamptz not null default now()
);

-- The read model (embedded): the same view as the truth, behind it by the projector's lag.
create table order_views (
  id text collate "C" not null primary key,
  client_id text collate "C" not null,
  customer_id text collate "C" not null,
  channel_id text collate "C",
  status text collate "C" not null,
  version int not null,
  created_at timestamptz not null,
  doc text not null,
  state text not null
) partition by range (id);
create index order_views_by_client on order_views (client_id, id);
create index order_views_by_customer on order_views (customer_id, id);
create index order_views_by_channel on order_views (channel_id, id);
create index order_views_open on order_views (status, id) where status not in ('delivered');

-- What consumers were told last of each channel and slot: announcer-store.ts compares it with what is.
create table channels_told (
  channel_id text collate "C" primary key references channels (id),
  health text not null default 'up',     -- or paused
  sequence bigint not null default 0,    -- of its capacity.updated events
  told_at timestamptz not null default '-infinity'
) with (fillfactor = 50);

create table slots_told (
  slot_id text collate "C" primary key references slots (id),
  capacity int not null,
  sellable int not null,
  reserved int not null
) with (fillfactor = 50);

-- What each channel did, as sums that forget (src/performance/decay.ts). Each column has one kind of writer.
create table channel_performance (
  channel_id text collate "C" primary key,
  orders text,                           -- by the consumer of events, with its position in one transaction: rebuilt from the event log
  calls text,                            -- by the processes that call, a few times a minute: what events don't carry
  updated_at timestamptz not null default now()
) with (fillfactor = 50);

create table seals (                     -- the audit chain: each block's hash covers the one before (I9)
  lane smallint not null,
  block bigint not null,
  from_id bigint not null,               -- covers the lane's journal rows with from_id <= id < until_id
  until_id bigint not null,
  entries int not null,
  hash text not null,                    -- SHA-256, hex
  sealed_at timestamptz not null default now(),
  primary key (lane, block)
);

-- One row that the planner takes for ten. Joined to unnest($1, …), of which it expects ten rows as well, it makes the
-- input of a batch count as a hundred: then CTEs are hash-joined with each other (a nested loop over 2,000 × 2,000 rows takes
-- seconds) while tables are still reached by primary key.
create function taken_for_ten() returns setof boolean language plpgsql immutable rows 10
  as 'begin return next true; end';

-- Lines of stock as rows. Not inlined, so that the planner takes them for two each and not for a hundred.
create function stock_lines(lines text) returns table (sku text, quantity int) language plpgsql immutable strict rows 2
  as 'begin return query select l.sku, l.quantity from json_to_recordset(lines::json) as l(sku text, quantity int); end';
