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
  /** Best value by capacity; by `marginalLosses`. */
  best: Float64Array;
  cells: Float64Array;
  choice: Uint8Array;
  rows: Float64Array;
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
});

export function addItem(sack: Knapsack, item: number, profit: number, weight: number): void {
  const at = sack.count++;
  sack.item[at] = item;
  sack.profit[at] = profit;
  sack.weight[at] = weight;
}

/** The most profit that fits, and which items make it (`taken`). Time: items × capacity. */
export function solveKnapsack(sack: Knapsack, capacity: number): number {
  const { count, profit, weight, taken } = sack;
  let left = 0;
  let all = 0;
  for (let k = 0; k < count; k += 1) {
    left += weight[k]!;
    all += profit[k]!;
  }
  if (left <= capacity) {
    taken.fill(1, 0, count);
    return all;
  }
  const width = capacity + 1;
  if (sack.cells.length < width) sack.cells = new Float64Array(width);
  if (sack.choice.length < width * count) sack.choice = new Uint8Array(width * count);
  const { cells, choice } = sack;
  cells.fill(0, 0, width);
  for (let k = 0; k < count; k += 1) {
    const w = weight[k]!;
    const p = profit[k]!;
    left -= w;
    // What items to come can't reach down to is never asked for.
    const from = Math.max(w, capacity - left);
    const row = k * width;
    for (let c = capacity; c >= from; c -= 1) {
      const value = cells[c - w]! + p;
      if (value > cells[c]!) {
        cells[c] = value;
        choice[row + c] = 1;
      } else choice[row + c] = 0;
    }
  }
  let room = capacity;
  for (let k = count - 1; k >= 0; k -= 1) {
    taken[k] = weight[k]! <= room ? choice[k * width + room]! : 0;
    if (taken[k]) room -= weight[k]!;
  }
  return cells[capacity]!;
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
      rows[next + c] = within > without ? within : without;
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
