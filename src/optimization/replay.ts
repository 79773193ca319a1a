import type { Channel, ChannelRoom, SlotRoom } from "../capacity/api.ts";
import type { Wish } from "../capacity/ranking.ts";
import { route } from "./route.ts";

/** An order that is routed once more, and what it got then. */
export interface PastOrder {
  id: string;
  currency: string;
  placedMs: number;
  wish: Wish;
  got: Got | null;
}

interface Got {
  channelId: string;
  costMinor: number;
  promisedStartMs: number;
  slots: readonly { slotId: string; units: number }[];
}

/** What routing came to over the same orders. */
export interface ReplayOutcome {
  served: number;
  unserved: number;
  /** By currency. */
  meanCostMinor: Readonly<Record<string, number>>;
  /** From placing (or the window's start, when that is later) to the beginning of the promised window; null: none was served. */
  meanPromiseMinutes: number | null;
  meanQuality: number | null;
  /** Of the slots that either of the two used: the mean and the fullest, with what other orders hold there. */
  meanSlotUsedPercent: number | null;
  fullestSlotPercent: number | null;
  channels: readonly { channelId: string; name: string; orders: number }[];
}

export interface ReplayReport {
  orders: number;
  recorded: ReplayOutcome;
  simulated: ReplayOutcome;
  /** Orders that would have gone elsewhere, and the first of them; null: unserved. */
  movedOrders: number;
  moves: readonly {
    orderId: string;
    from: string | null;
    to: string | null;
    costChangeMinor: number | null;
  }[];
}

const maxShownMoves = 100;

export interface Replay {
  /** Routes these, oldest first, each at the time when it was placed and alone: what came before has its room. */
  add(orders: readonly PastOrder[]): void;
  report(): ReplayReport;
}

/**
 * Recorded orders under another policy; pure. `network`: channels and slots with what all orders hold in them; what `all` of the
 * orders to be replayed hold is given back first.
 */
export function createReplay(network: readonly ChannelRoom[], all: readonly PastOrder[]): Replay {
  const rooms = network.map((room) => ({
    ...room,
    channel: { ...room.channel, health: "up" as const },
    slots: room.slots.map((slot) => ({ ...slot })),
  }));
  const slots = new Map<string, SlotRoom>(rooms.flatMap((room) => room.slots.map((slot) => [slot.id, slot])));
  for (const { got } of all) {
    for (const { slotId, units } of got?.slots ?? []) {
      const slot = slots.get(slotId);
      if (slot) slot.reserved -= units;
    }
  }
  const background = new Map([...slots].map(([id, { reserved }]) => [id, reserved]));
  const channels = new Map<string, Channel>(rooms.map(({ channel }) => [channel.id, channel]));
  const recorded = createTally(channels);
  const simulated = createTally(channels);
  const moves: ReplayReport["moves"][number][] = [];
  let orders = 0;
  let movedOrders = 0;
  const turn = { next: 0 };

  return {
    add(batch) {
      for (const order of batch) {
        orders += 1;
        const [routed] = route([order.wish], rooms, { method: "weighted", nowMs: order.placedMs, turn });
        const would = routed?.kind === "route" ? gotOf(order, routed.route.candidate) : null;
        for (const { slotId, units } of would?.slots ?? []) slots.get(slotId)!.reserved += units;
        recorded.add(order, order.got);
        simulated.add(order, would);
        const from = order.got?.channelId ?? null;
        const to = would?.channelId ?? null;
        if (from === to) continue;
        movedOrders += 1;
        const costChangeMinor = order.got && would ? would.costMinor - order.got.costMinor : null;
        if (moves.length < maxShownMoves) moves.push({ orderId: order.id, from, to, costChangeMinor });
      }
    },
    report() {
      const used = new Set(
        [...recorded.units.keys(), ...simulated.units.keys()].filter((id) => slots.has(id)),
      );
      const shares = (units: ReadonlyMap<string, number>) =>
        [...used].map(
          (id) => (background.get(id)! + (units.get(id) ?? 0)) / Math.max(1, slots.get(id)!.sellable),
        );
      return {
        orders,
        recorded: recorded.outcome(shares(recorded.units)),
        simulated: simulated.outcome(shares(simulated.units)),
        movedOrders,
        moves,
      };
    },
  };
}

type Chosen = Extract<ReturnType<typeof route>[number], { kind: "route" }>["route"]["candidate"];

const gotOf = ({ wish }: PastOrder, { channel, slot, costMinor, promisedStartMs }: Chosen): Got => ({
  channelId: channel.id,
  costMinor,
  promisedStartMs,
  slots: [{ slotId: slot.id, units: wish.units }],
});

interface Tally {
  add(order: PastOrder, got: Got | null): void;
  /** Units by slot. */
  units: ReadonlyMap<string, number>;
  outcome(slotShares: readonly number[]): ReplayOutcome;
}

function createTally(channels: ReadonlyMap<string, Channel>): Tally {
  const units = new Map<string, number>();
  const ordersOf = new Map<string, number>();
  const costs = new Map<string, { sum: number; count: number }>();
  let unserved = 0;
  let served = 0;
  let minutes = 0;
  let quality = 0;
  return {
    units,
    add({ currency, placedMs, wish }, got) {
      if (got === null) {
        unserved += 1;
        return;
      }
      served += 1;
      const cost = costs.get(currency) ?? { sum: 0, count: 0 };
      costs.set(currency, { sum: cost.sum + got.costMinor, count: cost.count + 1 });
      minutes += (got.promisedStartMs - Math.max(placedMs, wish.windowStartMs)) / 60_000;
      quality += channels.get(got.channelId)?.quality ?? 0;
      ordersOf.set(got.channelId, (ordersOf.get(got.channelId) ?? 0) + 1);
      for (const slot of got.slots) units.set(slot.slotId, (units.get(slot.slotId) ?? 0) + slot.units);
    },
    outcome(slotShares) {
      const mean = (sum: number, count: number) => (count === 0 ? null : round(sum / count));
      const sumOfShares = slotShares.reduce((sum, share) => sum + share, 0);
      return {
        served,
        unserved,
        meanCostMinor: Object.fromEntries(
          [...costs].map(([code, { sum, count }]) => [code, round(sum / count)]),
        ),
        meanPromiseMinutes: mean(minutes, served),
        meanQuality: mean(quality, served),
        meanSlotUsedPercent: mean(sumOfShares * 100, slotShares.length),
        fullestSlotPercent: slotShares.length === 0 ? null : round(Math.max(...slotShares) * 100),
        channels: [...ordersOf]
          .map(([channelId, orders]) => ({
            channelId,
            name: channels.get(channelId)?.name ?? channelId,
            orders,
          }))
          .sort((a, b) => b.orders - a.orders || (a.channelId < b.channelId ? -1 : 1)),
      };
    },
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;
