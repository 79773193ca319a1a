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

export interface FairQueue<T, Class extends string> extends Queue<T> {
  /** Items that are served before the next one of this class and party would be, at most. */
  ahead(name: Class, party: string): number;
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
}): FairQueue<T, Class> {
  const classes = (Object.keys(options.weights) as Class[]).map((name) => ({
    name,
    weight: options.weights[name],
    stride: 1 / options.weights[name],
    pass: 0,
    turns: createTurns<T>(),
  }));
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
    return next!.turns.next();
  }

  return {
    push(item) {
      const name = options.classOf(item);
      const one = classes.find((each) => each.name === name)!;
      // A class that had nothing waiting saves up nothing: it begins where the others are.
      if (one.turns.size === 0) one.pass = Math.max(one.pass, now);
      one.turns.add(options.partyOf(item), item);
      size += 1;
    },
    take: (count) => Array.from({ length: Math.min(count, size) }, takeOne),
    ahead(name, party) {
      const own = classes.find((each) => each.name === name)!;
      const turns = (own.turns.waitingOf(party) + 1) * Math.max(1, own.turns.parties);
      const before = Math.min(own.turns.size, turns);
      let sum = before;
      for (const other of classes) {
        if (other !== own) sum += Math.min(other.turns.size, ((before + 1) * other.weight) / own.weight);
      }
      return sum;
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
    waitingOf: (party: string) => items.get(party)?.length ?? 0,
    get parties() {
      return items.size;
    },
    get size() {
      return size;
    },
  };
}
