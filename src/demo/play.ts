import type { CallbackKind } from "../orchestration/api.ts";
import type { OrderView } from "../orchestration/order.ts";
import { isEnd, type OrderStatus } from "../orchestration/order-state.ts";
import { type Clock, sleep } from "../platform/clock.ts";
import { type Agenda, createAgenda } from "./agenda.ts";
import type { DemoClient } from "./client.ts";
import { createFleet, type Fleet, type Trip } from "./fleet.ts";
import { slotMinutes } from "./kitchens.ts";
import type { Day, DayOrder } from "./mdrp.ts";
import type { Kitchen, Staging } from "./network.ts";
import { countMove, type DayProgress } from "./progress.ts";

const tickMs = 10;
const pollMs = 100;
/** The read model follows within milliseconds; an order that has not ended by then never will. */
const settleLimitMs = 30_000;

export interface PlayOptions {
  day: Day;
  staging: Staging;
  kitchens: readonly Kitchen[];
  client: DemoClient;
  /** How much faster than the day's own clock. */
  speed: number;
  clock: Clock;
  signal: AbortSignal;
  progress: DayProgress;
}

/** What became of the day. */
export interface DayPlayed {
  /** Orders by the status that they ended in. */
  ended: ReadonlyMap<OrderStatus, number>;
  /** Orders that were not delivered, by reason. */
  reasons: ReadonlyMap<string, number>;
  /** Minutes from placement to door, of the delivered orders. */
  clickToDoorMinutes: readonly number[];
  /** Share of the couriers' shifts that they spent driving and serving. */
  courierUse: number;
}

/** A report that a kitchen owes the platform. */
interface Due {
  order: OpenOrder;
  kind: CallbackKind;
  minute: number;
  reason?: string;
}

/** A confirmed order on its way to the door. */
interface OpenOrder {
  view: OrderView;
  dayOrder: DayOrder;
  kitchen: Kitchen;
  status: OrderStatus;
  /** Reports of one order go out one after the other. */
  reported: Promise<void>;
}

/** The day while it is played: what `playDay`'s parts share. */
interface Play extends PlayOptions {
  fleet: Fleet;
  agenda: Agenda<Due>;
  open: Map<string, OpenOrder>;
  answered: boolean[];
  /** The first order, by placement, that has no answer yet: the fleet may not go past its placement. */
  firstUnanswered: number;
  clickToDoorMinutes: number[];
  /** Minute of the day now. */
  minute(): number;
  /** Set when something went wrong that no retry mends. */
  failure: Error | undefined;
}

/**
 * Plays one day through the HTTP API: places each order at its time on a compressed clock, lets kitchens and couriers
 * work as the instance says, reports every step as the kitchen's signed callback, and ends when every order has. Throws what the
 * platform should not have answered.
 */
export async function playDay(options: PlayOptions): Promise<DayPlayed> {
  const play = begin(options);
  const placing = placeAll(play);
  while (!isOver(play)) {
    if (play.failure) throw play.failure;
    options.signal.throwIfAborted();
    step(play);
    await sleep(options.clock, tickMs, options.signal);
  }
  await placing;
  const { ended, reasons } = await readEnds(play);
  const { busyMinutes, shiftMinutes } = play.fleet.use();
  return {
    ended,
    reasons,
    clickToDoorMinutes: play.clickToDoorMinutes,
    courierUse: busyMinutes / shiftMinutes,
  };
}

function begin(options: PlayOptions): Play {
  const { day, clock, speed } = options;
  const startedMs = clock.nowMs();
  const firstMinute = day.orders[0]!.placedAt;
  return {
    ...options,
    fleet: createFleet(day.couriers, day.parameters),
    agenda: createAgenda(),
    open: new Map(),
    answered: day.orders.map(() => false),
    firstUnanswered: 0,
    clickToDoorMinutes: [],
    minute: () => firstMinute + ((clock.nowMs() - startedMs) * speed) / 60_000,
    failure: undefined,
  };
}

const isOver = (play: Play): boolean =>
  play.firstUnanswered === play.day.orders.length && play.open.size === 0 && !play.failure;

/** Places each order at its minute; the pool of the client bounds how many are asked at once. */
async function placeAll(play: Play): Promise<void> {
  const placed: Promise<void>[] = [];
  for (const [index, order] of play.day.orders.entries()) {
    while (play.minute() < order.placedAt && !play.signal.aborted) {
      await sleep(play.clock, ((order.placedAt - play.minute()) * 60_000) / play.speed, play.signal);
    }
    if (play.signal.aborted || play.failure) break;
    placed.push(place(play, index, order).catch((error: Error) => fail(play, error)));
  }
  await Promise.all(placed);
}

function fail(play: Play, error: Error): void {
  play.failure ??= error;
}

