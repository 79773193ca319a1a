import { type Schedule, type ScheduledSlot, sellableOf } from "./schedule.ts";

/** A slot that is there. */
export interface PresentSlot extends ScheduledSlot {
  id: string;
  reserved: number;
  /** Made from the schedule; the others were set by hand, and win. */
  scheduled: boolean;
}

/** What becomes of a channel's slots; pure data. */
export interface SlotPlan {
  /** Made or set. An `id` names one that is there. */
  writes: readonly (ScheduledSlot & { id: string | null; sellable: number; scheduled: boolean })[];
  /** Nothing is reserved there and the schedule has them no more: nobody sees them again. */
  retired: readonly string[];
  /** More is reserved there than may be sold by the schedule: what is reserved stays, nothing more is sold. */
  kept: readonly { id: string; startMs: number; endMs: number; reserved: number; sellable: number }[];
}

/**
 * Brings the slots that are there to what the schedule has. Slots set by hand stay, and no scheduled one is made that overlaps them; slots
 * with reservations stay until those are gone, whatever the schedule says (I2). `present` and `wanted`: all that end after now.
 */
export function planSlots(
  schedule: Schedule,
  wanted: readonly ScheduledSlot[],
  present: readonly PresentSlot[],
): SlotPlan {
  const byTime = new Map(wanted.map((slot) => [`${slot.startMs}/${slot.endMs}`, slot]));
  const writes: SlotPlan["writes"][number][] = [];
  const retired: string[] = [];
  const kept: SlotPlan["kept"][number][] = [];
  const standing: PresentSlot[] = [];
  for (const slot of present) {
    const scheduled = byTime.get(`${slot.startMs}/${slot.endMs}`);
    if (slot.scheduled && !scheduled && slot.reserved === 0) {
      retired.push(slot.id);
      continue;
    }
    standing.push(slot);
    const capacity = slot.scheduled ? (scheduled?.capacity ?? 0) : slot.capacity;
    const sellable = sellableOf(capacity, schedule);
    writes.push({ ...slot, capacity, sellable });
    if (slot.reserved > sellable) kept.push({ ...slot, sellable });
  }
  for (const slot of withoutOverlaps(wanted, standing))
    writes.push({ ...slot, id: null, sellable: sellableOf(slot.capacity, schedule), scheduled: true });
  return { writes, retired, kept };
}

/** Wanted slots that overlap none that stands. Both are by start, and neither overlaps itself. */
function withoutOverlaps(
  wanted: readonly ScheduledSlot[],
  standing: readonly ScheduledSlot[],
): ScheduledSlot[] {
  const sorted = standing.toSorted((a, b) => a.startMs - b.startMs);
  let at = 0;
  return wanted.filter((slot) => {
    while (at < sorted.length && sorted[at]!.endMs <= slot.startMs) at += 1;
    return at >= sorted.length || sorted[at]!.startMs >= slot.endMs;
  });
}
