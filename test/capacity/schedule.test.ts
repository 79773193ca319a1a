import assert from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { dateAt, problemsOf, type Schedule, sellableOf, slotsOf } from "../../src/capacity/schedule.ts";
import { planSlots } from "../../src/capacity/slot-plan.ts";

const everyDay = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const scheduleOf = (fields: Partial<Schedule>): Schedule => ({
  timeZone: "Asia/Dubai",
  slotMinutes: 60,
  weekly: [{ days: everyDay, open: "10:00", close: "12:00", capacity: 5 }],
  exceptions: [],
  ...fields,
});

/** `start/end capacity`, UTC to the minute. */
const shown = (schedule: Schedule, from: string, days = 1) =>
  slotsOf(schedule, from, days).map(
    ({ startMs, endMs, capacity }) =>
      `${new Date(startMs).toISOString().slice(0, 16)}/${new Date(endMs).toISOString().slice(11, 16)} ${capacity}`,
  );

test("slots are at the wall clock's hours of the channel's time zone", () => {
  assert.deepStrictEqual(shown(scheduleOf({}), "2026-11-24"), [
    "2026-11-24T06:00/07:00 5",
    "2026-11-24T07:00/08:00 5",
  ]);
});

test("each weekday has its hours, and each window its capacity and slot length", () => {
  const schedule = scheduleOf({
    weekly: [
      { days: ["tue"], open: "10:00", close: "11:00", capacity: 1 },
      { days: ["wed"], open: "10:00", close: "11:00", capacity: 2, slotMinutes: 30 },
    ],
  });
  // 2026-11-24 is a Tuesday.
  assert.deepStrictEqual(shown(schedule, "2026-11-23", 3), [
    "2026-11-24T06:00/07:00 1",
    "2026-11-25T06:00/06:30 2",
    "2026-11-25T06:30/07:00 2",
  ]);
});

test("a holiday is closed, and a special day has its own hours", () => {
  const schedule = scheduleOf({
    exceptions: [
      { date: "2026-12-02", name: "National Day", hours: [] },
      { date: "2026-12-03", hours: [{ open: "20:00", close: "21:00", capacity: 9 }] },
    ],
  });
  assert.deepStrictEqual(shown(schedule, "2026-12-02", 2), ["2026-12-03T16:00/17:00 9"]);
});

test("hours that cross midnight belong to the day on which they begin", () => {
  const night = scheduleOf({
    weekly: [{ days: ["fri"], open: "22:00", close: "02:00", capacity: 3 }],
    slotMinutes: 120,
  });
  assert.deepStrictEqual(shown(night, "2026-11-27", 2), [
    "2026-11-27T18:00/20:00 3",
    "2026-11-27T20:00/22:00 3",
  ]);
  assert.deepStrictEqual(shown(night, "2026-11-28"), []);
  const wholeDay = scheduleOf({
    weekly: [{ days: ["fri"], open: "00:00", close: "24:00", capacity: 3 }],
    slotMinutes: 720,
  });
  assert.strictEqual(shown(wholeDay, "2026-11-27").length, 2);
});

// Europe/Berlin 2026: from 02:00 to 03:00 on March 29 (01:00 UTC), back from 03:00 to 02:00 on October 25 (01:00 UTC).
test("when the clocks go forward the hour that is not there has no slot, and all others are at their times", () => {
  const schedule = scheduleOf({
    timeZone: "Europe/Berlin",
    weekly: [{ days: ["sun"], open: "01:00", close: "04:00", capacity: 1 }],
  });
  assert.deepStrictEqual(shown(schedule, "2026-03-29"), [
    "2026-03-29T00:00/01:00 1",
    "2026-03-29T01:00/02:00 1",
  ]);
  assert.deepStrictEqual(shown({ ...schedule, slotMinutes: 30 }, "2026-03-29"), [
    "2026-03-29T00:00/00:30 1",
    "2026-03-29T00:30/01:00 1",
    "2026-03-29T01:00/01:30 1",
    "2026-03-29T01:30/02:00 1",
  ]);
});

test("when the clocks go back the slot over that moment is an hour longer, and all others are at their times", () => {
  const schedule = scheduleOf({
    timeZone: "Europe/Berlin",
    weekly: [{ days: ["sun"], open: "01:00", close: "04:00", capacity: 1 }],
  });
  assert.deepStrictEqual(shown(schedule, "2026-10-25"), [
    "2026-10-24T23:00/00:00 1",
    "2026-10-25T00:00/02:00 1",
    "2026-10-25T02:00/03:00 1",
  ]);
});

test("the local date is the time zone's, not UTC's", () => {
  const schedule = scheduleOf({ timeZone: "Pacific/Auckland" });
  assert.strictEqual(dateAt(schedule, Date.parse("2026-11-24T12:00:00Z")), "2026-11-25");
});

test("what may be sold is the capacity with its margin and without its safety stock, never below none", () => {
  assert.strictEqual(sellableOf(100, {}), 100);
  assert.strictEqual(sellableOf(15, { overbooking: { percent: 10 } }), 16);
  assert.strictEqual(sellableOf(100, { overbooking: { percent: 10, units: 3 }, safetyUnits: 5 }), 108);
  assert.strictEqual(sellableOf(3, { safetyUnits: 5 }), 0);
  assert.strictEqual(sellableOf(0, { overbooking: { units: 3 } }), 0);
});

