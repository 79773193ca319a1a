import { centerOf, metersBetween } from "./geo.ts";
import type { DayOrder, Point } from "./mdrp.ts";

export const slotMinutes = 15;

/** Numbers in [0, 1) from a seed (mulberry32, public domain): the same seed gives the same kitchens on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const nearestIndex = (centers: readonly Point[], point: Point): number => {
  let best = 0;
  for (let index = 1; index < centers.length; index += 1) {
    if (metersBetween(centers[index]!, point) < metersBetween(centers[best]!, point)) best = index;
  }
  return best;
};

/** k-means++ (Arthur & Vassilvitskii 2007): each next centre is drawn with the squared distance to the nearest one so far. */
function spreadCenters(points: readonly Point[], count: number, random: () => number): Point[] {
  const centers = [points[Math.floor(random() * points.length)]!];
  while (centers.length < count) {
    const weights = points.map((point) => metersBetween(centers[nearestIndex(centers, point)]!, point) ** 2);
    let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
    const drawn = weights.findIndex((weight) => {
      left -= weight;
      return weight > 0 && left <= 0;
    });
    centers.push(points[drawn === -1 ? Math.floor(random() * points.length) : drawn]!);
  }
  return centers;
}

/**
 * Clusters places into `count` centres (Lloyd's k-means from k-means++ starts, seeded), by name order north-west to
 * south-east. Fewer centres when there are fewer distinct places.
 */
export function clusterPlaces(points: readonly Point[], count: number, seed: number): Point[] {
  const distinct = new Set(points.map((point) => `${point.x} ${point.y}`)).size;
  let centers = spreadCenters(points, Math.min(count, distinct), seededRandom(seed));
  const maxRounds = 200; // settles in 10 to 30 on the published days
  for (let round = 0; round < maxRounds; round += 1) {
    const members: Point[][] = centers.map(() => []);
    for (const point of points) members[nearestIndex(centers, point)]!.push(point);
    const moved = centers.map((center, index) =>
      members[index]!.length > 0 ? centerOf(members[index]!) : center,
    );
    const settled = moved.every((center, index) => metersBetween(center, centers[index]!) < 1e-6);
    centers = moved;
    if (settled) break;
  }
  return centers.sort((one, other) => one.x - other.x || one.y - other.y);
}

/** Orders of the quarter hour that has most of them. */
export function peakOrders(orders: readonly DayOrder[]): number {
  const perSlot = new Map<number, number>();
  for (const order of orders) {
    const slot = Math.floor(order.placedAt / slotMinutes);
    perSlot.set(slot, (perSlot.get(slot) ?? 0) + 1);
  }
  return Math.max(0, ...perSlot.values());
}

/** Meals a kitchen can make in a quarter hour: 1.25 × its share of the day's peak. Together a quarter more than is ever asked. */
export const kitchenCapacity = (orders: readonly DayOrder[], kitchens: number): number =>
  Math.ceil((1.25 * peakOrders(orders)) / kitchens);
