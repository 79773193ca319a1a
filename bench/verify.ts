import { setTimeout as pause } from "node:timers/promises";
import { type ChannelType, channelTypes } from "../src/capacity/api.ts";
import { runCheck } from "../src/check/check.ts";
import type { Stage } from "./bench.ts";
import { must } from "./http.ts";
import type { Books } from "./measure/database.ts";

/** How long the relay, the read model and orders under way get after the load, to come to rest. */
const settleLimitMs = 120_000;

const atRestQuery = `
  select (select count(*) from outbox)::int as outbox,
    (select next_position - 1 from event_log_head) - coalesce((select position from bus_consumers where name = 'read-model'), 0) as behind,
    (select count(*) from orders where owner_id is not null)::int as owned`;

/** What still moves once the load is away: null when nothing does. */
async function whatMoves(books: Books): Promise<string | null> {
  const [rest] = await books.query<{ outbox: number; behind: number; owned: number }>(atRestQuery);
  const { outbox, behind, owned } = rest!;
  if (outbox === 0 && Number(behind) === 0 && owned === 0) return null;
  return `${outbox} rows in the outbox, the read model ${behind} events behind, ${owned} orders under way`;
}

/** Waits until every event is on the bus and in the read model and no order is under way; says what still is at the limit. */
export async function settle(books: Books, limitMs = settleLimitMs): Promise<string | null> {
  const giveUpAt = performance.now() + limitMs;
  for (;;) {
    const moving = await whatMoves(books);
    if (moving === null || performance.now() > giveUpAt) return moving;
    await pause(50);
  }
}

export interface Verification {
  ok: boolean;
  orders: number;
  /** Everything that is not as it must be, in sentences. */
  wrong: readonly string[];
  /** Commits that wrote something of the order, by channel type, on average. */
  commitsPerOrder: Readonly<Partial<Record<ChannelType, number>>>;
  ms: number;
}

/**
 * What must be true after any load: the platform comes to rest, `uoop check` is clean (events, bookings, slots, the audit
 * chain), what clients were told is what is stored, and the simulator's ledger has the bookings of the mix.
 */
export async function verify(stage: Stage): Promise<Verification> {
  const { platform, books } = stage;
  const startedAt = performance.now();
  const wrong: string[] = [];
  const moving = await settle(books);
  if (moving !== null) wrong.push(`${settleLimitMs / 1_000} s after the load there were still ${moving}`);
  const report = await runCheck({
    databaseUrl: platform.databaseUrl,
    ledgerUrl: platform.simulatorUrl,
    out: () => undefined,
  });
  for (const finding of report.findings.filter(({ violationCount }) => violationCount > 0)) {
    const example = finding.violations[0];
    wrong.push(
      `uoop check: ${finding.invariant} ${finding.name}: ${finding.violationCount} violations, such as ${example?.subject}: ${example?.what}`,
    );
  }
  wrong.push(...(await compareAnswers(stage)));
  wrong.push(...(await compareLedger(stage)));
  const commitsPerOrder = await commitsByType(books);
  return {
    ok: wrong.length === 0,
    orders: report.orders,
    wrong,
    commitsPerOrder,
    ms: performance.now() - startedAt,
  };
}

const storedQuery = `
  select count(*)::int as orders, count(*) filter (where status not in ('received', 'reserved', 'booked', 'failing', 'failed', 'rerouting'))::int as confirmed
  from orders`;

/** Orders that were acknowledged exist, and as many are confirmed as clients were told. */
async function compareAnswers({ books, runs, loaded }: Stage): Promise<string[]> {
  const [stored] = await books.query<{ orders: number; confirmed: number }>(storedQuery);
  const orders = stored!.orders - loaded;
  const confirmed = stored!.confirmed - loaded;
  const told = runs.reduce((sum, run) => sum + run.confirmedByKind.reduce((all, one) => all + one, 0), 0);
  const cut = runs.reduce((sum, run) => sum + run.lost + run.unanswered, 0);
  const wrong: string[] = [];
  if (confirmed < told) wrong.push(`${told} orders were answered as confirmed, ${confirmed} are`);
  if (orders < told) wrong.push(`${told} orders were acknowledged, ${orders} are stored`);
  const later = runs.reduce((sum, run) => sum + (run.statuses["202"] ?? 0) + (run.statuses["409"] ?? 0), 0);
  const batches = runs.some((run) => run.statuses["200"] !== undefined);
  if (!batches && orders > told + later + cut)
    wrong.push(`${orders} orders are stored, of ${told + later} acknowledged and ${cut} never answered`);
  return wrong;
}

interface Stats {
  channels: Record<string, { bookings: Record<string, number> }>;
}

const partnerOrders = `
  select channel_id as id, count(*)::int as booked from attempts where booking = 'booked' and held group by 1`;

/** The simulator has as many live bookings of each partner channel as the platform. */
async function compareLedger({ platform, books, channels }: Stage): Promise<string[]> {
  const stats = await must<Stats>("GET", `${platform.simulatorUrl}/control/stats`);
  const ours = new Map(
    (await books.query<{ id: string; booked: number }>(partnerOrders)).map((row) => [row.id, row.booked]),
  );
  return channels
    .filter(({ type }) => type === "external_partner" || type === "partner_network")
    .flatMap(({ id, type }) => {
      const theirs = stats.channels[id]?.bookings.booked ?? 0;
      const own = ours.get(id) ?? 0;
      return theirs === own ? [] : [`${type} ${id} has ${theirs} live bookings, the platform says ${own}`];
    });
}

// A row of the journal is one commit of one order.
const commitsQuery = `
  select c.type, (count(*)::float8 / count(distinct j.order_id)) as commits
  from journal j join order_views v on v.id = j.order_id join channels c on c.id = v.channel_id group by 1`;

async function commitsByType(books: Books): Promise<Verification["commitsPerOrder"]> {
  const rows = await books.query<{ type: ChannelType; commits: number }>(commitsQuery);
  const byType = new Map(rows.map((row) => [row.type, row.commits]));
  return Object.fromEntries(
    channelTypes.flatMap((type) => (byType.has(type) ? [[type, byType.get(type)!]] : [])),
  );
}
