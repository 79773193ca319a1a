import type { CapacityApi, Channel, ChannelRoom } from "../capacity/api.ts";
import { defaultPolicy, type RoutingPolicy } from "../capacity/policy.ts";
import type { Wish } from "../capacity/ranking.ts";
import type { ChannelAdapter } from "../channels/api.ts";
import { kitchenBookingRef } from "../channels/kitchen.ts";
import type { PoliciesApi } from "../optimization/api.ts";
import { type Quote, quote } from "../optimization/quote.ts";
import { type Routed, type RoutingMethod, route } from "../optimization/route.ts";
import type { Steerer } from "../optimization/steer.ts";
import type { QuoteRequest } from "./api.ts";
import { attemptKey, type Carried, unitsOf } from "./carried.ts";
import type { RoutedFor } from "./decide.ts";
import type { OrderDoc } from "./order.ts";

export type Routable = Pick<Carried, "id" | "clientId" | "doc" | "saga">;

export interface RoutingDependencies {
  capacity: Pick<CapacityApi, "network">;
  adapterFor(channel: Channel): ChannelAdapter;
  nowMs(): number;
  method: RoutingMethod;
  /** Which policy an order goes by; absent: the default for all. */
  policyFor?: PoliciesApi["policyFor"];
  /** Bid prices, learned from what is routed; absent: none. */
  steerer?: Pick<Steerer, "note" | "prices">;
}

/** Orders in, where each may go out: what routing needs to know of an order, and what orchestration makes of the answer. */
export function createRouting({
  capacity,
  adapterFor,
  nowMs,
  method,
  policyFor = () => defaultPolicy,
  steerer,
}: RoutingDependencies): (
  orders: readonly Routable[],
  network?: readonly ChannelRoom[],
) => readonly RoutedFor[] {
  const turn = { next: 0 };
  return (orders, network = capacity.network()) => {
    const now = nowMs();
    const wishes = orders.map((order) => toWish(order, now, policyFor));
    const prices = steerer?.prices();
    const answers = route(wishes, network, { method, nowMs: now, turn, ...(prices ? { prices } : {}) });
    // Who is routed again was counted when it came.
    steerer?.note(wishes.filter((_, index) => orders[index]!.saga.attempts === 0));
    return answers.map((answer, index) => toRoutedFor(orders[index]!, answer, now, adapterFor));
  };
}

/** An order's own channel alone, as if the room that the order has there were free. */
export function ownRoom(
  { attempts }: Pick<Carried, "attempts">,
  network: readonly ChannelRoom[],
): readonly ChannelRoom[] {
  const own = attempts.filter(({ held }) => held);
  return network
    .filter(({ channel }) => own.some(({ channelId }) => channelId === channel.id))
    .map((room) => ({
      ...room,
      ...(room.stock ? { stock: withOwn(room.stock, own) } : {}),
      slots: room.slots.map((slot) => {
        const freed = own
          .filter(({ slotId }) => slotId === slot.id)
          .reduce((sum, { units }) => sum + units, 0);
        return { ...slot, reserved: slot.reserved - freed };
      }),
    }));
}

/** Stock as if what these attempts have of it were free. */
const withOwn = (
  stock: NonNullable<ChannelRoom["stock"]>,
  own: Carried["attempts"],
): NonNullable<ChannelRoom["stock"]> => ({
  get(sku) {
    const free = stock.get(sku);
    const lines = own.flatMap((attempt) => attempt.stock ?? []).filter((line) => line.sku === sku);
    return free === undefined ? undefined : lines.reduce((sum, { quantity }) => sum + quantity, free);
  },
});

const passedOver = (order: Routable, nowMs: number): string[] =>
  (order.saga.avoiding ?? []).filter((one) => one.untilMs > nowMs).map((one) => one.channelId);

function toWish(order: Routable, nowMs: number, policyFor: PoliciesApi["policyFor"]): Wish {
  const { id: orderId, clientId, doc, saga } = order;
  return {
    ...wishOf(doc, policyFor({ clientId, customerId: doc.customerId, orderId })),
    excluded: [...saga.refusedBy, ...passedOver(order, nowMs)],
  };
}

/** The part of an order that routing looks at. */
export type Asked = Pick<OrderDoc, "items" | "delivery" | "routing" | "currency" | "priority" | "metadata">;

/** What an order asks of routing. */
export function wishOf(doc: Asked, policy: RoutingPolicy): Wish {
  const { delivery, routing, currency } = doc;
  return {
    location: delivery.location,
    windowStartMs: Date.parse(delivery.window.start),
    windowEndMs: Date.parse(delivery.window.end),
    vehicle: delivery.vehicle ?? null,
    units: unitsOf(doc),
    currency,
    channelTypes: routing?.channelTypes ?? null,
    maxCostMinor: routing?.maxCostMinor ?? null,
    excluded: [],
    policy,
    facts: doc,
  };
}

/** What each request would get now, in input order. */
export const quoteAll = (
  requests: readonly QuoteRequest[],
  network: readonly ChannelRoom[],
  nowMs: number,
  policyFor: PoliciesApi["policyFor"] = () => defaultPolicy,
): readonly Quote[] =>
  requests.map(({ asked, ...who }) =>
    quote(wishOf(asked, policyFor({ ...who, orderId: null })), network, nowMs),
  );

function toRoutedFor(
  order: Routable,
  answer: Routed,
  nowMs: number,
  adapterFor: (channel: Channel) => ChannelAdapter,
): RoutedFor {
  switch (answer.kind) {
    case "none_now":
      return answer;
    case "never": {
      // A channel that is only passed over for a while may yet take it.
      if (answer.code === "refused_by_channels" && passedOver(order, nowMs).length > 0) {
        return { kind: "none_now", decision: answer.decision };
      }
      return {
        kind: "never",
        reason: { code: answer.code, detail: answer.detail },
        decision: answer.decision,
      };
    }
    case "route": {
      const { candidate, decision } = answer.route;
      const key = attemptKey(order.id, 1, order.saga.attempts + 1);
      const localRef = adapterFor(candidate.channel).local ? kitchenBookingRef(key) : null;
      return { kind: "assign", assignment: { candidate, decision, localRef } };
    }
  }
}
