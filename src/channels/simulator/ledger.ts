import { type Clock, toIso } from "../../platform/clock.ts";
import type { LedgerEntry } from "../api.ts";
import type { Addressee } from "../protocol.ts";
import { type Entry, hasLeft, stillHolds } from "./judge.ts";

/** Every attempt that any channel here has heard of, in the order in which it first did. */
export interface Ledger {
  find(at: Addressee, key: string): Entry | undefined;
  /** Makes the entry or changes it; resolves when it is remembered over a restart. */
  write(at: Addressee, key: string, change: Change): Promise<Entry>;
  /** What our own kitchens still have of an order: their staff hears of a cancellation by the order's id. */
  ofOrder(orderId: string): readonly Entry[];
  /** The booking under this key, at whichever member of the network it is. */
  bookedAnywhere(channelId: string, key: string): Entry | undefined;
  all(): readonly Entry[];
  /** Entries after `cursor` (a place in the ledger; 0: from the start), as the API shows them. */
  page(cursor: number, limit: number, of?: Addressee): { items: LedgerEntry[]; nextCursor: string | null };
  show(entry: Entry): LedgerEntry;
  readonly nextSeq: number;
}

type Change = Partial<Entry>;

const placeOf = (at: Addressee, key: string): string => `${at.channelId}/${at.partner ?? ""}/${key}`;

/** Bookings are kept for the process's life (about 500 bytes each): they are what the channels are held to. */
export function createLedger(
  clock: Clock,
  restored: readonly Entry[],
  remember: (entry: Entry) => Promise<void>,
): Ledger {
  const entries: Entry[] = [];
  const byPlace = new Map<string, Entry>();
  const booked = new Map<string, Entry>();
  const ownOpen = new Map<string, Set<Entry>>();

  const index = (entry: Entry) => {
    if (entry.partner && entry.state === "booked") {
      booked.set(placeOf({ channelId: entry.channelId }, entry.key), entry);
    }
    if (!entry.own) return;
    const ofOrder = ownOpen.get(entry.orderId) ?? new Set();
    if (entry.state === "booked" && !entry.over) ofOrder.add(entry);
    else ofOrder.delete(entry);
    if (ofOrder.size > 0) ownOpen.set(entry.orderId, ofOrder);
    else ownOpen.delete(entry.orderId);
  };

  const add = (entry: Entry): Entry => {
    entries.push(entry);
    byPlace.set(placeOf(entry, entry.key), entry);
    return entry;
  };

  for (const entry of restored) index(add({ ...entry, seq: entries.length + 1 }));

  const create = (at: Addressee, key: string): Entry =>
    add({
      seq: entries.length + 1,
      key,
      channelId: at.channelId,
      ...(at.partner === undefined ? {} : { partner: at.partner }),
      orderId: key.split(".")[0]!,
      state: "tombstone",
      at: "",
    });

  const show = (entry: Entry): LedgerEntry => ({
    key: entry.key,
    channelId: entry.channelId,
    ...(entry.partner === undefined ? {} : { partner: entry.partner }),
    state: entry.state === "held" && !stillHolds(entry, clock.nowMs()) ? "cancelled" : entry.state,
    ...(entry.bookingRef === undefined ? {} : { bookingRef: entry.bookingRef }),
    at: entry.at,
  });

  return {
    find: (at, key) => byPlace.get(placeOf(at, key)),
    async write(at, key, change) {
      const entry = byPlace.get(placeOf(at, key)) ?? create(at, key);
      Object.assign(entry, change, { at: toIso(clock.nowMs()) });
      index(entry);
      await remember(entry);
      return entry;
    },
    ofOrder: (orderId) => [...(ownOpen.get(orderId) ?? [])].filter((entry) => !hasLeft(entry)),
    bookedAnywhere: (channelId, key) => booked.get(placeOf({ channelId }, key)),
    all: () => entries,
    page(cursor, limit, of) {
      const items: LedgerEntry[] = [];
      let at = cursor;
      for (; at < entries.length && items.length < limit; at += 1) {
        const entry = entries[at]!;
        if (!of || (entry.channelId === of.channelId && entry.partner === of.partner))
          items.push(show(entry));
      }
      return { items, nextCursor: at < entries.length ? String(at) : null };
    },
    show,
    get nextSeq() {
      return entries.length + 1;
    },
  };
}
