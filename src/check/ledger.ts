import type { LedgerEntry } from "../channels/api.ts";
import { type Clock, sleep } from "../platform/clock.ts";
import { type Database, type Executor, statement } from "../platform/database.ts";
import { addViolation, type Finding, newFinding } from "./finding.ts";
import type { Violation } from "./rule.ts";
import { inSnapshot } from "./snapshot.ts";

const pageEntries = 1_000;
const ordersAtOnce = 2_000;

// Database and channels are two moments: what seems wrong while orders move is looked at again before it is called wrong.
const looks = 4;
const betweenLooksMs = 1_500;

interface Booking {
  key: string;
  /** Channel, and in a network the member. */
  at: string;
}

/** Live entries of the ledger by order. */
type Ledger = Map<string, Booking[]>;

/** What the platform says of one order that has, or should have, bookings at partners. */
interface Truth {
  id: string;
  status: string;
  /** Attempts at partner channels, of any outcome. */
  attempts: { key: string; at: string; booking: string }[];
}

const partnerAttempts = `
  select a.order_id, json_agg(json_build_object('key', format('%s.%s.%s', a.order_id, a.leg, a.attempt), 'booking', a.booking,
    'at', a.channel_id || coalesce('/' || a.partner, '')) order by a.leg, a.attempt) as attempts
  from attempts a join channels c on c.id = a.channel_id
  where c.type in ('external_partner', 'partner_network') and `;

const truthByRange = statement(
  "check.ledger_range",
  `select o.id, o.status, p.attempts from (${partnerAttempts} a.order_id > $1 group by a.order_id order by a.order_id limit $2) p
   join orders o on o.id = p.order_id order by o.id`,
);
const truthByIds = statement(
  "check.ledger_ids",
  `select o.id, o.status, coalesce(p.attempts, '[]') as attempts from orders o
   left join (${partnerAttempts} a.order_id = any ($1) group by a.order_id) p on p.order_id = o.id
   where o.id = any ($1)`,
);
const partnerChannels = statement(
  "check.ledger_channels",
  "select id from channels where type in ('external_partner', 'partner_network')",
);

/** Confirmed or further: the customer has our word, so the channel must have the booking. */
const isPromised = (status: string): boolean =>
  ["confirmed", "preparing", "ready", "dispatched", "delivered"].includes(status);
const isUndone = (status: string): boolean => status === "failed" || status === "cancelled";

const kinds = ["booked", "undone", "single", "known"] as const;
type Kind = (typeof kinds)[number];

const heads = {
  booked: {
    invariant: "I4",
    name: "a confirmed order has its booking at the partner's, and no other",
    of: "orders",
  },
  undone: {
    invariant: "I3",
    name: "a failed or cancelled order has no live booking at any partner",
    of: "orders",
  },
  single: { invariant: "I4", name: "no leg is booked twice, at one partner or at two", of: "orders" },
  known: { invariant: "I4", name: "a partner's live booking is of an order that exists", of: "bookings" },
} as const;

/**
 * Compares what the channels say they hold with the attempts: one live booking for each confirmed order of a partner
 * channel, none for failed or cancelled ones, none twice. Memory: about 200 bytes per live booking of the ledger.
 */
export async function checkLedger(database: Database, ledgerUrl: string, clock: Clock): Promise<Finding[]> {
  const channels = new Set((await database.run<{ id: string }>(partnerChannels)).map(({ id }) => id));
  const findings = Object.fromEntries(kinds.map((kind) => [kind, newFinding(heads[kind])])) as Record<
    Kind,
    Finding
  >;
  const ledger = await readLedger(ledgerUrl, channels);
  let suspects = await firstLook(database, ledger, findings);
  for (let look = 2; look <= looks && suspects.length > 0; look += 1) {
    await sleep(clock, betweenLooksMs);
    suspects = await lookAgain(database, await readLedger(ledgerUrl, channels), suspects);
  }
  for (const { kind, ...violation } of suspects) addViolation(findings[kind], violation);
  return kinds.map((kind) => findings[kind]);
}

type Suspicion = Violation & { kind: Kind };

/** Walks all orders with attempts at partners, then what the ledger has beyond them. */
async function firstLook(
  database: Database,
  ledger: Ledger,
  findings: Record<Kind, Finding>,
): Promise<Suspicion[]> {
  const suspicions: Suspicion[] = [];
  const met = new Set<string>();
  for (let after = ""; ; ) {
    const truths = await inSnapshot(database, (tx) => tx.run<Truth>(truthByRange, [after, ordersAtOnce]));
    for (const truth of truths) {
      suspicions.push(...judge(truth, ledger.get(truth.id) ?? []));
      if (ledger.has(truth.id)) met.add(truth.id);
      findings.single.checked += 1;
      if (isPromised(truth.status)) findings.booked.checked += 1;
      if (isUndone(truth.status)) findings.undone.checked += 1;
    }
    const last = truths.at(-1);
    if (!last) break;
    after = last.id;
  }
  findings.known.checked = [...ledger.values()].reduce((sum, bookings) => sum + bookings.length, 0);
  const unmet = [...ledger.keys()].filter((id) => !met.has(id));
  suspicions.push(...(await judgeIds(database, ledger, unmet)));
  return suspicions;
}