async function place(play: Play, index: number, dayOrder: DayOrder): Promise<void> {
  const { client, progress } = play;
  const answer = await client.placeOrder(play.staging.request(dayOrder));
  progress.latency.recordValue(Math.max(1, Math.round(answer.ms * 1_000)));
  const view = answer.status === 202 ? await untilDecided(play, answer.order) : answer.order;
  countMove(progress, undefined, view.status);
  if (view.status === "confirmed") takeIn(play, view, dayOrder);
  play.answered[index] = true;
  while (play.answered[play.firstUnanswered]) play.firstUnanswered += 1;
}

/** An order that was under way when it was answered: asked for until it is confirmed or has ended. */
async function untilDecided(play: Play, answered: OrderView): Promise<OrderView> {
  let view = answered;
  while (view.status !== "confirmed" && !isEnd(view.status)) {
    await sleep(play.clock, pollMs, play.signal);
    play.signal.throwIfAborted();
    view = await play.client.getOrder(view.id);
  }
  return view;
}

/** The kitchen has the order: it cooks from the placement on, and a courier comes when it is ready. */
function takeIn(play: Play, view: OrderView, dayOrder: DayOrder): void {
  const index = play.kitchens.findIndex(({ id }) => id === view.channel?.id);
  const kitchen = play.kitchens[index];
  if (!kitchen) throw new Error(`Order ${view.id} is at ${view.channel?.id}, which is no kitchen of the day`);
  const order: OpenOrder = { view, dayOrder, kitchen, status: view.status, reported: Promise.resolve() };
  play.open.set(dayOrder.name, order);
  const { placedAt, readyAt } = dayOrder;
  play.progress.kitchens[index]!.orders += 1;
  play.progress.kitchens[index]!.recent.push(placedAt);
  play.fleet.add({ id: dayOrder.name, placedAt, readyAt, kitchen: kitchen.place, customer: dayOrder });
  play.agenda.add(placedAt, { order, kind: "preparing", minute: placedAt });
  play.agenda.add(readyAt, { order, kind: "ready", minute: readyAt });
}

/** One tick: the fleet dispatches what is ready, and what has happened by now is reported. */
function step(play: Play): void {
  const minute = play.minute();
  const { progress, day } = play;
  for (const kitchen of progress.kitchens) {
    kitchen.recent = kitchen.recent.filter((placedAt) => placedAt > minute - slotMinutes);
  }
  progress.minute = minute;
  const unansweredFrom = day.orders[play.firstUnanswered]?.placedAt ?? Number.POSITIVE_INFINITY;
  for (const trip of play.fleet.advance(Math.min(minute, unansweredFrom))) scheduleTrip(play, trip);
  for (const due of play.agenda.takeDue(minute)) {
    due.order.reported = due.order.reported
      .then(() => report(play, due))
      .catch((error: Error) => fail(play, error));
  }
}

function scheduleTrip(play: Play, trip: Trip): void {
  const order = play.open.get(trip.job.id)!;
  if (trip.kind === "undelivered") {
    play.agenda.add(trip.at, { order, kind: "undelivered", minute: trip.at, reason: trip.reason });
    return;
  }
  const { dispatchedAt, deliveredAt } = trip;
  play.agenda.add(dispatchedAt, { order, kind: "dispatched", minute: dispatchedAt });
  play.agenda.add(deliveredAt, { order, kind: "delivered", minute: deliveredAt });
}

async function report(play: Play, { order, kind, minute, reason }: Due): Promise<void> {
  if (play.failure || play.signal.aborted) return;
  const leg = order.view.legs[0]!;
  const attemptKey = `${order.view.id}.${leg.leg}.${leg.attempt}`;
  await play.client.report(order.kitchen, {
    callbackId: `${attemptKey}.${kind}`,
    attemptKey,
    kind,
    at: play.staging.at(minute),
    ...(reason === undefined ? {} : { reason }),
  });
  const status = kind as OrderStatus;
  countMove(play.progress, order.status, status);
  order.status = status;
  if (kind === "delivered") play.clickToDoorMinutes.push(minute - order.dayOrder.placedAt);
  if (isEnd(status)) play.open.delete(order.dayOrder.name);
}

/** The ends as the platform tells them, once its read model has caught up. */
async function readEnds(play: Play): Promise<Pick<DayPlayed, "ended" | "reasons">> {
  const giveUpMs = play.clock.nowMs() + settleLimitMs;
  for (;;) {
    const ended = new Map<OrderStatus, number>();
    const reasons = new Map<string, number>();
    let seen = 0;
    let open = 0;
    for await (const page of play.client.listOrders()) {
      for (const view of page) {
        seen += 1;
        if (!isEnd(view.status)) open += 1;
        ended.set(view.status, (ended.get(view.status) ?? 0) + 1);
        const reason = view.status === "delivered" ? undefined : (view.reason?.detail ?? view.status);
        if (reason !== undefined) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      }
    }
    if (seen === play.day.orders.length && open === 0) return { ended, reasons };
    if (play.clock.nowMs() > giveUpMs) {
      throw new Error(
        `${play.day.orders.length} orders were placed; the platform lists ${seen}, ${open} of them not ended`,
      );
    }
    await sleep(play.clock, pollMs, play.signal);
    play.signal.throwIfAborted();
  }
}
