import { setTimeout as pause } from "node:timers/promises";
import { type BenchOptions, type BenchReport, onStage, type ReportHead, type Stage } from "./bench.ts";
import { createChildren } from "./children.ts";
import { must } from "./http.ts";
import { cpuOf } from "./measure/proc.ts";
import { quantile } from "./measure/sampler.ts";
import { createPhases, openConnections, reportOf } from "./phases.ts";
import { phaseHead, phaseJson, phaseRow } from "./report/orders-report.ts";
import { percent, table, whole } from "./report/table.ts";
import { settle } from "./verify.ts";
import { type Subscribers, startSubscribers } from "./webhooks/subscribers.ts";
import type { Got } from "./webhooks/tally.ts";

export interface WebhooksOptions {
  /** Orders a second while all subscribers are well. */
  rate?: number;
}

const subscriberCount = 10;
const eventsPerRequest = 100;
const usualRate = 2_000;
/** While subscribers fail: gently, since it is about what arrives and not about how fast. */
const troubledRate = 200;
const failRate = 0.1;
const deadSeconds = 60;
const drainLimitMs = 600_000;
const sampleEveryMs = 250;

export const webhooksStage = { channels: 12, env: { WEBHOOK_TARGETS: "any" } };

/** Ten subscribers to every event: whether they keep up beside the load, what an event costs, and that nothing is lost when they fail. */
export const benchWebhooks = (options: BenchOptions & WebhooksOptions): Promise<BenchReport> =>
  onStage("webhooks", options, webhooksStage, (stage, head) => measureWebhooks(stage, head, options));

/** The same on a stage that is there. */
export async function measureWebhooks(
  stage: Stage,
  head: ReportHead,
  options: BenchOptions & WebhooksOptions,
): Promise<BenchReport> {
  const children = createChildren();
  const subscribers = await startSubscribers(children, { count: subscriberCount, seed: options.seed });
  try {
    return await measureWith(subscribers, stage, head, options);
  } finally {
    await subscribers.stop();
  }
}

async function measureWith(
  subscribers: Subscribers,
  stage: Stage,
  head: ReportHead,
  options: BenchOptions & WebhooksOptions,
): Promise<BenchReport> {
  const rate = options.rate ?? (options.quick ? 40 : usualRate);
  const well = await whileWell(subscribers, stage, rate, options.seconds * 1_000);
  const failing = await whileFailing(subscribers, stage, well, options.quick);
  return reportOf(stage, head, {
    wrong: failing.wrong,
    lines: [
      ...table([phaseHead, ...[well.alone, well.beside, failing.phase].map(phaseRow)]),
      "",
      ...table([...wellRows(well), ...failingRows(failing)]),
    ],
    json: {
      rate,
      subscribers: subscriberCount,
      confirmedPerSecond: well.beside.confirmedPerSecond,
      eventsPerSecond: well.events / (well.beside.run.measuredMs / 1_000),
      lagP99Events: quantile(well.lags, 0.99),
      lagAtEndEvents: well.lags.at(-1) ?? 0,
      caughtUpMs: well.caughtUpMs,
      microsPerEvent: well.serverMicros,
      subscriberMicrosPerEvent: well.subscriberMicros,
      failing: failing.figures,
      alone: phaseJson(well.alone),
      beside: phaseJson(well.beside),
      troubled: phaseJson(failing.phase),
    },
  });
}

type Well = Awaited<ReturnType<typeof whileWell>>;

const at = (perSecond: number) => ({ kind: "open", perSecond, connections: openConnections }) as const;

/** The load without subscribers, and beside them. */
async function whileWell(subscribers: Subscribers, stage: Stage, rate: number, measureMs: number) {
  const phases = createPhases(stage);
  await phases.orders("warm-up", at(rate), { measureMs: Math.min(measureMs, 5_000) });
  const alone = await phases.orders(`no subscribers, ${rate}/s`, at(rate), { measureMs });
  await settle(stage.books); // so that all begin at the same event
  const startedAt = await headOf(stage);
  const webhooks = await subscribe(stage, subscribers);
  const watching = watchLag(stage);
  const cpuBefore = cpuOf(subscribers.pid);
  const beside = await phases.orders(`ten subscribers, ${rate}/s`, at(rate), { measureMs, rested: false });
  const lags = await watching.stop();
  const caughtUpMs = await drain(stage);
  const events = sum(await subscribers.got(), "events");
  const extraMicros = (beside.perOrder.serverMicros - alone.perOrder.serverMicros) * beside.run.orders;
  return {
    startedAt,
    webhooks,
    alone,
    beside,
    lags,
    caughtUpMs,
    events,
    serverMicros: extraMicros / Math.max(1, events),
    subscriberMicros: (cpuOf(subscribers.pid) - cpuBefore) / Math.max(1, events),
  };
}

const wellRows = (well: Well) => [
  ["events delivered while all were well", `${whole(well.events)} in lists of up to ${eventsPerRequest}`],
  [
    "behind, p99 and at the end of the load",
    `${whole(quantile(well.lags, 0.99))}, ${whole(well.lags.at(-1) ?? 0)} events`,
  ],
  ["caught up after", `${whole(well.caughtUpMs)} ms`],
  [
    "CPU of an event: server, subscriber",
    `${well.serverMicros.toFixed(1)} µs, ${well.subscriberMicros.toFixed(1)} µs`,
  ],
];