test("what is wrong with a schedule is said by field", () => {
  const wrong = (fields: Partial<Schedule>) =>
    problemsOf(scheduleOf(fields)).map(({ pointer, message }) => `${pointer} ${message}`);
  assert.deepStrictEqual(wrong({}), []);
  for (const timeZone of ["Asia/Nowhere", "+04:00", ""])
    assert.deepStrictEqual(wrong({ timeZone }), ["/timeZone must be an IANA time zone, such as Asia/Dubai"]);
  const hours = { days: ["mon"], open: "10:00", close: "12:00", capacity: 1 } as const;
  assert.match(wrong({ slotMinutes: 50 })[0]!, /^\/weekly\/0 is 120 minutes long/);
  assert.match(wrong({ weekly: [{ ...hours, close: "10:00" }] })[0]!, /^\/weekly\/0\/close must differ/);
  assert.match(wrong({ weekly: [hours, { ...hours, open: "11:00" }] })[0]!, /^\/weekly has hours of mon/);
  const night = { days: ["sun"], open: "22:00", close: "11:00", capacity: 1 } as const;
  assert.match(wrong({ weekly: [hours, night] })[0]!, /^\/weekly has hours of sun/);
  assert.match(wrong({ exceptions: [{ date: "2026-02-30", hours: [] }] })[0]!, /^\/exceptions\/0\/date must/);
  const twice = { date: "2026-02-03", hours: [] };
  assert.match(wrong({ exceptions: [twice, twice] })[0]!, /^\/exceptions\/1\/date is there twice/);
  const late = { date: "2026-02-03", hours: [{ open: "20:00", close: "12:00", capacity: 1 }] };
  assert.match(wrong({ exceptions: [late] })[0]!, /^\/exceptions\/0 has hours that overlap/);
});

test("slots of any good schedule are in order, never overlap and last longer than nothing (property)", () => {
  const zones = ["Asia/Dubai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"];
  const hours = fc.record({
    open: fc.integer({ min: 0, max: 95 }).map((quarter) => clock(quarter * 15)),
    close: fc.integer({ min: 0, max: 96 }).map((quarter) => clock(quarter * 15)),
    capacity: fc.integer({ min: 0, max: 9 }),
    days: fc.subarray([...everyDay], { minLength: 1 }),
  });
  const schedules = fc.record({
    timeZone: fc.constantFrom(...zones),
    slotMinutes: fc.constantFrom(15, 30, 60),
    weekly: fc.array(hours, { maxLength: 3 }),
    exceptions: fc.constant([]),
  });
  fc.assert(
    fc.property(
      schedules,
      fc.constantFrom("2026-03-06", "2026-03-27", "2026-10-23", "2026-10-30", "2026-04-03", "2026-04-23"),
      (schedule, from) => {
        fc.pre(problemsOf(schedule).length === 0);
        const slots = slotsOf(schedule, from, 4);
        for (const [index, slot] of slots.entries()) {
          assert.ok(slot.endMs > slot.startMs);
          assert.ok(index === 0 || slots[index - 1]!.endMs <= slot.startMs, JSON.stringify(slots));
        }
      },
    ),
    { numRuns: 300 },
  );
});

const clock = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;

test("a plan keeps what is reserved, leaves what was set by hand, and makes nothing that overlaps (property)", () => {
  const slotsFrom = (cuts: readonly number[]) =>
    cuts
      .toSorted((a, b) => a - b)
      .filter((cut, index, all) => index === 0 || cut !== all[index - 1])
      .flatMap((cut, index, all) =>
        index + 1 < all.length && index % 2 === 0
          ? [{ startMs: cut, endMs: all[index + 1]!, capacity: (cut * 7) % 5 }]
          : [],
      );
  const cuts = fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 14 });
  fc.assert(
    fc.property(cuts, cuts, fc.infiniteStream(fc.integer({ min: 0, max: 5 })), (there, wish, draws) => {
      const draw = () => draws.next().value as number;
      const present = slotsFrom(there).map((slot, index) => ({
        ...slot,
        id: `slt_${index}`,
        reserved: Math.max(0, draw() - 2),
        scheduled: draw() > 1,
      }));
      const wanted = slotsFrom(wish);
      const plan = planSlots(scheduleOf({ safetyUnits: 1 }), wanted, present);
      const after = plan.writes.toSorted((a, b) => a.startMs - b.startMs);
      for (const [index, slot] of after.entries())
        assert.ok(index === 0 || after[index - 1]!.endMs <= slot.startMs, "they overlap");
      for (const slot of present) {
        const written = plan.writes.find(({ id }) => id === slot.id);
        assert.strictEqual(plan.retired.includes(slot.id), written === undefined);
        if (slot.reserved > 0) assert.ok(written, "a slot with reservations is gone");
        if (!slot.scheduled) assert.strictEqual(written?.capacity, slot.capacity);
        const kept = plan.kept.some(({ id }) => id === slot.id);
        assert.strictEqual(kept, slot.reserved > (written?.sellable ?? 0));
      }
      for (const slot of wanted) {
        const covered = after.some(({ startMs, endMs }) => startMs < slot.endMs && endMs > slot.startMs);
        assert.ok(covered, "a wanted slot is missing where nothing stands");
      }
    }),
    { numRuns: 500 },
  );
});
