import { type Database, type Executor, statement } from "../platform/database.ts";
import {
  type Bus,
  type EventSink,
  type LoggedRow,
  maxEventsPerRow,
  type OutboxRow,
  type Publication,
} from "./api.ts";
import { createTail } from "./tail.ts";

const maxTailRows = 4_096;

// The rows never leave the database: they are copied by id, and only their places travel. Positions come from the head
// row, which stays locked until the commit: they become visible in order, without gaps.
const publishRows = statement(
  "event_log_publish",
  `with head as (
     update event_log_head set next_position = next_position + $4 returning next_position - $4 as first
   ), logged as (
     insert into event_log (position, count, lane, subject, client_id, doc, events)
     select head.first + w.shift, w.count, o.lane, o.subject, o.client_id, o.doc, o.events
     from head, unnest($1::bigint[], $2::int[], $3::int[]) as w (id, shift, count) join outbox o on o.id = w.id
     returning 1
   )
   select first, (select count(*) from logged) as rows, now() as "loggedAt" from head`,
);

const columns = `position, lane, subject, client_id as "clientId", logged_at as "loggedAt", doc::json, events::json`;

// A row that begins before the reader's place may end after it.
const after = `position > $1 - ${maxEventsPerRow} and position + count - 1 > $1`;

const readRows = statement(
  "event_log_read",
  `select ${columns} from event_log where ${after} order by position limit $2`,
);
const readSubject = statement(
  "event_log_read_subject",
  `select ${columns} from event_log where subject = $3 and ${after} order by position limit $2`,
);
const readHistory = statement(
  "event_log_history",
  `select ${columns} from event_log where subject = any ($1) and position < $2 order by position`,
);
const readHead = statement("event_log_head", "select next_position - 1 as position from event_log_head");
const readCommitted = statement(
  "bus_consumer_committed",
  "select position from bus_consumers where name = $1",
);
const writeCommitted = statement(
  "bus_consumer_commit",
  `insert into bus_consumers (name, position) values ($1, $2)
   on conflict (name) do update set position = excluded.position, updated_at = now()`,
);

/** The embedded bus: a table of the same database, so that publishing and taking off the outbox are one transaction. */
export function createEventLog(options: { database: Database }): Bus & EventSink {
  const { database } = options;
  const tail = createTail(maxTailRows);
  const wakes = new Set<() => void>();

  return {
    async publish(rows, tx): Promise<Publication> {
      const logged = await logRows(rows, tx);
      return {
        announce() {
          tail.append(logged);
          for (const wake of wakes) wake();
        },
      };
    },

    async read({ after, limit, subject }) {
      if (subject !== undefined) return database.run<LoggedRow>(readSubject, [after, limit, subject]);
      return tail.read(after, limit) ?? database.run<LoggedRow>(readRows, [after, limit]);
    },

    history: (subjects, before) =>
      subjects.length === 0 ? Promise.resolve([]) : database.run<LoggedRow>(readHistory, [subjects, before]),

    async head() {
      const [head] = await database.run<{ position: number }>(readHead);
      return head!.position;
    },

    onPublished(wake) {
      wakes.add(wake);
      return () => wakes.delete(wake);
    },

    async committed(consumer) {
      const [row] = await database.run<{ position: number }>(readCommitted, [consumer]);
      return row?.position ?? 0;
    },

    async commit(consumer, position) {
      await database.run(writeCommitted, [consumer, position]);
    },
  };
}

async function logRows(rows: readonly OutboxRow[], tx: Executor): Promise<readonly LoggedRow[]> {
  const shifts: number[] = [];
  let events = 0;
  for (const row of rows) {
    shifts.push(events);
    events += row.events.length;
  }
  const params = [rows.map((row) => row.id), shifts, rows.map((row) => row.events.length), events];
  const [answer] = await tx.run<{ first: number; rows: number; loggedAt: string }>(publishRows, params);
  if (answer?.rows !== rows.length) {
    throw new Error(`${rows.length} rows were to be logged, ${answer?.rows ?? 0} were still in the outbox`);
  }
  const { first, loggedAt } = answer;
  return rows.map(({ lane, subject, clientId, doc, events: packed }, index) => {
    return { position: first + shifts[index]!, loggedAt, lane, subject, clientId, doc, events: packed };
  });
}