/** Only what is still wrong stays suspected. */
async function lookAgain(
  database: Database,
  ledger: Ledger,
  suspects: readonly Suspicion[],
): Promise<Suspicion[]> {
  const ids = [...new Set(suspects.map(({ subject }) => subject))];
  const before = new Set(suspects.map(({ kind, subject }) => `${kind} ${subject}`));
  const now = await judgeIds(database, ledger, ids);
  return now.filter(({ kind, subject }) => before.has(`${kind} ${subject}`));
}

async function judgeIds(database: Database, ledger: Ledger, ids: readonly string[]): Promise<Suspicion[]> {
  const suspicions: Suspicion[] = [];
  for (let from = 0; from < ids.length; from += ordersAtOnce) {
    const some = ids.slice(from, from + ordersAtOnce);
    const truths = await inSnapshot(database, (tx: Executor) => tx.run<Truth>(truthByIds, [some]));
    const truthOf = new Map(truths.map((truth) => [truth.id, truth]));
    for (const id of some) {
      const bookings = ledger.get(id) ?? [];
      const truth = truthOf.get(id);
      if (truth) suspicions.push(...judge(truth, bookings));
      else if (bookings.length > 0) {
        suspicions.push({
          kind: "known",
          subject: id,
          what: `does not exist, yet ${list(bookings)} is live`,
        });
      }
    }
  }
  return suspicions;
}

const list = (bookings: readonly Booking[]): string =>
  bookings.map(({ key, at }) => `${key} at ${at}`).join(", ");

const legOf = (key: string): string => key.split(".")[1] ?? "";

/** What is wrong with one order's bookings; pure. */
export function judge(truth: Truth, live: readonly Booking[]): Suspicion[] {
  const subject = truth.id;
  if (isUndone(truth.status)) {
    return live.length === 0
      ? []
      : [{ kind: "undone", subject, what: `${truth.status}, yet ${list(live)} is live` }];
  }
  const suspicions: Suspicion[] = [];
  const legs = live.map(({ key }) => legOf(key));
  if (new Set(legs).size < legs.length) {
    suspicions.push({
      kind: "single",
      subject,
      what: `${truth.status}, booked more than once: ${list(live)}`,
    });
  }
  if (!isPromised(truth.status)) return suspicions;
  const wanted = truth.attempts.filter(({ booking }) => booking === "booked");
  const missing = wanted.filter(
    ({ key, at }) => !live.some((booking) => booking.key === key && booking.at === at),
  );
  const extra = live.filter(
    ({ key, at }) => !wanted.some((attempt) => attempt.key === key && attempt.at === at),
  );
  if (missing.length > 0) {
    suspicions.push({
      kind: "booked",
      subject,
      what: `${truth.status}, yet the channel has no live ${list(missing)}`,
    });
  }
  if (extra.length > 0) {
    suspicions.push({
      kind: "booked",
      subject,
      what: `${truth.status}, yet ${list(extra)} is live beside its booking`,
    });
  }
  return suspicions;
}

/** Bookings that are live at partner channels, by order; pages until there are no more. */
async function readLedger(ledgerUrl: string, channels: ReadonlySet<string>): Promise<Ledger> {
  const ledger: Ledger = new Map();
  let cursor: string | null = null;
  do {
    const page = await readPage(ledgerUrl, cursor);
    for (const entry of page.items) {
      if (entry.state !== "booked" || !channels.has(entry.channelId)) continue;
      const orderId = entry.key.split(".")[0]!;
      const at = entry.partner === undefined ? entry.channelId : `${entry.channelId}/${entry.partner}`;
      ledger.set(orderId, [...(ledger.get(orderId) ?? []), { key: entry.key, at }]);
    }
    cursor = page.nextCursor;
  } while (cursor !== null);
  return ledger;
}

interface LedgerPage {
  items: readonly LedgerEntry[];
  nextCursor: string | null;
}

async function readPage(ledgerUrl: string, cursor: string | null): Promise<LedgerPage> {
  const url = new URL("/control/ledger", ledgerUrl);
  url.searchParams.set("limit", String(pageEntries));
  if (cursor !== null) url.searchParams.set("cursor", cursor);
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) }).catch((error: Error) => {
    throw new Error(
      `The ledger at ${ledgerUrl} can't be read: ${(error.cause as Error | undefined)?.message ?? error.message}`,
    );
  });
  if (!response.ok) throw new Error(`The ledger at ${ledgerUrl} answered ${response.status}`);
  return (await response.json()) as LedgerPage;
}
