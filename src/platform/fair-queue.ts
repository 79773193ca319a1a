/** What a batcher takes its next batch from. */
export interface Queue<T> {
  push(item: T): void;
  /** At most `count` items, in the order in which they are to be served. */
  take(count: number): T[];
  readonly size: number;
}

/** First come, first served. */
export function createFifo<T>(): Queue<T> {
  let items: T[] = [];
  return {
    push: (item) => void items.push(item),
    take(count) {
      const taken = items.slice(0, count);
      items = items.slice(taken.length);
      return taken;
    },
    get size() {
      return items.length;
    },
  };
}

export interface FairQueue<T> extends Queue<T> {
  waitingOf(party: string): number;
  /** Parties that have something waiting. */
  readonly parties: number;
}

/**
 * Shares by weight between classes and, within a class, turn by turn between parties: while several wait, a class gets its
 * share whatever the others send, and one party's flood waits behind its own. Stride scheduling: each class has a
 * pass that grows by 1/weight an item, and the least pass is served next. Everything is O(classes) an item.
 */
export function createFairQueue<T, Class extends string>(options: {
  weights: Readonly<Record<Class, number>>;
  classOf(item: T): Class;
  partyOf(item: T): string;
}): FairQueue<T> {
  const classes = (Object.keys(options.weights) as Class[]).map((name) => ({
    name,
    stride: 1 / options.weights[name],
    pass: 0,
    turns: createTurns<T>(),
  }));
  const waiting = new Map<string, number>();
  let size = 0;
  let now = 0;

  function takeOne(): T {
    let next: (typeof classes)[number] | undefined;
    for (const one of classes) {
      if (one.turns.size > 0 && (next === undefined || one.pass < next.pass)) next = one;
    }
    now = next!.pass;
    next!.pass += next!.stride;
    size -= 1;
    const item = next!.turns.next();
    const party = options.partyOf(item);
    const left = waiting.get(party)! - 1;
    if (left === 0) waiting.delete(party);
    else waiting.set(party, left);
    return item;
  }

  return {
    push(item) {
      const name = options.classOf(item);
      const one = classes.find((each) => each.name === name)!;
      // A class that had nothing waiting saves up nothing: it begins where the others are.
      if (one.turns.size === 0) one.pass = Math.max(one.pass, now);
      const party = options.partyOf(item);
      one.turns.add(party, item);
      waiting.set(party, (waiting.get(party) ?? 0) + 1);
      size += 1;
    },
    take: (count) => Array.from({ length: Math.min(count, size) }, takeOne),
    waitingOf: (party) => waiting.get(party) ?? 0,
    get parties() {
      return waiting.size;
    },
    get size() {
      return size;
    },
  };
}

/** Parties in turn, one item each. */
function createTurns<T>() {
  const items = new Map<string, T[]>();
  let turn: string[] = [];
  let head = 0;
  let size = 0;
  return {
    add(party: string, item: T) {
      size += 1;
      const own = items.get(party);
      if (own) own.push(item);
      else {
        items.set(party, [item]);
        turn.push(party);
      }
    },
    next(): T {
      const party = turn[head]!;
      head += 1;
      if (head > 1_024 && head * 2 > turn.length) {
        turn = turn.slice(head);
        head = 0;
      }
      size -= 1;
      const own = items.get(party)!;
      const item = own.shift()!;
      if (own.length === 0) items.delete(party);
      else turn.push(party);
      return item;
    },
    get size() {
      return size;
    },
  };
}