type Failing = Awaited<ReturnType<typeof whileFailing>>;

/** A tenth of the requests fails, and one subscriber is dead for a while; then everything must have come, or be a dead letter. */
async function whileFailing(
  subscribers: Subscribers,
  stage: Stage,
  { startedAt, webhooks }: Well,
  quick: boolean,
) {
  const deadMs = quick ? 1_500 : deadSeconds * 1_000;
  const rate = quick ? 40 : troubledRate;
  subscribers.behave({ failRate, dead: 0 });
  const revived = pause(deadMs).then(() => subscribers.behave({ failRate, dead: null }));
  const phase = await createPhases(stage).orders(`they fail, ${rate}/s`, at(rate), {
    measureMs: deadMs * 1.25,
    rested: false,
  });
  await revived;
  await settle(stage.books);
  const recoveredMs = await drain(stage);
  const got = await subscribers.got();
  const each = await countEvents(stage, startedAt);
  const deadLetters = await countDeadLetters(stage);
  const wrong = got.flatMap(({ events, outOfOrder }, index) => {
    const missing = each - events - (deadLetters.get(webhooks[index]!) ?? 0);
    return [
      ...(missing === 0 ? [] : [`subscriber ${index}: ${missing} events neither came nor are dead letters`]),
      ...(outOfOrder === 0 ? [] : [`subscriber ${index}: ${outOfOrder} events came out of order`]),
    ];
  });
  const figures = {
    failedShare: sum(got, "failed") / Math.max(1, sum(got, "requests")),
    deadMs,
    recoveredMs,
    expected: each * subscriberCount,
    delivered: sum(got, "events"),
    deadLetters: [...deadLetters.values()].reduce((total, count) => total + count, 0),
    repeats: sum(got, "repeats"),
    outOfOrder: sum(got, "outOfOrder"),
  };
  return { phase, wrong, figures };
}

const failingRows = ({ figures }: Failing) => [
  ["requests that failed", percent(figures.failedShare)],
  [
    "one dead for",
    `${figures.deadMs / 1_000} s; all had everything ${whole(figures.recoveredMs / 1_000)} s after the load`,
  ],
  ["delivered, of what was to come", `${whole(figures.delivered)} of ${whole(figures.expected)}`],
  [
    "dead letters, repeats, out of order",
    `${figures.deadLetters}, ${figures.repeats}, ${figures.outOfOrder}`,
  ],
];

const sum = (got: readonly Got[], name: keyof Got): number =>
  got.reduce((total, each) => total + each[name], 0);

/** Channels' events come by themselves meanwhile: they would not be the same for all. */
const types = ["order.created", "order.status_changed", "order.updated", "channel.assigned"];

/** Webhooks of an operator: every order of every client. Answers their ids. */
async function subscribe({ platform }: Stage, subscribers: Subscribers): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let index = 0; index < subscriberCount; index += 1) {
    const body = { url: subscribers.url(index), types, maxEventsPerRequest: eventsPerRequest };
    const made = await must<{ id: string }>("POST", `${platform.url}/v1/webhooks`, {
      key: platform.adminKey,
      body,
    });
    ids.push(made.id);
  }
  return ids;
}

/** The last position on the bus: each event has one. */
async function headOf({ books }: Stage): Promise<number> {
  const [row] = await books.query<{ head: string }>("select next_position - 1 as head from event_log_head");
  return Number(row!.head);
}

/** Events of orders since then. */
async function countEvents({ books }: Stage, after: number): Promise<number> {
  const [row] = await books.query<{ events: number }>(
    "select sum(count)::int as events from event_log where position > $1 and subject like 'ord%'",
    [after],
  );
  return row!.events;
}

const behindQuery = `
  select (select count(*) from outbox)::int as outbox,
    (select next_position - 1 from event_log_head) - min(position) as behind,
    (select count(*) from webhook_pending)::int as pending
  from webhook_progress`;

async function behind({ books }: Stage): Promise<{ events: number; atRest: boolean }> {
  const [row] = await books.query<{ outbox: number; behind: string; pending: number }>(behindQuery);
  const events = Number(row!.behind);
  return { events, atRest: events === 0 && row!.outbox === 0 && row!.pending === 0 };
}

/** How far the slowest subscriber is behind the bus, again and again. */
function watchLag(stage: Stage): { stop(): Promise<readonly number[]> } {
  const lags: number[] = [];
  const stop = new AbortController();
  const running = (async () => {
    while (!stop.signal.aborted) {
      lags.push((await behind(stage)).events);
      await pause(sampleEveryMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stop.abort();
      await running;
      return lags;
    },
  };
}

/** Waits until every subscriber has everything; answers how long that took. */
async function drain(stage: Stage): Promise<number> {
  stage.progress.note("until every subscriber has everything");
  const startedAt = performance.now();
  for (;;) {
    const ms = performance.now() - startedAt;
    if ((await behind(stage)).atRest || ms > drainLimitMs) return ms;
    await pause(50);
  }
}

async function countDeadLetters({ books }: Stage): Promise<ReadonlyMap<string, number>> {
  const rows = await books.query<{ subscriber: string; count: number }>(
    "select subscriber, count(*)::int as count from dead_letters group by 1",
  );
  return new Map(rows.map(({ subscriber, count }) => [subscriber, count]));
}
