/**
 * The 0/1 knapsack by dynamic programming over capacity (Bellman; Kellerer, Pferschy, Pisinger, "Knapsack Problems", 2004,
 * ch. 2). Profits are real and above 0, weights and capacity whole.
 */
export interface Knapsack {
  /** Items that are in it now. */
  count: number;
  /** What the caller calls the item. */
  item: Int32Array;
  profit: Float64Array;
  weight: Int32Array;
  /** Of the last solution. */
  taken: Uint8Array;
  /** What the value loses when an item that is taken must stay out, or one that is not must come in. By `marginalLosses`. */
  loss: Float64Array;
  /** Best value by capacity. By `marginalLosses`. */
  best: Float64Array;
  // What follows is room to work in, kept so that nothing is allocated per solution.
  cells: Float64Array;
  choice: Uint8Array;
  rows: Float64Array;
  order: Int32Array;
  greedy: Uint8Array;
  reduced: Float64Array;
  sorted: Float64Array;
}

export const createKnapsack = (items: number): Knapsack => ({
  count: 0,
  item: new Int32Array(items),
  profit: new Float64Array(items),
  weight: new Int32Array(items),
  taken: new Uint8Array(items),
  loss: new Float64Array(items),
  best: new Float64Array(0),
  cells: new Float64Array(0),
  choice: new Uint8Array(0),
  rows: new Float64Array(0),
  order: new Int32Array(items),
  greedy: new Uint8Array(items),
  reduced: new Float64Array(items),
  sorted: new Float64Array(items),
});

export function addItem(sack: Knapsack, item: number, profit: number, weight: number): void {
  const at = sack.count++;
  sack.item[at] = item;
  sack.profit[at] = profit;
  sack.weight[at] = weight;
}

/**
 * The most profit that fits, and which items make it (`taken`). Most items are decided by a bound; what is left, the core, by dynamic
 * programming over the capacity that is left. (Tables over all items took three times as long on instances of class D.)
 */
export function solveKnapsack(sack: Knapsack, capacity: number): number {
  const { count, profit, weight, taken } = sack;
  let allWeight = 0;
  let allProfit = 0;
  for (let k = 0; k < count; k += 1) {
    allWeight += weight[k]!;
    allProfit += profit[k]!;
  }
  if (allWeight <= capacity) {
    taken.fill(1, 0, count);
    return allProfit;
  }
  const { bound, core } = smallCore(sack, capacity);
  const value = solveCore(sack, core, capacity);
  // Turning a greedy decision round costs its `reduced` of the bound; where that is more than what parts it from the value known,
  // the decision is right (Dembo and Hammer 1980).
  const slack = bound - value + 1e-9 * (1 + Math.abs(value));
  const rest = coreWithin(sack, slack, core);
  return rest === core ? value : solveCore(sack, rest, capacity);
}

/** Items that the quick solution decides anew: those whose greedy decision is least sure. */
const smallCoreItems = 12;

/**
 * The greedy filling by efficiency (`greedy`), the linear bound, and what it costs the bound to turn each decision round (`reduced`: with the
 * capacity priced at the efficiency of the item that breaks the filling). Puts the least sure items at the front of `order`.
 */
function smallCore(sack: Knapsack, capacity: number): { bound: number; core: number } {
  const { count, profit, weight, order, greedy, reduced, sorted } = sack;
  const first = breakItem(sack, capacity);
  const broken = order[first]!;
  const efficiency = profit[broken]! / weight[broken]!;
  let bound = capacity * efficiency;
  for (let at = 0; at < count; at += 1) {
    const k = order[at]!;
    const over = profit[k]! - efficiency * weight[k]!;
    greedy[k] = at < first ? 1 : 0;
    if (over > 0) bound += over;
    reduced[k] = Math.abs(over);
  }
  if (count <= smallCoreItems) return { bound, core: coreWithin(sack, Number.POSITIVE_INFINITY, 0) };
  sorted.set(reduced.subarray(0, count));
  const threshold = sorted.subarray(0, count).sort()[smallCoreItems - 1]!;
  return { bound, core: coreWithin(sack, threshold, 0) };
}

/** Puts the items whose greedy decision costs at most so much at the front of `order`; returns how many, `known` when no more than before. */
function coreWithin({ count, order, reduced }: Knapsack, most: number, known: number): number {
  let core = 0;
  for (let at = 0; at < count; at += 1) if (reduced[at]! <= most) core += 1;
  if (core <= known) return known;
  core = 0;
  for (let k = 0; k < count; k += 1) if (reduced[k]! <= most) order[core++] = k;
  return core;
}

