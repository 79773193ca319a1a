import type { OutboxRow } from "../bus/api.ts";
import { type Executor, statement } from "../platform/database.ts";
import { laneCount } from "../platform/ids.ts";
import type { Handed } from "./handed.ts";

/** The lanes that a relay holds, each with the epoch in which it took it: a takeover bumps the epoch. */
export type Claim = ReadonlyMap<number, number>;

/** A row that can't be published, and why. */
export interface BadRow {
  row: OutboxRow;
  /** Names it to whoever replays it. */
  eventId: string;
  reason: string;
}

const lease = "now() + make_interval(secs => $2::float8 / 1000)";

const takeLanes = statement(
  "lanes_take",
  `update lanes l set holder = $1, epoch = l.epoch + 1, lease_until = ${lease}
   from (
     select lane from lanes
     where $3 or holder is null or lease_until is null or lease_until < now()
     order by lane for update
   ) free
   where l.lane = free.lane
   returning l.lane, l.epoch`,
);

// Lanes of which the holder and the epoch are still what the relay thinks: its fence.
const held = (lanes: string, epochs: string) => `
  select l.lane from unnest(${lanes}::smallint[], ${epochs}::int[]) as c (lane, epoch) join lanes l on l.lane = c.lane
  where l.holder = $1 and l.epoch = c.epoch order by l.lane for update of l`;

const renewLanes = statement(
  "lanes_renew",
  `update lanes l set lease_until = ${lease} from (${held("$3", "$4")}) mine where l.lane = mine.lane returning l.lane`,
);

const releaseLanes = statement(
  "lanes_release",
  `update lanes l set holder = null, lease_until = null from (${held("$2", "$3")}) mine where l.lane = mine.lane`,
);

// Who holds all lanes also sees to rows of lanes that there are not: nobody else would, and they become dead letters.
const allLanes = laneCount;

const peekOutbox = statement(
  "outbox_peek",
  `select exists (select from outbox where lane = any ($1::smallint[]) or cardinality($1::smallint[]) = ${allLanes}) as waiting`,
);

// Fence and read in one: the lanes stay locked until the move commits, so nobody takes them over in between.
const readPlaces = statement(
  "outbox_read_places",
  `with held as materialized (${held("$2", "$3")})
   select id, subject, version from outbox
   where lane = any (array(select lane from held)) or (select count(*) from held) = ${allLanes}
   order by id limit $4`,
);
const readRows = statement(
  "outbox_read_rows",
  `select id, lane, subject, client_id as "clientId", doc::json, events::json from outbox where id = any ($1::bigint[])`,
);

const settleRows = statement(
  "outbox_settle",
  `with gone as (
     delete from outbox where id = any ($1::bigint[]) returning *
   ), buried as (
     insert into dead_letters (subscriber, client_id, event_id, subject, reason, event, attempts)
     select 'schema', g.client_id, b.event_id, g.subject, b.reason, json_build_object('lane', g.lane, 'subject', g.subject,
       'clientId', g.client_id, 'doc', g.doc::json, 'events', g.events::json), 1
     from unnest($2::bigint[], $3::text[], $4::text[]) as b (id, event_id, reason) join gone g on g.id = b.id
   )
   select count(*) as rows from gone`,
);

/**
 * Takes lanes that nobody holds or whose holder has let its lease lapse; with `all`, also those of a living holder (it
 * then finds itself fenced off). Epochs go up: whatever the one before still had under way does nothing.
 */
export async function claimLanes(
  tx: Executor,
  holder: string,
  leaseMs: number,
  all: boolean,
): Promise<Claim> {
  const rows = await tx.run<{ lane: number; epoch: number }>(takeLanes, [holder, leaseMs, all]);
  return new Map(rows.map(({ lane, epoch }) => [lane, epoch]));
}

/** Renews the lease; returns what is still held. */
export async function renewClaim(
  tx: Executor,
  holder: string,
  leaseMs: number,
  claim: Claim,
): Promise<Claim> {
  const rows = await tx.run<{ lane: number }>(renewLanes, [holder, leaseMs, ...columnsOf(claim)]);
  return new Map(rows.map(({ lane }) => [lane, claim.get(lane)!]));
}

export async function releaseClaim(tx: Executor, holder: string, claim: Claim): Promise<void> {
  await tx.run(releaseLanes, [holder, ...columnsOf(claim)]);
}

export const holdsAll = (claim: Claim): boolean => claim.size === laneCount;

/** Whether anything of these lanes waits in the outbox. Locks nothing: what an idle relay asks. */
export async function isWaiting(tx: Executor, claim: Claim): Promise<boolean> {
  const [row] = await tx.run<{ waiting: boolean }>(peekOutbox, [[...claim.keys()]]);
  return row!.waiting;
}

/** The oldest rows of the lanes still held, in id order; the lanes stay locked until `tx` ends. Only what was not handed over is read. */
export async function readClaimed(
  tx: Executor,
  holder: string,
  claim: Claim,
  limit: number,
  handed?: Handed,
): Promise<OutboxRow[]> {
  const places = await tx.run<Place>(readPlaces, [holder, ...columnsOf(claim), limit]);
  const rows = places.map(({ id, subject, version }) => {
    const row = version === null ? undefined : handed?.take(subject, version);
    return row && { ...row, id };
  });
  const unknown = places.filter((_, index) => !rows[index]).map(({ id }) => id);
  if (unknown.length === 0) return rows as OutboxRow[];
  const read = await tx.run<OutboxRow>(readRows, [unknown]);
  const byId = new Map(read.map((row) => [row.id, row]));
  return rows.map((row, index) => row ?? byId.get(places[index]!.id)!);
}

interface Place {
  id: number;
  subject: string;
  version: number | null;
}

/** Takes these rows off the outbox and makes dead letters of the bad ones among them. */
export async function settle(
  tx: Executor,
  rows: readonly OutboxRow[],
  bad: readonly BadRow[],
): Promise<void> {
  const [answer] = await tx.run<{ rows: number }>(settleRows, [
    rows.map((row) => row.id),
    bad.map(({ row }) => row.id),
    bad.map(({ eventId }) => storable(eventId)),
    bad.map(({ reason }) => storable(reason)),
  ]);
  if (answer?.rows !== rows.length) {
    throw new Error(`${rows.length} rows were to be taken off the outbox, ${answer?.rows ?? 0} were there`);
  }
}

/** PostgreSQL's text holds no zero character, and bad data may quote one. */
const storable = (text: string): string => text.replaceAll("\0", "\\0");

const columnsOf = (claim: Claim): [number[], number[]] => [[...claim.keys()], [...claim.values()]];
