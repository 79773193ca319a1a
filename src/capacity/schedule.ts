import { Temporal } from "temporal-polyfill";
import type { FieldError } from "../platform/errors.ts";

export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Weekday = (typeof weekdays)[number];

/** Open from `open` to `close` (HH:MM, wall clock); a `close` at or before `open` is on the next day, 24:00 is midnight. */
export interface Hours {
  open: string;
  close: string;
  /** Of each slot, in units (meals). */
  capacity: number;
  /** Absent: the schedule's. */
  slotMinutes?: number;
}

/** When a channel works, week by week, and what its slots are good for. */
export interface Schedule {
  /** IANA name; hours are on its wall clock. */
  timeZone: string;
  slotMinutes: number;
  /** Hours that begin on these days. */
  weekly: readonly (Hours & { days: readonly Weekday[] })[];
  /** In place of the hours that begin on that date; none: closed. */
  exceptions: readonly { date: string; name?: string; hours: readonly Hours[] }[];
  /** No orders from so many minutes before a slot begins. Absent: until it can't be made any more. */
  cutOffMinutes?: number;
  /** From confirmation until the food can leave, by the order's units; in place of the channel's `preparationMinutes`. */
  preparation?: { baseMinutes: number; perItemMinutes: number };
  /** Sold beyond the capacity, since some orders are always cancelled: per cent of it and units, added. */
  overbooking?: { percent?: number; units?: number };
  /** Kept back in each slot. */
  safetyUnits?: number;
}

/** A slot as a schedule has it. */
export interface ScheduledSlot {
  startMs: number;
  endMs: number;
  capacity: number;
}

const dayMinutes = 1_440;

const minutesOf = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));

/** Minutes of the day from which and until which it is open; the end may lie in the next day. */
function spanOf({ open, close }: Hours): { from: number; to: number } {
  const from = minutesOf(open);
  const to = minutesOf(close);
  return { from, to: to > from ? to : to + dayMinutes };
}

/** Units that may be sold of a slot. A slot without capacity is closed: no margin opens it. */
export function sellableOf(
  capacity: number,
  { overbooking = {}, safetyUnits = 0 }: Pick<Schedule, "overbooking" | "safetyUnits">,
): number {
  if (capacity === 0) return 0;
  const { percent = 0, units = 0 } = overbooking;
  return Math.max(0, capacity + Math.floor((capacity * percent) / 100) + units - safetyUnits);
}

/**
 * The slots of the local days `from` (YYYY-MM-DD) and `days - 1` after it, by start. Slots keep to the wall clock: on the day that the clocks go
 * forward, a slot over that moment is shorter (or not there), on the day that they go back longer, and all others are at their usual times.
 */
export function slotsOf(schedule: Schedule, from: string, days: number): ScheduledSlot[] {
  const slots: ScheduledSlot[] = [];
  const first = Temporal.PlainDate.from(from);
  for (let day = 0; day < days; day += 1) {
    const date = first.add({ days: day });
    for (const hours of hoursOn(schedule, date)) slots.push(...slotsOfHours(schedule, date, hours));
  }
  return slots.sort((a, b) => a.startMs - b.startMs);
}

function slotsOfHours(schedule: Schedule, date: Temporal.PlainDate, hours: Hours): ScheduledSlot[] {
  const { from, to } = spanOf(hours);
  const step = hours.slotMinutes ?? schedule.slotMinutes;
  const at = (minute: number) => momentOf(date.toPlainDateTime().add({ minutes: minute }), schedule.timeZone);
  const slots: ScheduledSlot[] = [];
  for (let minute = from; minute < to; minute += step) {
    const slot = { startMs: at(minute), endMs: at(Math.min(minute + step, to)), capacity: hours.capacity };
    if (slot.endMs > slot.startMs) slots.push(slot);
  }
  return slots;
}

/** A time that comes twice is the first; one that is skipped is the moment at which it is: so later times are never earlier moments. */
function momentOf(time: Temporal.PlainDateTime, timeZone: string): number {
  const zoned = time.toZonedDateTime(timeZone, { disambiguation: "compatible" });
  if (zoned.toPlainDateTime().equals(time)) return zoned.epochMilliseconds;
  return zoned.add({ nanoseconds: 1 }).getTimeZoneTransition("previous")!.epochMilliseconds;
}

