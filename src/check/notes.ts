import { type Executor, statement } from "../platform/database.ts";

const lags = statement(
  "check.lags",
  `select
    (select count(*) from outbox) as outbox,
    (select next_position - 1 from event_log_head) as head,
    (select json_agg(json_build_object('name', name, 'position', position) order by name) from bus_consumers) as consumers,
    (select count(*) from orders where status = 'stuck') as stuck,
    exists (select from owners where lease_until > now()) as alive`,
);
const deadLetters = statement(
  "check.dead_letters",
  `select subscriber, count(*) as count, min(created_at) as first, min(reason) as reason
   from dead_letters where replayed_at is null group by subscriber order by subscriber`,
);

const webhooks = statement(
  "check.webhooks",
  `select w.id, w.paused_reason as paused, h.next_position - 1 - p.position as lag,
     (select count(*)::int from webhook_pending e where e.webhook_id = w.id) as pending
   from webhooks w join webhook_progress p on p.webhook_id = w.id cross join event_log_head h order by w.id`,
);

interface Lags {
  outbox: number;
  head: number;
  stuck: number;
  alive: boolean;
  consumers: { name: string; position: number }[] | null;
}

interface WebhookLag {
  id: string;
  paused: string | null;
  lag: number;
  pending: number;
}

/** What is not wrong but worth knowing: what is still on its way, and what waits for an operator. */
export async function lagNotes(tx: Executor): Promise<string[]> {
  const [lag] = await tx.run<Lags>(lags);
  const letters = await tx.run<{ subscriber: string; count: number; first: string; reason: string }>(
    deadLetters,
  );
  const notes: string[] = [];
  if (lag && !lag.alive)
    notes.push("no process is at work: due and unowned orders wait for the next start (I1)");
  if (lag && lag.outbox > 0) notes.push(`${lag.outbox} outbox rows are not yet on the bus`);
  for (const { name, position } of lag?.consumers ?? []) {
    if (position < lag!.head) notes.push(`${name} is ${lag!.head - position} events behind the bus (I7)`);
  }
  if (lag && lag.stuck > 0) notes.push(`${lag.stuck} orders are stuck: an operator decides`);
  for (const { id, paused, lag, pending } of await tx.run<WebhookLag>(webhooks)) {
    if (paused !== null) notes.push(`webhook ${id} is paused (${paused})`);
    if (lag > 0 || pending > 0)
      notes.push(`webhook ${id} is ${lag} events behind the bus, ${pending} wait to be tried again (I5)`);
  }
  for (const letter of letters) {
    notes.push(
      `${letter.count} dead letters of ${letter.subscriber} wait for an operator, the oldest since ${letter.first} (${letter.reason})`,
    );
  }
  return notes;
}

/** What this run did not look at, and what a database can't show. */
export function whatCannotBeSeen(options: {
  acknowledgedFile?: string;
  ended?: boolean;
  ledgerUrl?: string;
}): string[] {
  const unseen: string[] = [];
  if (!options.acknowledgedFile) {
    unseen.push("I1, I6: whether what clients were answered is there (give --acknowledged)");
  } else if (!options.ended) {
    unseen.push("I1: whether every acknowledged order has ended (give --ended once traffic has stopped)");
  }
  if (!options.ledgerUrl) unseen.push("I3, I4: what the channels themselves hold (give --ledger)");
  unseen.push(
    "I4: bookings that came and went between two looks; the ledger and the database are two moments",
  );
  unseen.push("I5: whether subscribers outside of the database received what is on the bus");
  unseen.push(
    "I8: a lost process's writes that did nothing leave no trace; one that did something would repeat a version",
  );
  return unseen;
}
