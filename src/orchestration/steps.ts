import type { Channel, ChannelType } from "../capacity/api.ts";
import type { BookingRequest, CancelOutcome, CancelRequest, ChannelAdapter } from "../channels/api.ts";
import {
  type AttemptRecord,
  attemptKey,
  type Carried,
  type Decision,
  openAttempt,
  openAttempts,
  unitsOf,
} from "./carried.ts";
import { decideAward, decideBooked, decideConfirm, decideReserve, type RoutedFor } from "./decide.ts";
import type { Reason } from "./order.ts";
import type { OrderStatus } from "./order-state.ts";

/** What steps see of the world: time, routing and channels. No database: what they decide is written by the runner. */
export interface World {
  nowMs(): number;
  /** Where each order may go now, in input order. */
  route(orders: readonly Carried[]): readonly RoutedFor[];
  channel(id: string): Channel | undefined;
  adapterFor(channel: Channel): ChannelAdapter;
}

/** One step over a set of orders. Answers in input order; never throws for what one order did. */
export type Do = (orders: readonly Carried[], world: World) => Promise<readonly Outcome[]>;
export type Outcome =
  | { kind: "done"; decision: Decision }
  | { kind: "refused"; reason: Reason } // a "no" is an answer, not an error
  | { kind: "retry"; afterMs: number; detail: string } // surely nothing happened
  | { kind: "unknown"; detail: string }; // asked, no answer: never guess (I4)

/** Undoes a step for a set of orders. What the undo of units is worth is written with the commit that records it. */
export type Undo = (orders: readonly Carried[], world: World) => Promise<readonly UndoOutcome[]>;
export type UndoOutcome =
  | { kind: "undone"; feeMinor?: number } // what the channel says that it charges for it
  | { kind: "refused"; detail: string }
  | { kind: "retry"; afterMs: number; detail: string; uncertain?: true }; // uncertain: it may have been undone

export interface SagaStep {
  readonly name: "reserve" | "offer" | "book" | "confirm" | "hold" | "leave" | "withdraw";
  readonly from: readonly OrderStatus[];
  readonly to: OrderStatus;
  readonly do: Do;
  readonly undo: Undo;
  /** Of a move: the state of its new attempt that this step is for. */
  readonly when?: "holding" | "held" | "given_up";
  /** The one channel type that has this step; all of them when absent. */
  readonly only?: ChannelType;
}

/** A channel must not take a booking that reaches it later than this after it was sent. */
const bookingValidMs = 60_000;

/** Picks by routing, over the network in memory; the units are taken by the commit, or the order is routed again. */
export const reserveCapacity: Do = async (orders, world) => {
  const routes = world.route(orders);
  return orders.map((order, index): Outcome => {
    const routed = routes[index]!;
    if (routed.kind === "none_now")
      return { kind: "retry", afterMs: 500, detail: "no channel that fits has room now" };
    return { kind: "done", decision: decideReserve(order, routed, world.nowMs()) };
  });
};

/** Units go back with the commit that records that the booking is undone: there is nothing to call. */
export const releaseCapacity: Undo = async (orders) => orders.map(() => ({ kind: "undone" }));

/** Partner network: the order is offered to several members; the first to accept is recorded before it is booked. */
export const awardOffer: Do = (orders, world) =>
  perChannel(orders, world, async (channel, adapter, group) => {
    const answers = await adapter.offer(
      channel,
      group.map((order) => bookingRequest(order, world.nowMs())),
    );
    return answers.map((answer, index): Outcome => {
      if (answer.kind === "accepted")
        return { kind: "done", decision: decideAward(group[index]!, answer.partner) };
      return answer.kind === "refused" ? refused(channel, answer.reason) : answer;
    });
  });

/** Asks the channel to take the order, with the attempt's key: asking again is harmless. */
export const bookChannel: Do = (orders, world) =>
  perChannel(orders, world, async (channel, adapter, group) => {
    const answers = await adapter.book(
      channel,
      group.map((order) => bookingRequest(order, world.nowMs())),
    );
    return answers.map((answer, index): Outcome => {
      if (answer.kind === "booked")
        return { kind: "done", decision: decideBooked(group[index]!, answer, world.nowMs()) };
      return answer.kind === "refused" ? refused(channel, answer.reason) : answer;
    });
  });