/** The best with all items but `order[0..core)` as the greedy filling has them: dynamic programming over these. */
function solveCore(sack: Knapsack, core: number, all: number): number {
  const { count, profit, weight, taken, order, greedy } = sack;
  let capacity = all;
  let value = 0;
  taken.set(greedy.subarray(0, count));
  for (let at = 0; at < core; at += 1) taken[order[at]!] = 0;
  for (let k = 0; k < count; k += 1) {
    if (!taken[k]) continue;
    capacity -= weight[k]!;
    value += profit[k]!;
  }
  const width = capacity + 1;
  if (sack.cells.length < width) sack.cells = new Float64Array(2 * width);
  if (sack.choice.length < width * core) sack.choice = new Uint8Array(2 * width * core);
  const { cells, choice } = sack;
  cells.fill(0, 0, width);
  let left = 0;
  for (let at = 0; at < core; at += 1) left += weight[order[at]!]!;
  for (let at = 0; at < core; at += 1) {
    const w = weight[order[at]!]!;
    const p = profit[order[at]!]!;
    left -= w;
    // What the items to come can't reach down to is never asked for.
    const least = Math.max(w, capacity - left);
    const row = at * width;
    for (let c = capacity; c >= least; c -= 1) {
      const within = cells[c - w]! + p;
      const better = within > cells[c]!;
      if (better) cells[c] = within;
      choice[row + c] = better ? 1 : 0;
    }
  }
  let room = capacity;
  for (let at = core - 1; at >= 0; at -= 1) {
    const k = order[at]!;
    taken[k] = weight[k]! <= room ? choice[at * width + room]! : 0;
    if (taken[k]) room -= weight[k]!;
  }
  return value + cells[capacity]!;
}

/**
 * Parts `order` so that the items before the one returned are the most efficient and fit together, and with it they don't. Linear time on
 * average (Balas and Zemel 1980). Items must not fit all together.
 */
function breakItem({ count, profit, weight, order }: Knapsack, capacity: number): number {
  for (let k = 0; k < count; k += 1) order[k] = k;
  let [low, high, room] = [0, count, capacity];
  while (high - low > 1) {
    const pivot = order[(low + high) >> 1]!;
    const [p, w] = [profit[pivot]!, weight[pivot]!];
    order[(low + high) >> 1] = order[low]!;
    order[low] = pivot;
    let middle = low;
    let sum = 0;
    for (let at = low + 1; at < high; at += 1) {
      const k = order[at]!;
      if (profit[k]! * w <= p * weight[k]!) continue;
      sum += weight[k]!;
      middle += 1;
      order[at] = order[middle]!;
      order[middle] = k;
    }
    // The pivot goes behind those that are more efficient.
    order[low] = order[middle]!;
    order[middle] = pivot;
    if (sum > room) high = middle;
    else if (sum + w > room) return middle;
    else {
      room -= sum + w;
      low = middle + 1;
    }
  }
  return low;
}

/**
 * After `solveKnapsack`: for each item, what the best value loses when its choice is turned round (`loss`; Infinity when it can't
 * be), and the best value by capacity (`best`). By tables of the items before and after each one. Time: about four times the solution's.
 */
export function marginalLosses(sack: Knapsack, capacity: number, value: number): void {
  const { count, profit, weight, taken, loss } = sack;
  const width = capacity + 1;
  if (sack.rows.length < width * (count + 1)) sack.rows = new Float64Array(width * (count + 1));
  if (sack.cells.length < width) sack.cells = new Float64Array(width);
  const { rows, cells: after } = sack;
  rows.fill(0, 0, width);
  for (let k = 0; k < count; k += 1) {
    const w = Math.min(weight[k]!, width);
    const p = profit[k]!;
    const row = k * width;
    const next = row + width;
    for (let c = 0; c < w; c += 1) rows[next + c] = rows[row + c]!;
    for (let c = w; c < width; c += 1) {
      const without = rows[row + c]!;
      const within = rows[row + c - w]! + p;
      rows[next + c] = Math.max(within, without);
    }
  }
  sack.best = rows.subarray(count * width, (count + 1) * width);
  after.fill(0, 0, width);
  for (let k = count - 1; k >= 0; k -= 1) {
    const w = weight[k]!;
    const p = profit[k]!;
    const room = taken[k] ? capacity : capacity - w;
    let most = Number.NEGATIVE_INFINITY;
    for (let c = 0, row = k * width; c <= room; c += 1) {
      const sum = rows[row + c]! + after[room - c]!;
      if (sum > most) most = sum;
    }
    loss[k] = value - (taken[k] ? most : most + p);
    for (let c = capacity; c >= w; c -= 1) {
      const within = after[c - w]! + p;
      if (within > after[c]!) after[c] = within;
    }
  }
}
