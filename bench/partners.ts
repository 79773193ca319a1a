import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { Channel, ChannelType } from "../src/capacity/api.ts";
import { type BenchOptions, type BenchReport, onStage, type ReportHead, type Stage } from "./bench.ts";
import { must } from "./http.ts";
import { createPhases, openConnections, reportOf } from "./phases.ts";
import type { Platform } from "./platform.ts";
import { phaseHead, phaseJson, phaseRow } from "./report/orders-report.ts";
import { percent, table, whole } from "./report/table.ts";
import { settle } from "./verify.ts";

const usualRate = 400;
/** Of the calls to partners that live: half of them answered 500, half never answered; half of each did their work all the same. */
const troubleRate = 0.1;
/** After the load: retries, other channels. What waits longer waits for a partner that is dead. */
const graceMs = 45_000;
/** Circuits try again after half a minute. */
const healLimitMs = 180_000;

export const partnersStage = { channels: 12 };

/** Two of the twelve channels are dead, and a tenth of the calls to the other partners fails: what becomes of the orders. */
export const benchPartners = (options: BenchOptions): Promise<BenchReport> =>
  onStage("partners", options, partnersStage, (stage, head) => measurePartners(stage, head, options));

/** The same on a stage that is there. */
export async function measurePartners(
  stage: Stage,
  head: ReportHead,
  options: BenchOptions,
): Promise<BenchReport> {
  const phases = createPhases(stage);
  const pace = {
    kind: "open",
    perSecond: options.quick ? 40 : usualRate,
    connections: openConnections,
  } as const;
  const measureMs = options.seconds * 1_000;
  const well = await phases.orders("all are well", pace, { measureMs });
  await settle(stage.books);
  const before = await countByStatus(stage);
  const dead = await hurt(stage);
  const hurting = await phases.orders("2 dead, a tenth of calls fails", pace, { measureMs });
  stage.progress.note("until what can be fulfilled is");
  await settle(stage.books, options.quick ? 2_000 : graceMs);
  const outcome = subtract(await countByStatus(stage), before);
  const total = [...outcome.values()].reduce((sum, count) => sum + count, 0);
  const success = (outcome.get("confirmed") ?? 0) / Math.max(1, total);
  stage.progress.note("the dead are back: until every order has its channel");
  await heal(stage);
  await settle(stage.books, healLimitMs);
  const later = subtract(await countByStatus(stage), before);
  const successLater = (later.get("confirmed") ?? 0) / Math.max(1, total);
  return reportOf(stage, head, {
    lines: [
      ...table([phaseHead, ...[well, hurting].map(phaseRow)]),
      "",
      ...table([
        ["dead", dead.join(", ")],
        ["orders while they are dead", inWords(outcome)],
        ["once they are back", inWords(later)],
        [
          "confirmed while they are dead, once they are back",
          `${percent(success)}, ${percent(successLater)}`,
        ],
      ]),
    ],
    json: {
      success,
      successLater,
      orders: total,
      outcome: Object.fromEntries(outcome),
      later: Object.fromEntries(later),
      well: phaseJson(well),
      hurting: phaseJson(hurting),
    },
  });
}

/**
 * Of each kind of partner one is dead and the other fails at the rate. The partner takes calls and never answers, though half of them did
 * their work; to the network no connection can be made.
 */
async function hurt({ platform, channels }: Stage): Promise<readonly string[]> {
  const [partner, network] = [deadOne(channels, "external_partner"), deadOne(channels, "partner_network")];
  for (const { id, type } of channels) {
    if (!type.includes("partner")) continue;
    const rates = { failRate: troubleRate / 2, timeoutRate: id === partner ? 1 : troubleRate / 2 };
    await behave(platform, id, rates);
  }
  await moveTo(platform, network, await closedPort());
  return [`${partner} (never answers)`, `${network} (refuses connections)`];
}

async function heal({ platform, channels }: Stage): Promise<void> {
  for (const { id, type } of channels)
    if (type.includes("partner")) await behave(platform, id, { failRate: 0, timeoutRate: 0 });
  await moveTo(platform, deadOne(channels, "partner_network"), platform.simulatorUrl);
}

function deadOne(channels: Stage["channels"], type: ChannelType): string {
  const found = channels.find((channel) => channel.type === type && !channel.reserve);
  if (!found) throw new Error(`There is no channel of the type ${type} to be dead.`);
  return found.id;
}

/** The members of a network are now at this address. */
async function moveTo({ url, adminKey: key }: Platform, id: string, to: string): Promise<void> {
  const { partners = [] } = await must<Channel>("GET", `${url}/v1/channels/${id}`, { key });
  const moved = partners.map((partner) => ({
    ...partner,
    endpoint: to + new URL(partner.endpoint).pathname,
  }));
  await must("PATCH", `${url}/v1/channels/${id}`, { key, body: { partners: moved } });
}

/** An address where nobody listens. */
async function closedPort(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return `http://127.0.0.1:${port}`;
}

const inWords = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([status, count]) => `${whole(count)} ${status}`).join(", ");

const behave = ({ simulatorUrl }: Platform, id: string, behaviour: object): Promise<unknown> =>
  must("PUT", `${simulatorUrl}/control/channels/${id}`, { body: { behaviour } });

async function countByStatus({ books }: Stage): Promise<ReadonlyMap<string, number>> {
  const rows = await books.query<{ status: string; count: number }>(
    "select status, count(*)::int as count from orders group by 1",
  );
  return new Map(rows.map(({ status, count }) => [status, count]));
}

const subtract = (
  after: ReadonlyMap<string, number>,
  before: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> =>
  new Map(
    [...after]
      .map(([status, count]) => [status, count - (before.get(status) ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