/** The hours that begin on a date: its exception's, or else its weekday's. */
function hoursOn(schedule: Schedule, date: Temporal.PlainDate): readonly Hours[] {
  const exception = schedule.exceptions.find((one) => one.date === date.toString());
  if (exception) return exception.hours;
  const weekday = weekdays[date.dayOfWeek - 1]!;
  return schedule.weekly.filter(({ days }) => days.includes(weekday));
}

/** The local date at this moment, YYYY-MM-DD. */
export const dateAt = (schedule: Schedule, nowMs: number): string =>
  Temporal.Instant.fromEpochMilliseconds(nowMs)
    .toZonedDateTimeISO(schedule.timeZone)
    .toPlainDate()
    .toString();

export const addDays = (date: string, days: number): string =>
  Temporal.PlainDate.from(date).add({ days }).toString();

/** What the schema of a schedule can't say: each wrong field and what to do. */
export function problemsOf(schedule: Schedule): FieldError[] {
  if (!isTimeZone(schedule.timeZone))
    return [{ pointer: "/timeZone", message: "must be an IANA time zone, such as Asia/Dubai" }];
  const wrong: FieldError[] = [];
  const lists = [
    ...schedule.weekly.map((hours, index) => [`/weekly/${index}`, hours] as const),
    ...schedule.exceptions.flatMap(({ hours: several }, index) =>
      several.map((hours, place) => [`/exceptions/${index}/hours/${place}`, hours] as const),
    ),
  ];
  for (const [pointer, hours] of lists) {
    const { from, to } = spanOf(hours);
    const step = hours.slotMinutes ?? schedule.slotMinutes;
    if (from === to - dayMinutes && hours.close !== "24:00" && hours.open === hours.close)
      wrong.push({
        pointer: `${pointer}/close`,
        message: "must differ from open; all day is 00:00 to 24:00",
      });
    else if ((to - from) % step !== 0)
      wrong.push({
        pointer,
        message: `is ${to - from} minutes long, which is no whole number of slots of ${step} minutes`,
      });
  }
  if (wrong.length > 0) return wrong;
  return [...badDates(schedule), ...overlaps(schedule)];
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    // Offsets such as +04:00 pass there; hours on one would be wrong half of the year where clocks change.
    return /^[A-Za-z]/.test(name);
  } catch {
    return false;
  }
}

function badDates({ exceptions }: Schedule): FieldError[] {
  const seen = new Set<string>();
  return exceptions.flatMap(({ date }, index) => {
    const message = !isDate(date)
      ? "must be a date of the calendar, YYYY-MM-DD"
      : seen.has(date)
        ? "is there twice"
        : undefined;
    seen.add(date);
    return message === undefined ? [] : [{ pointer: `/exceptions/${index}/date`, message }];
  });
}

function isDate(text: string): boolean {
  try {
    return Temporal.PlainDate.from(text).toString() === text;
  } catch {
    return false;
  }
}

/** Hours that begin before others have ended, on one day or over midnight. */
function overlaps(schedule: Schedule): FieldError[] {
  const wrong: FieldError[] = [];
  const collide = (today: readonly Hours[], tomorrow: readonly Hours[]) => {
    const spans = [
      ...today.map(spanOf),
      ...tomorrow.map(spanOf).map(({ from, to }) => ({ from: from + dayMinutes, to: to + dayMinutes })),
    ].sort((a, b) => a.from - b.from);
    // Among tomorrow's alone: that is for tomorrow to say.
    return spans.some((span, index) => {
      const before = spans[index - 1];
      return before !== undefined && before.from < dayMinutes && span.from < before.to;
    });
  };
  const ofDay = (index: number) => schedule.weekly.filter(({ days }) => days.includes(weekdays[index % 7]!));
  for (const [index, day] of weekdays.entries()) {
    if (collide(ofDay(index), ofDay(index + 1))) {
      wrong.push({
        pointer: "/weekly",
        message: `has hours of ${day} that overlap others of that day or the next`,
      });
    }
  }
  if (wrong.length > 0 || schedule.exceptions.some(({ date }) => !isDate(date))) return wrong;
  schedule.exceptions.forEach(({ date }, index) => {
    const day = Temporal.PlainDate.from(date);
    const on = (days: number) => hoursOn(schedule, day.add({ days }));
    if (collide(on(-1), on(0)) || collide(on(0), on(1)))
      wrong.push({
        pointer: `/exceptions/${index}`,
        message: "has hours that overlap each other or those of the day before or after",
      });
  });
  return wrong;
}