/** Every attempt that may be booked is cancelled at its channel, by key: one that it never got becomes a tombstone there. */
export const cancelBooking: Undo = (orders, world) =>
  Promise.all(orders.map((order) => cancelAttempts(order, world)));

export const confirmOrder: Do = async (orders, world) =>
  orders.map((order) => ({ kind: "done", decision: decideConfirm(order, world.nowMs()) }));

export const nothing: Undo = async (orders) => orders.map(() => ({ kind: "undone" }));

const refused = (channel: Channel, detail: string): Outcome => ({
  kind: "refused",
  reason: { code: "refused_by_channels", detail: `${channel.name}: ${detail}` },
});

/** One attempt at its channel; not knowing is asking again. */
export async function cancelAttempt(
  order: Carried,
  attempt: AttemptRecord,
  world: World,
): Promise<UndoOutcome> {
  const channel = world.channel(attempt.channelId);
  if (!channel)
    return { kind: "retry", afterMs: 1_000, detail: `channel ${attempt.channelId} is not known here yet` };
  const [answer] = (await world.adapterFor(channel).cancel(channel, [cancelRequest(order, attempt)])) as [
    CancelOutcome,
  ];
  switch (answer.kind) {
    case "cancelled":
      return { kind: "undone", ...(answer.feeMinor === undefined ? {} : { feeMinor: answer.feeMinor }) };
    case "refused":
      return { kind: "refused", detail: `${channel.name}: ${answer.reason}` };
    case "retry":
      return answer;
    case "unknown":
      return { kind: "retry", afterMs: 200, detail: answer.detail, uncertain: true };
  }
}

async function cancelAttempts(order: Carried, world: World): Promise<UndoOutcome> {
  let feeMinor: number | undefined;
  for (const attempt of openAttempts(order).toReversed()) {
    const answer = await cancelAttempt(order, attempt, world);
    if (answer.kind !== "undone") return answer;
    if (answer.feeMinor !== undefined) feeMinor = (feeMinor ?? 0) + answer.feeMinor;
  }
  return { kind: "undone", ...(feeMinor === undefined ? {} : { feeMinor }) };
}

const cancelRequest = (order: Carried, { leg, attempt, partner }: AttemptRecord): CancelRequest => ({
  key: attemptKey(order.id, leg, attempt),
  orderId: order.id,
  ...(partner ? { partner } : {}),
});

/** What an order's newest attempt asks of its channel. */
export function bookingRequest(order: Carried, nowMs: number): BookingRequest {
  const attempt = openAttempt(order)!;
  const leg = order.state.legs.find((one) => one.attempt === attempt.attempt)!;
  return {
    key: attemptKey(order.id, attempt.leg, attempt.attempt),
    orderId: order.id,
    items: order.doc.items,
    units: unitsOf(order.doc),
    currency: order.doc.currency,
    location: order.doc.delivery.location,
    promised: leg.promised,
    priority: order.doc.priority,
    personal: order.personal,
    notAfter: new Date(nowMs + bookingValidMs).toISOString(),
    ...(attempt.partner ? { partner: attempt.partner } : {}),
  };
}

/** Calls each channel once for its orders, side by side, and puts the answers back in input order. */
export async function perChannel(
  orders: readonly Carried[],
  world: World,
  ask: (channel: Channel, adapter: ChannelAdapter, group: readonly Carried[]) => Promise<readonly Outcome[]>,
): Promise<readonly Outcome[]> {
  const groups = Map.groupBy(orders, (order) => openAttempt(order)!.channelId);
  const outcomes = new Map<Carried, Outcome>();
  await Promise.all(
    [...groups].map(async ([channelId, group]) => {
      const channel = world.channel(channelId);
      const answers = channel
        ? await ask(channel, world.adapterFor(channel), group)
        : group.map(
            (): Outcome => ({
              kind: "retry",
              afterMs: 1_000,
              detail: `channel ${channelId} is not known here yet`,
            }),
          );
      group.forEach((order, index) => {
        outcomes.set(order, answers[index]!);
      });
    }),
  );
  return orders.map((order) => outcomes.get(order)!);
}
