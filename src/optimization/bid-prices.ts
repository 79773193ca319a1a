import type { ChannelRoom } from "../capacity/api.ts";
import { type Candidate, evaluate, type SlotPrices, type Wish } from "../capacity/ranking.ts";
import type { SeenWish } from "./demand.ts";
import type { AssignmentProblem } from "./problem.ts";

/** The demand that is expected until slots close, as a problem whose shadow prices are what an order must pay for units now. */
export interface Expected {
  problem: AssignmentProblem;
  /** Slot id by the problem's channel; its last channel is nobody's: who goes there is lost. */
  slotIds: readonly string[];
}

export interface ExpectOptions {
  nowMs: number;
  /** No estimate looks farther ahead. */
  maxAheadMs: number;
  maxRows: number;
  /** The most contended slots; orders that can go to none of them are left out. */
  maxSlots: number;
}

/** What an order that finds no room counts: as 50.00 of cost, or five hours. */
const lostPenalty = 5;
/** Parts of a unit that the problem counts in. */
const partsPerUnit = 1_000;
const mostParts = 2 ** 31 - 1;

/** So many orders of this kind are still to come. */
interface Row {
  candidates: readonly Candidate[];
  units: number;
  orders: number;
}

/**
 * What will be asked for until slots close: each sampled wish comes again at its share of the recent rate, until the slot that would be
 * its best closes (its end, or its cut-off) or `maxAheadMs` have passed. A wish whose window had begun when it came ("as soon as
 * possible") comes again with a window that begins then; one for a later window asks for that same window. Null when everyone's
 * best has room: then all prices are 0, and there is nothing to solve.
 */
export function expectDemand(
  { seen, perMs }: { seen: readonly SeenWish[]; perMs: number },
  network: readonly ChannelRoom[],
  options: ExpectOptions,
): Expected | null {
  const rows = expectedRows(seen, perMs, network, options);
  const wanted = new Map<string, number>();
  for (const { candidates, units, orders } of rows) {
    const { id } = candidates[0]!.slot;
    wanted.set(id, (wanted.get(id) ?? 0) + units * orders);
  }
  const short = new Set<string>();
  for (const { candidates } of rows) {
    const { slot } = candidates[0]!;
    if (wanted.get(slot.id)! > slot.sellable - slot.reserved) short.add(slot.id);
  }
  if (short.size === 0) return null;
  const { contending, slots } = contended(rows, short, options.maxSlots);
  return { problem: toProblem(contending, slots, options.maxRows), slotIds: [...slots.keys()] };
}

function expectedRows(
  seen: readonly SeenWish[],
  perMs: number,
  network: readonly ChannelRoom[],
  { nowMs, maxAheadMs }: ExpectOptions,
): Row[] {
  const cutOffMs = new Map(
    network.map(({ channel, rules }) => [channel.id, (rules?.cutOffMinutes ?? Number.NaN) * 60_000]),
  );
  const closesMs = ({ channel, slot }: Candidate) => {
    const before = cutOffMs.get(channel.id)!;
    return Number.isNaN(before) ? slot.endMs : Math.min(slot.endMs, slot.startMs - before);
  };
  const rows: Row[] = [];
  for (const { wish, seenMs, share } of seen) {
    const { candidates } = evaluate(again(wish, seenMs, nowMs), network, nowMs);
    if (candidates.length === 0) continue;
    const leftMs = Math.min(maxAheadMs, closesMs(candidates[0]!) - nowMs);
    const orders = perMs * share * leftMs;
    if (orders > 0) rows.push({ candidates, units: wish.units, orders });
  }
  return rows;
}

function again(wish: Wish, seenMs: number, nowMs: number): Wish {
  if (wish.windowStartMs > seenMs) return wish;
  const later = nowMs - seenMs;
  return {
    ...wish,
    windowStartMs: wish.windowStartMs + later,
    windowEndMs: wish.windowEndMs + later,
  };
}

/** The rows and slots that shortage can reach: from a short slot over the orders that could go there to where else they could go. */
function contended(rows: readonly Row[], short: ReadonlySet<string>, maxSlots: number) {
  const slots = new Map([...short].slice(0, maxSlots).map((id, index) => [id, index]));
  const contending = new Set<Row>();
  for (let before = -1; before < contending.size; ) {
    before = contending.size;
    for (const row of rows) {
      if (contending.has(row) || !row.candidates.some(({ slot }) => slots.has(slot.id))) continue;
      contending.add(row);
      for (const { slot } of row.candidates) {
        if (!slots.has(slot.id) && slots.size < maxSlots) slots.set(slot.id, slots.size);
      }
    }
  }
  return { contending: [...contending], slots };
}

function toProblem(
  rows: readonly Row[],
  slots: ReadonlyMap<string, number>,
  maxRows: number,
): AssignmentProblem {
  const expected = rows.reduce((sum, { orders }) => sum + orders, 0);
  // A row of many orders would not fit where there is room for few; so rows are split, as far as there may be so many.
  const ordersPerRow = Math.max(1, expected / Math.max(1, maxRows - rows.length));
  const split = rows.flatMap((row) => {
    const parts = Math.max(1, Math.round(row.orders / ordersPerRow));
    return new Array<Row>(parts).fill({ ...row, orders: row.orders / parts });
  });
  const channels = slots.size + 1;
  const problem: AssignmentProblem = {
    orders: split.length,
    channels,
    resources: 1,
    cost: new Float64Array(split.length * channels).fill(Number.POSITIVE_INFINITY),
    use: new Int32Array(split.length),
    orderStride: 1,
    channelStride: 0,
    capacity: new Int32Array(channels),
    unservedCost: Number.POSITIVE_INFINITY,
  };
  problem.capacity[slots.size] = mostParts;
  for (const [index, { candidates, units, orders }] of split.entries()) {
    problem.use[index] = Math.min(mostParts, Math.max(1, Math.round(units * orders * partsPerUnit)));
    for (const { slot, penalty } of candidates) {
      const place = slots.get(slot.id);
      if (place === undefined) continue;
      problem.cost[index * channels + place] = penalty * orders;
      problem.capacity[place] = Math.min(mostParts, (slot.sellable - slot.reserved) * partsPerUnit);
    }
    problem.cost[index * channels + slots.size] = lostPenalty * orders;
  }
  return problem;
}

/** Penalty per unit of each slot that has a price, of a solver's `prices` (by channel of the problem). */
export function slotPrices({ slotIds }: Expected, prices: Float64Array): SlotPrices {
  const bySlot = new Map<string, number>();
  for (const [index, id] of slotIds.entries()) {
    const price = prices[index]! * partsPerUnit;
    if (price > 0) bySlot.set(id, price);
  }
  return bySlot;
}

/** The last prices as a warm start for the next problem. */
export function warmStart({ slotIds }: Expected, last: SlotPrices): Float64Array {
  return Float64Array.from([...slotIds.map((id) => (last.get(id) ?? 0) / partsPerUnit), 0]);
}
