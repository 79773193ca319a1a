import { type Static, Type } from "typebox";
import type { KeptSlot, ScheduleView, WhenReserved } from "../capacity/api.ts";
import { type Weekday, weekdays } from "../capacity/schedule.ts";
import { component, instant, line, oneOf, strict } from "./schemas.ts";

export const hourPattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$";
export const closePattern = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$";
export const datePattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$";
const time = (pattern: string, description: string) => Type.String({ pattern, description });
const slotMinutes = Type.Integer({ minimum: 15, maximum: 1_440, description: "how long a slot is" });
const units = (description: string) => Type.Integer({ minimum: 0, maximum: 1_000_000, description });

const hours = {
  open: time(hourPattern, "HH:MM on the wall clock of timeZone"),
  close: time(closePattern, "HH:MM; at or before `open`: on the next day; 24:00 is midnight"),
  capacity: units("meals in each slot"),
  slotMinutes: Type.Optional({ ...slotMinutes, description: "of these hours; absent: the schedule's" }),
};

const scheduleShape = strict({
  timeZone: line(64, { description: "IANA name, such as Asia/Dubai" }),
  slotMinutes,
  weekly: Type.Array(
    strict({
      days: Type.Array(oneOf<Weekday>(weekdays), { minItems: 1, uniqueItems: true }),
      ...hours,
    }),
    { maxItems: 100, description: "hours that begin on these days; empty: closed but for exceptions" },
  ),
  exceptions: Type.Array(
    strict({
      date: time(datePattern, "local date"),
      name: Type.Optional(line(100)),
      hours: Type.Array(strict(hours), {
        maxItems: 20,
        description: "in place of the week's; empty: closed",
      }),
    }),
    { maxItems: 400, description: "holidays and special hours" },
  ),
  cutOffMinutes: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 43_200,
      description: "no orders from so long before a slot begins; absent: until it can't be made any more",
    }),
  ),
  preparation: Type.Optional(
    strict(
      {
        baseMinutes: Type.Integer({ minimum: 0, maximum: 1_440 }),
        perItemMinutes: Type.Number({ minimum: 0, maximum: 60 }),
      },
      { description: "confirmation until it can leave, by meals; in place of preparationMinutes" },
    ),
  ),
  overbooking: Type.Optional(
    strict(
      {
        percent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
        units: Type.Optional(units("meals")),
      },
      { description: "sold beyond the capacity of each slot" },
    ),
  ),
  safetyUnits: Type.Optional(units("meals kept back in each slot")),
});
export const scheduleBody = component<Static<typeof scheduleShape>>("Schedule", scheduleShape);

export const keptSlot = component<KeptSlot>(
  "KeptSlot",
  Type.Object(
    {
      id: Type.String(),
      start: instant("RFC 3339 UTC"),
      end: instant("RFC 3339 UTC"),
      reserved: Type.Integer(),
      sellable: Type.Integer(),
    },
    { description: "More is reserved there than may be sold: that stays, and nothing more is sold" },
  ),
);

export const scheduleView = component<ScheduleView & { kept?: readonly KeptSlot[] }>(
  "ScheduleView",
  Type.Object({
    ...scheduleShape.properties,
    version: Type.Integer({ description: "grows with every change; the ETag" }),
    updatedAt: instant("RFC 3339 UTC"),
    madeUntil: Type.String({ description: "the last local date that has its slots" }),
    kept: Type.Optional(
      Type.Array(keptSlot.ref, {
        description: "slots that this change left as they are for what is reserved",
      }),
    ),
  }),
);

export const scheduleQuery = strict({
  whenReserved: oneOf<WhenReserved>(["refuse", "keep"], {
    default: "refuse",
    description:
      "where more is reserved than the schedule has: refuse the change, or keep what is reserved and sell nothing more there",
  }),
});
