import { type Database, type Executor, statement } from "../platform/database.ts";
import { digest, laneOfDigest } from "../platform/ids.ts";
import type { PackedEvent } from "../relay/api.ts";
import { appendEvents } from "../relay/append.ts";
import type { Channel, SlotView } from "./api.ts";
import { readChannels } from "./store.ts";

/** Owns channels_told and slots_told: what consumers were told last. */

/** One channel is told of this often at most, whatever happens to it and however many processes see it. */
const spacingMs = 500;
/** Slots in one event at most; the others are in the next. */
const maxSlots = 2_000;

const begin = statement(
  "told_begin",
  `insert into channels_told (channel_id) select id from channels where id = any ($1) order by id
   on conflict do nothing`,
);
// Who is at a channel just now tells what is told now; what it can't have seen is told next. A time that is far ahead is another
// process's clock, gone wrong: it must not silence the channel.
const claim = statement(
  "told_claim",
  `select channel_id as id, health, sequence, told_at <= $2::timestamptz - interval '${spacingMs} ms'
       or told_at > $2::timestamptz + interval '5 s' as due
   from channels_told where channel_id = any ($1) order by channel_id for update skip locked`,
);

const rooms = `slots s join (
    select slot_id, sum(sellable)::int as sellable, sum(reserved)::int as reserved from allotments group by slot_id
  ) a on a.slot_id = s.id left join slots_told t on t.slot_id = s.id`;
const differs = `s.ends_at > $1 and (s.capacity, a.sellable, a.reserved) is distinct from (t.capacity, t.sellable, t.reserved)
  and not (s.retired and t.slot_id is null)`;

// By channel, so that the sums are of its slots only.
const readChanged = statement(
  "told_changed",
  `select c.id as "channelId", w.* from unnest($2::text[]) as c(id), lateral (
     select s.id, s.starts_at as start, s.ends_at as "end", s.capacity, a.sellable, a.reserved
     from slots s
     cross join lateral (
       select coalesce(sum(sellable), 0)::int as sellable, coalesce(sum(reserved), 0)::int as reserved
       from allotments where slot_id = s.id
     ) a left join slots_told t on t.slot_id = s.id
     where s.channel_id = c.id and ${differs}
     order by s.starts_at limit ${maxSlots}
   ) w`,
);
const write = statement(
  "told_write",
  `with slots_now as (
     insert into slots_told (slot_id, capacity, sellable, reserved)
     select r.id, r.capacity, r.sellable, r.reserved
     from json_to_recordset($1::json) as r(id text, capacity int, sellable int, reserved int)
     on conflict (slot_id) do update
       set capacity = excluded.capacity, sellable = excluded.sellable, reserved = excluded.reserved
   )
   update channels_told t set health = r.health, sequence = r.sequence, told_at = $3
   from json_to_recordset($2::json) as r(id text, health text, sequence bigint) where t.channel_id = r.id`,
);

interface Told {
  id: string;
  health: string;
  sequence: number;
  due: boolean;
}

type Changed = SlotView & { channelId: string };

/**
 * Tells of these channels what is other than was told last, in one transaction with the events. `again`: those that it was too early
 * for, that somebody else is at, or that have more to tell.
 */
export function announce(
  database: Database,
  ids: readonly string[],
  at: string,
): Promise<{ told: number; again: readonly string[] }> {
  return database.transaction(async (tx) => {
    await tx.run(begin, [ids]);
    const claimed = await tx.run<Told>(claim, [ids, at]);
    const due = claimed.filter((one) => one.due);
    const rest = await whichAre(
      tx,
      ids.filter((id) => !due.some((one) => one.id === id)),
      claimed,
    );
    if (due.length === 0) return { told: 0, again: rest };
    const names = due.map(({ id }) => id);
    // Read after the locks are taken: statements see what was committed before they began.
    const changed = Map.groupBy(
      await tx.run<Changed>(readChanged, [at, names]),
      ({ channelId }) => channelId,
    );
    const channels = new Map((await readChannels(tx, names)).map((channel) => [channel.id, channel]));
    const news = due.flatMap((told) => newsOf(told, channels.get(told.id)!, changed.get(told.id) ?? [], at));
    if (news.length === 0) return { told: 0, again: rest };
    await appendEvents(
      tx,
      news.map(({ row }) => row),
    );
    const slots = news.flatMap(({ row }) => changed.get(row.subject) ?? []);
    await tx.run(write, [JSON.stringify(slots), JSON.stringify(news.map(({ told }) => told)), at]);
    const more = names.filter((id) => changed.get(id)?.length === maxSlots);
    return { told: news.length, again: [...rest, ...more] };
  });
}

/** Of channels that are not told of now those that exist: an id that is none would be noted for ever. */
async function whichAre(tx: Executor, ids: readonly string[], claimed: readonly Told[]): Promise<string[]> {
  const known = new Set(claimed.map(({ id }) => id));
  const unknown = ids.filter((id) => !known.has(id));
  const there = unknown.length === 0 ? [] : await readChannels(tx, unknown);
  return [...ids.filter((id) => known.has(id)), ...there.map(({ id }) => id)];
}

function newsOf(told: Told, channel: Channel, changed: readonly Changed[], at: string) {
  const health = channel.status === "paused" ? "paused" : channel.health;
  const sequence = told.sequence + 1;
  const events: PackedEvent[] = [];
  const { version } = channel;
  if (health !== told.health) {
    const reason = health === "up" || health === "paused" ? undefined : whyOf(channel);
    const data = { from: told.health, to: health, ...(reason ? { reason } : {}) };
    events.push({ type: "channel.health_changed", version, at, data });
  }
  if (changed.length > 0) {
    const slots = changed.map(({ channelId: _same, ...slot }) => slot);
    events.push({ type: "capacity.updated", version, at, data: { sequence, slots } });
  }
  if (events.length === 0) return [];
  const lane = laneOfDigest(digest(channel.id));
  const row = { lane, subject: channel.id, clientId: null, doc: { ...channel }, events };
  return [{ row, told: { id: channel.id, health, sequence } }];
}

/** The newest of what is known against its health. */
const whyOf = ({ openCircuits = [], healthSigns = [], healthSet }: Channel): string | undefined =>
  healthSet
    ? undefined
    : [...healthSigns, ...openCircuits].toSorted((a, b) => (a.since < b.since ? -1 : 1)).at(-1)?.detail;

const untold = statement(
  "told_untold",
  `select distinct s.channel_id as id from ${rooms} where ${differs}
   union select c.id from channels c left join channels_told t on t.channel_id = c.id
   where coalesce(t.health, 'up') <> case when c.status = 'paused' then 'paused' else c.health end`,
);

/** Channels of which something is not told. */
export const findUntold = async (database: Executor, at: string): Promise<readonly string[]> =>
  (await database.run<{ id: string }>(untold, [at])).map(({ id }) => id);
