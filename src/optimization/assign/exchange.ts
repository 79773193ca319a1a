import type { Near } from "./near.ts";
import type { Options } from "./options.ts";
import { type Plan, take } from "./plan.ts";

/**
 * Who could leave a channel for where: the graph that chains run on. Orders that take the same units (a *shape*) can stand in for each
 * other, so of all orders of one shape in one channel only the cheapest to move to each other channel counts, and the graph stays small:
 * nodes are (channel, shape), edges the cheapest move. A node is `channel * shapes + shape`.
 */
export interface Exchange {
  readonly plan: Plan;
  readonly shapes: number;
  readonly nodes: number;
  /** Of node n (orders of that shape in that channel) the edges `edgesOf(channel)`: from `first[shape]` to `first[shape + 1] - 1`. */
  edgesOf(channel: number): Edges;
  /** Orders of this channel that have another option near. */
  members(channel: number): readonly number[];
  /** Moves an order to this option, room or not. */
  move(order: number, option: number): void;
}

export interface Edges {
  readonly first: Int32Array;
  to: number[];
  cost: number[];
  order: number[];
  option: number[];
  /** By shape that comes, then shape that leaves, 1 where there is room for the exchange; the last column is for when nobody leaves. */
  fits: Uint8Array;
}

/** More nodes than this would make chains slower than they are worth. */
const maxNodes = 20_000;

/** Null when orders are too unlike for shapes to help. The plan is changed by `move`. */
export function createExchange(options: Options, plan: Plan, near: Near): Exchange | null {
  const { channel } = options;
  const { orders, channels, resources } = options.problem;
  const { choice, room } = plan;
  const shape = nameShapes(options, near, maxNodes / (channels + 1));
  if (shape === null) return null;
  const shapes = shape.units.length / Math.max(1, resources);
  const lists: number[][] = Array.from({ length: channels + 1 }, () => []);
  const place = new Int32Array(orders);
  const movable = (order: number) => near.start[order + 1]! - near.start[order]! > 1;
  for (let order = 0; order < orders; order += 1) {
    if (movable(order)) place[order] = lists[channel[choice[order]!]!]!.push(order) - 1;
  }
  const listEdges = edgeLister(options, plan, near, shape.of, shapes);
  const edges = lists.map(() => ({
    first: new Int32Array(shapes + 1),
    fits: new Uint8Array(shapes * (shapes + 1)),
    ...{ to: [], cost: [], order: [], option: [] },
  }));
  const fits = (k: number, coming: number, leaving: number): boolean => {
    for (let r = 0; r < resources; r += 1) {
      const freed = leaving === shapes ? 0 : shape.units[leaving * resources + r]!;
      if (shape.units[coming * resources + r]! > room[k * resources + r]! + freed) return false;
    }
    return true;
  };
  const stale = new Uint8Array(channels + 1).fill(1);
  return {
    plan,
    shapes,
    nodes: (channels + 1) * shapes,
    edgesOf(k) {
      const its = edges[k]!;
      if (stale[k] === 0) return its;
      stale[k] = 0;
      listEdges(lists[k]!, its);
      for (let coming = 0; coming < shapes; coming += 1) {
        for (let leaving = 0; leaving <= shapes; leaving += 1) {
          its.fits[coming * (shapes + 1) + leaving] = fits(k, coming, leaving) ? 1 : 0;
        }
      }
      return its;
    },
    members: (k) => lists[k]!,
    move(order, option) {
      const was = choice[order]!;
      const from = channel[was]!;
      const to = channel[option]!;
      take(options, room, was, -1);
      take(options, room, option, 1);
      choice[order] = option;
      stale[from] = 1;
      stale[to] = 1;
      if (!movable(order)) return;
      const left = lists[from]!;
      const last = left.pop()!;
      if (last !== order) {
        left[place[order]!] = last;
        place[last] = place[order]!;
      }
      place[order] = lists[to]!.push(order) - 1;
    },
  };
}

/** Numbers the distinct uses of near options; null when there are more than `most`. */
function nameShapes(
  { use, problem }: Options,
  near: Near,
  most: number,
): { of: Int32Array; units: number[] } | null {
  const { resources } = problem;
  const of = new Int32Array(use.length / Math.max(1, resources) + (resources === 0 ? near.option.length : 0));
  const units: number[] = [];
  const known = new Map<string, number>();
  for (const option of near.option) {
    const its = use.subarray(option * resources, (option + 1) * resources);
    const key = its.join();
    let name = known.get(key);
    if (name === undefined) {
      name = known.size;
      if (name >= most) return null;
      known.set(key, name);
      units.push(...its);
    }
    of[option] = name;
  }
  return { of, units };
}

/** Writes a channel's edges: for each shape in it and each node to move to, the order that does it at least cost. */
function edgeLister(
  { channel, cost, problem }: Options,
  { choice }: Plan,
  near: Near,
  shapeOf: Int32Array,
  shapes: number,
): (members: readonly number[], into: Edges) => void {
  const nodes = (problem.channels + 1) * shapes;
  const least = new Float64Array(nodes).fill(Number.POSITIVE_INFINITY);
  const by = new Int32Array(nodes);
  const alike: number[][] = Array.from({ length: shapes }, () => []);
  const touched: number[] = [];
  const note = (order: number) => {
    const was = choice[order]!;
    for (let n = near.start[order]!; n < near.start[order + 1]!; n += 1) {
      const option = near.option[n]!;
      if (option === was) continue;
      const to = channel[option]! * shapes + shapeOf[option]!;
      const more = cost[option]! - cost[was]!;
      if (more >= least[to]!) continue;
      if (least[to] === Number.POSITIVE_INFINITY) touched.push(to);
      least[to] = more;
      by[to] = n;
    }
    return order;
  };
  const owner = new Int32Array(near.option.length);
  for (let order = 0; order < choice.length; order += 1) {
    owner.fill(order, near.start[order]!, near.start[order + 1]!);
  }
  return (members, into) => {
    for (const order of members) alike[shapeOf[choice[order]!]!]!.push(order);
    into.to.length = into.cost.length = into.order.length = into.option.length = 0;
    for (let shape = 0; shape < shapes; shape += 1) {
      for (const order of alike[shape]!) note(order);
      for (const to of touched) {
        into.to.push(to);
        into.cost.push(least[to]!);
        into.order.push(owner[by[to]!]!);
        into.option.push(near.option[by[to]!]!);
        least[to] = Number.POSITIVE_INFINITY;
      }
      into.first[shape + 1] = into.to.length;
      alike[shape]!.length = touched.length = 0;
    }
  };
}
