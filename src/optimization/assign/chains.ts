import type { Exchange } from "./exchange.ts";

/** Orders that move in one chain. With 8 instead of 5, a third of what is left above the bound goes. */
const maxMoves = 8;
const worthIt = 1e-6;

/**
 * Finds chains of moves that lower the cost: an order leaves channel a for b, where another makes room for it and goes to c, and so on,
 * until one comes where there is room, or back to a. (Cyclic exchanges and paths: Thompson & Psaraftis 1993; multi-exchange
 * neighbourhoods: Ahuja, Ergun, Orlin & Punnen 2002.) The best is found by dynamic programming over the number of moves: `cost[h][node]` is the least cost of
 * h moves of which the last brings an order of the node's shape to its channel. Chains that pass a channel twice are left out, since the second order
 * would count on room that the first has changed.
 */
export function createChains(exchange: Exchange): { improveFrom(channel: number): Improvement | null } {
  const { nodes, shapes } = exchange;
  const layers = Array.from({ length: maxMoves + 1 }, () => ({
    cost: new Float64Array(nodes),
    order: new Int32Array(nodes),
    option: new Int32Array(nodes),
    /** Node that the layer before ended in; in layer 1 the node that the first order leaves. */
    before: new Int32Array(nodes),
  }));
  const leaving = new Float64Array(nodes).fill(Number.POSITIVE_INFINITY);
  const leavingAfter = new Int32Array(nodes);
  const channelOf = (node: number) => Math.trunc(node / shapes);
  const best = { cost: 0, moves: 0, node: 0 };

  const passed = (channel: number, moves: number, node: number): boolean => {
    for (let h = moves, at = node; h >= 1; h -= 1) {
      if (channelOf(at) === channel) return true;
      at = layers[h]!.before[at]!;
    }
    return false;
  };
  const firstNode = (moves: number, node: number): number => {
    let at = node;
    for (let h = moves; h >= 1; h -= 1) at = layers[h]!.before[at]!;
    return at;
  };

  /** All moves out of `from`, as the `h`-th of a chain that has cost `sofar` and ended in `before`. Fills `next` with what it reaches. */
  const extend = (start: number, from: number, h: number, before: number, sofar: number, next: number[]) => {
    const layer = layers[h]!;
    const edges = exchange.edgesOf(channelOf(from));
    const shape = from % shapes;
    const startShape = (h === 1 ? from : firstNode(h - 1, before)) % shapes;
    for (let e = edges.first[shape]!; e < edges.first[shape + 1]!; e += 1) {
      const to = edges.to[e]!;
      const cost = sofar + edges.cost[e]!;
      if (cost >= layer.cost[to]!) continue;
      const channel = channelOf(to);
      if (h > 1 && passed(channel, h - 1, before)) continue;
      const home = channel === start;
      const ends =
        cost < best.cost - worthIt &&
        exchange.edgesOf(channel).fits[(to % shapes) * (shapes + 1) + (home ? startShape : shapes)] === 1;
      if (home && !ends) continue;
      if (layer.cost[to] === Number.POSITIVE_INFINITY && !home) next.push(to);
      layer.cost[to] = cost;
      layer.order[to] = edges.order[e]!;
      layer.option[to] = edges.option[e]!;
      layer.before[to] = before;
      if (ends) Object.assign(best, { cost, moves: h, node: to });
    }
  };

  /** Which nodes an order can leave once one has come, at least cost. */
  const makeRoom = (reached: readonly number[], h: number): readonly number[] => {
    const { cost } = layers[h]!;
    const left: number[] = [];
    for (const node of reached) {
      const channel = channelOf(node);
      const { first, fits } = exchange.edgesOf(channel);
      const row = (node % shapes) * (shapes + 1);
      for (let shape = 0; shape < shapes; shape += 1) {
        const from = channel * shapes + shape;
        if (first[shape] === first[shape + 1] || cost[node]! >= leaving[from]!) continue;
        if (fits[row + shape] === 0) continue;
        if (leaving[from] === Number.POSITIVE_INFINITY) left.push(from);
        leaving[from] = cost[node]!;
        leavingAfter[from] = node;
      }
    }
    return left;
  };

  const apply = (): readonly number[] => {
    const touched: number[] = [];
    for (let h = best.moves, node = best.node; h >= 1; h -= 1) {
      const { order, option, before } = layers[h]!;
      touched.push(channelOf(node));
      exchange.move(order[node]!, option[node]!);
      node = before[node]!;
      if (h === 1) touched.push(channelOf(node));
    }
    return touched;
  };

  return {
    improveFrom(start) {
      Object.assign(best, { cost: 0, moves: 0 });
      let reached: number[] = [];
      layers[1]!.cost.fill(Number.POSITIVE_INFINITY);
      for (let shape = 0; shape < shapes; shape += 1) {
        const from = start * shapes + shape;
        extend(start, from, 1, from, 0, reached);
      }
      for (let h = 2; h <= maxMoves && reached.length > 0; h += 1) {
        layers[h]!.cost.fill(Number.POSITIVE_INFINITY);
        const next: number[] = [];
        for (const from of makeRoom(reached, h - 1)) {
          extend(start, from, h, leavingAfter[from]!, leaving[from]!, next);
          leaving[from] = Number.POSITIVE_INFINITY;
        }
        reached = next;
      }
      if (best.moves === 0) return null;
      const { cost } = best;
      return { cost, channels: apply() };
    },
  };
}

/** A chain that was applied. */
export interface Improvement {
  /** Below 0. */
  cost: number;
  /** Those that it ran through. */
  channels: readonly number[];
}
