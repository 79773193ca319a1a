import type { Item } from "./chains.ts";
import type { Changes } from "./delivery-store.ts";
import { newTally } from "./tally.ts";

/** What of one webhook is in the database and what is yet to be put there. */
export function createLedger(position: number) {
  /** Not delivered and not saved: the position must not pass them. By position, ascending. */
  const open = new Map<number, Item>();
  /** Failed, or behind one that did, since they were last saved. */
  const unsaved = new Set<Item>();
  let savedPosition = position;
  let tally = newTally();

  const passed = (readTo: number): number => {
    const [first] = open.keys();
    return first === undefined ? readTo : first - 1;
  };

  return {
    get tally() {
      return tally;
    },
    /** Everything up to here is delivered, saved, or not for it. */
    passed,
    /** An event was read. `waits`: behind one that failed. */
    read(item: Item, waits: boolean): void {
      open.set(item.position, item);
      if (waits) unsaved.add(item);
    },
    /** It has to be saved: it failed, or waits behind one that did. */
    changed(item: Item): void {
      unsaved.add(item);
    },
    /** It is delivered or given up. */
    done(item: Item): void {
      open.delete(item.position);
      unsaved.delete(item);
      if (item.saved) tally.removed.push(item.eventId);
    },
    /** What changed since the last call; null: nothing. The caller saves it, again and again until it is saved or the claim is lost. */
    collect(
      readTo: number,
      dueMsOf: (subject: string) => number,
    ): Pick<Changes, "position" | "pending" | "tally"> | null {
      const pending = [...unsaved].map(({ bytes, ...item }) => {
        return { ...item, text: bytes.toString(), dueMs: dueMsOf(item.subject) };
      });
      for (const item of unsaved) {
        item.saved = true;
        open.delete(item.position);
      }
      unsaved.clear();
      const now = passed(readTo);
      if (pending.length === 0 && now === savedPosition && tally.requests === 0) return null;
      const changes = { position: now, pending, tally };
      savedPosition = now;
      tally = newTally();
      return changes;
    },
  };
}
