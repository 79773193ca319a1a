import { seeded } from "../../src/optimization/random.ts";

/** One instance, in the format of `uoop solve channels`. */
export interface ChannelsInstance {
  name: string;
  resources: readonly string[];
  unservedCost: number;
  channels: readonly { id: string; x: number; y: number; capacity: readonly number[] }[];
  orders: readonly {
    id: string;
    x: number;
    y: number;
    units: readonly number[];
    cost: readonly (number | null)[];
  }[];
}

export interface InstanceOptions {
  seed: number;
  orders?: number;
  channels?: number;
  /** Demand over capacity of the tighter resource. */
  load?: number;
  /** Adds a share of random cost to an order. */
  noise?: number;
}

const sideMeters = 30_000;
const centrePulls = { least: 6, most: 12 };
const unservedCost = 20_000;
/** The second resource is this much looser than the first. */
const looser = 0.9;
const farMeters = 5_000;

interface Place {
  x: number;
  y: number;
}

/**
 * A city with customers around population centres and channels over the same area; two resources (meals; cold storage, which a third needs);
 * cost by distance, dearer where the way is long for a tight window. The order of draws is the format's: the same seed makes
 * the same instance everywhere.
 */
export function makeInstance({
  seed,
  orders: n = 5_000,
  channels: m = 50,
  load = 0.97,
  noise = 0,
}: InstanceOptions): ChannelsInstance {
  const draw = seeded(seed);
  const between = (least: number, most: number) => least + Math.floor(draw() * (most - least + 1));
  const place = drawPlaces(draw, between);
  const channels = Array.from({ length: m }, (_, k) => ({
    id: `ch${k}`,
    ...place(),
    basePrice: between(300, 900),
    radius: 6_000 + draw() * 12_000,
    largeOnly: draw() < 0.1,
    share: 0.3 + draw() * 1.4,
    cold: 0.15 + draw() * 0.4,
  }));
  const orders = Array.from({ length: n }, (_, j) => ({
    id: `o${j}`,
    ...place(),
    units: [between(1, 4), draw() < 0.33 ? between(1, 2) : 0] as const,
    tight: draw() < 0.4,
    large: draw() < 0.08,
  }));
  const capacity = shareOut(orders, channels, load);
  const costs = orders.map((order) => {
    const dearer = 1 + noise * draw();
    return channels.map((channel) => {
      const meters = Math.hypot(order.x - channel.x, order.y - channel.y);
      if (meters > channel.radius || (channel.largeOnly && !order.large)) return null;
      const late = order.tight && meters > farMeters ? (meters - farMeters) * 0.3 : 0;
      return Math.round((channel.basePrice + meters * 0.12 + late) * dearer);
    });
  });
  return {
    name: `seed${seed}-${n}x${m}-load${load}`,
    resources: ["meals", "cold"],
    unservedCost,
    channels: channels.map(({ id, x, y }, k) => ({
      id,
      x: Math.round(x),
      y: Math.round(y),
      capacity: capacity[k]!,
    })),
    orders: orders.map(({ id, x, y, units }, j) => ({
      id,
      x: Math.round(x),
      y: Math.round(y),
      units,
      cost: costs[j]!,
    })),
  };
}

function drawPlaces(draw: () => number, between: (least: number, most: number) => number): () => Place {
  const centres = Array.from({ length: between(centrePulls.least, centrePulls.most) }, () => ({
    x: draw() * sideMeters,
    y: draw() * sideMeters,
    spread: 800 + draw() * 3_500,
    weight: 0.2 + draw(),
  }));
  const total = centres.reduce((sum, { weight }) => sum + weight, 0);
  const normal = () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
  return () => {
    let left = draw() * total;
    const found = centres.find(({ weight }) => {
      left -= weight;
      return left <= 0;
    });
    const centre = found ?? centres[0]!;
    return { x: centre.x + normal() * centre.spread, y: centre.y + normal() * centre.spread };
  };
}

/** Capacity of each channel, so that demand is `load` of it. */
function shareOut(
  orders: readonly { units: readonly [number, number] }[],
  channels: readonly { share: number; cold: number }[],
  load: number,
): readonly (readonly number[])[] {
  const demand = [0, 1].map((r) => orders.reduce((sum, { units }) => sum + units[r]!, 0));
  const shares = channels.reduce((sum, { share }) => sum + share, 0);
  const colds = channels.reduce((sum, { share, cold }) => sum + share * cold, 0);
  return channels.map(({ share, cold }) => [
    Math.round((demand[0]! / load) * (share / shares)),
    Math.round((demand[1]! / (load * looser)) * ((share * cold) / colds)),
  ]);
}
