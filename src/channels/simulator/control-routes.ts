import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import type { CallbackKind } from "../../orchestration/api.ts";
import { BehaviourPatch } from "./behaviour.ts";
import type { Cooking } from "./cooking.ts";
import type { Ledger } from "./ledger.ts";
import type { Report, Reporter } from "./reporter.ts";
import type { ChannelSettings, Platform, Settings } from "./settings.ts";
import type { Staff } from "./staff.ts";

interface World {
  settings: Settings;
  ledger: Ledger;
  cooking: Cooking;
  reporter: Reporter;
  staff: Staff;
  rememberPlatform(platform: Platform): Promise<void>;
  rememberChannel(channel: ChannelSettings): Promise<void>;
}

const PlatformBody = Type.Object(
  { url: Type.String({ format: "uri" }), apiKey: Type.String({ minLength: 1 }) },
  { additionalProperties: false },
);

const ChannelBody = Type.Object(
  {
    secret: Type.Optional(Type.String({ minLength: 1 })),
    behaviour: Type.Optional(BehaviourPatch),
    partners: Type.Optional(Type.Record(Type.String(), BehaviourPatch)),
  },
  { additionalProperties: false },
);

const kinds = ["preparing", "ready", "dispatched", "delivered", "undelivered", "refused"] as const;
const ReportBody = Type.Object(
  {
    channelId: Type.String(),
    attemptKey: Type.String(),
    kind: Type.Union(kinds.map((kind) => Type.Literal(kind))),
    at: Type.String({ format: "date-time" }),
    reason: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
const ReportsBody = Type.Union([ReportBody, Type.Array(ReportBody, { maxItems: 5_000 })]);

const LedgerQuery = Type.Object({
  cursor: Type.Optional(Type.Integer({ minimum: 0 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 5_000 })),
});

const defaultLedgerPage = 1_000;
/** A report asked for by hand is tried this often (about ten seconds) before the asker is told that it did not get through. */
const manualTries = 6;

/** How the simulator is steered; for whoever runs it (it listens on loopback only), not part of the protocol. */
export function controlRoutes(server: FastifyInstance, world: World): void {
  const { settings, ledger, cooking, staff } = world;

  server.get("/health/live", async () => ({ status: "ok" }));

  server.put("/control/platform", { schema: { body: PlatformBody } }, async (request) => {
    const { url, apiKey } = request.body as Static<typeof PlatformBody>;
    const platform = { url: url.replace(/\/+$/, ""), apiKey };
    settings.platform = platform;
    await world.rememberPlatform(platform);
    staff.listen(platform);
    return { url: platform.url };
  });

  server.put("/control/channels/:id", { schema: { body: ChannelBody } }, async (request, reply) => {
    const { id } = request.params as { id: string };
    const body = request.body as Static<typeof ChannelBody>;
    if (body.secret === undefined && !settings.channel(id)) {
      return reply.code(400).send({ error: "a channel that is new here needs its secret" });
    }
    try {
      const put = settings.put({ ...body, id });
      await world.rememberChannel(put);
    } catch (error) {
      return reply.code(400).send({ error: `the secret can't sign: ${(error as Error).message}` });
    }
    cooking.resume(id);
    return { id, behaviour: settings.channel(id)!.behaviourOf(undefined) };
  });

  server.post("/control/report", { schema: { body: ReportsBody } }, async (request) => {
    const body = request.body as Report | Report[];
    return { results: await report(Array.isArray(body) ? body : [body], world) };
  });

  server.get("/control/ledger", { schema: { querystring: LedgerQuery } }, async (request) => {
    const { cursor = 0, limit = defaultLedgerPage } = request.query as Static<typeof LedgerQuery>;
    return ledger.page(cursor, limit);
  });

  server.get("/control/stats", async () => stats(world));
}

/** Reports of one attempt go out in the order given, those of different attempts side by side. */
async function report(reports: readonly Report[], world: World): Promise<readonly unknown[]> {
  const results = new Array<unknown>(reports.length);
  const byAttempt = Map.groupBy(reports.keys(), (index) => reports[index]!.attemptKey);
  await Promise.all(
    [...byAttempt.values()].map(async (indexes) => {
      for (const index of indexes) results[index] = await reportOne(reports[index]!, world);
    }),
  );
  return results;
}

async function reportOne(one: Report, world: World): Promise<unknown> {
  const entry = findEntry(one, world.ledger);
  const givenBack =
    one.kind === "refused" ? { state: "refused" as const, reason: one.reason ?? "given_back" } : {};
  if (entry) await world.ledger.write(entry, entry.key, { stage: one.kind, ...givenBack });
  const told = await world.reporter.tell(one, { maxTries: manualTries });
  if (entry && told.kind === "taken")
    await world.ledger.write(entry, entry.key, { told: one.kind, ...end(one.kind) });
  return { attemptKey: one.attemptKey, reported: one.kind, ...told };
}

const end = (kind: CallbackKind): { over?: true } =>
  kind === "delivered" || kind === "undelivered" || kind === "refused" ? { over: true } : {};

/** The channel's own entry, or in a network that of the member which has the booking. */
function findEntry(report: Report, ledger: Ledger) {
  return ledger.find(report, report.attemptKey) ?? ledger.bookedAnywhere(report.channelId, report.attemptKey);
}

function stats(world: World) {
  const bookings: Record<string, Record<string, number>> = {};
  for (const entry of world.ledger.all()) {
    const ofChannel = bookings[entry.channelId] ?? {};
    bookings[entry.channelId] = ofChannel;
    const { state } = world.ledger.show(entry);
    ofChannel[state] = (ofChannel[state] ?? 0) + 1;
  }
  const channels: Record<string, unknown> = {};
  for (const { settings, counts } of world.settings.channels()) {
    channels[settings.id] = { bookings: bookings[settings.id] ?? {}, counts: Object.fromEntries(counts) };
  }
  const { connected, position = null } = world.staff;
  return {
    ledgerEntries: world.ledger.all().length,
    cooking: world.cooking.underWay,
    stream: { connected, position },
    channels,
  };
}
