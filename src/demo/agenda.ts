/** Things to do at minutes of the day, taken in order of time; of the same minute, in the order in which they were added. */
export interface Agenda<T> {
  add(minute: number, item: T): void;
  /** Everything due by this minute. */
  takeDue(minute: number): T[];
}

export function createAgenda<T>(): Agenda<T> {
  // Latest first, so that what is due comes off the end.
  const entries: { minute: number; item: T }[] = [];
  return {
    add(minute, item) {
      let low = 0;
      let high = entries.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (entries[middle]!.minute > minute) low = middle + 1;
        else high = middle;
      }
      entries.splice(low, 0, { minute, item });
    },
    takeDue(minute) {
      const due: T[] = [];
      while (entries.length > 0 && entries.at(-1)!.minute <= minute) due.push(entries.pop()!.item);
      return due;
    },
  };
}
