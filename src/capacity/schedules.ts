import { isDeepStrictEqual } from "node:util";
import type { Executor } from "../platform/database.ts";
import { UoopError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { repeatEvery } from "../platform/repeat.ts";
import type { Service } from "../platform/service.ts";
import type { CapacityApi, Channel, KeptSlot, ScheduleView } from "./api.ts";
import { addDays, dateAt, problemsOf, type Schedule, slotsOf } from "./schedule.ts";
import { readSchedule, readShort, writeSchedule } from "./schedule-store.ts";
import { planSlots, type SlotPlan } from "./slot-plan.ts";
import * as store from "./store.ts";
import {
  type By,
  type ChangeDependencies,
  lockChannel,
  nextVersion,
  notFound,
  remember,
  tell,
} from "./telling.ts";

export interface ScheduleDependencies extends ChangeDependencies {
  log: Log;
  /** Local days beyond today that have their slots. */
  daysAhead: number;
}

/** A new local day begins every hour somewhere. */
const extendEveryMs = 600_000;
const endOfTimeMs = Date.UTC(9_999, 0, 1);
/** Slots that a refusal names at most. */
const maxNamed = 20;

/** Recurring schedules, and the service that makes their slots ahead of time. */
export function createSchedules(
  dependencies: ScheduleDependencies,
): Pick<CapacityApi, "getSchedule" | "putSchedule"> & Service {
  const { database, clock, log } = dependencies;
  let forget: () => void = () => undefined;

  async function extendAll(): Promise<void> {
    for (const id of await readShort(database, clock.nowMs(), dependencies.daysAhead))
      await extend(id, dependencies).catch((error: unknown) =>
        log.warn({ error, channel: id }, "a channel's slots could not be made ahead; trying again"),
      );
  }

  return {
    name: "schedules",
    async start() {
      await extendAll();
      forget = repeatEvery(clock, extendEveryMs, extendAll, (error) =>
        log.warn({ error }, "slots could not be made ahead; trying again"),
      );
    },
    async stop() {
      forget();
    },
    async getSchedule(id) {
      if (!(await store.readChannel(database, id))) throw notFound(id);
      return readSchedule(database, id);
    },
    putSchedule: (id, schedule, options, by) => put(id, schedule, { ...options, by }, dependencies),
  };
}

async function put(
  id: string,
  schedule: Schedule,
  { expectedVersion, whenReserved, by }: Parameters<CapacityApi["putSchedule"]>[2] & { by: By },
  dependencies: ScheduleDependencies,
): ReturnType<CapacityApi["putSchedule"]> {
  const wrong = problemsOf(schedule);
  if (wrong.length > 0)
    throw new UoopError("validation_failed", "The schedule contradicts itself.", { fields: wrong });
  const done = await dependencies.database.transaction(async (tx) => {
    const before = await lockChannel(tx, id);
    const there = await readSchedule(tx, id);
    const version = there?.version ?? 0;
    if (there && isDeepStrictEqual(docOf(there), schedule))
      return { schedule: there, kept: [], channel: null };
    if (expectedVersion !== null && expectedVersion !== version)
      throw new UoopError(
        "version_conflict",
        `The schedule of ${id} is at version ${version}, not ${expectedVersion}.`,
      );
    const applied = await apply(tx, before, { schedule, version: version + 1, by }, dependencies);
    if (whenReserved === "refuse") refuseKept(applied.kept);
    return applied;
  });
  if (done.channel) await remember(done.channel, dependencies);
  return done;
}

/** The slots of days that have none yet. What another process has done meanwhile is seen under the lock. */
async function extend(id: string, dependencies: ScheduleDependencies): Promise<void> {
  const { database, clock, daysAhead } = dependencies;
  const channel = await database.transaction(async (tx) => {
    const before = await lockChannel(tx, id);
    const there = await readSchedule(tx, id);
    if (!there || there.madeUntil >= addDays(dateAt(there, clock.nowMs()), daysAhead)) return null;
    const by = { actor: "schedule", source: null };
    const wanted = { schedule: docOf(there), version: there.version, by };
    return (await apply(tx, before, wanted, dependencies)).channel;
  });
  if (channel) await remember(channel, dependencies);
}

const docOf = ({ version: _v, updatedAt: _u, madeUntil: _m, ...schedule }: ScheduleView): Schedule =>
  schedule;

/** Brings the channel's slots to the schedule and stores it; allotments are locked, so what is reserved is known. */
async function apply(
  tx: Executor,
  before: Channel,
  { schedule, version, by }: { schedule: Schedule; version: number; by: By },
  { clock, ids, daysAhead }: ScheduleDependencies,
): Promise<{ schedule: ScheduleView; kept: readonly KeptSlot[]; channel: Channel }> {
  const nowMs = clock.nowMs();
  const today = dateAt(schedule, nowMs);
  // Hours of yesterday may reach into today.
  const wanted = slotsOf(schedule, addDays(today, -1), daysAhead + 2).filter(({ endMs }) => endMs > nowMs);
  await store.lockReserved(tx, before.id, nowMs, endOfTimeMs);
  const rows = await store.readSlots(tx, before.id, nowMs, endOfTimeMs);
  const present = rows.map((row) => ({
    ...row,
    startMs: Date.parse(row.start),
    endMs: Date.parse(row.end),
  }));
  const plan = planSlots(schedule, wanted, present);
  const writes = changedOnly(plan, new Map(rows.map((row) => [row.id, row]))).map((slot) => ({
    ...slot,
    id: slot.id ?? ids.create("slt", nowMs),
  }));
  if (writes.length > 0) await store.writeSlots(tx, before.id, writes.map(withTimes));
  if (plan.retired.length > 0) await store.retire(tx, plan.retired);
  const channel = await nextVersion(tx, before, nowMs);
  const view = { ...schedule, version, updatedAt: channel.updatedAt, madeUntil: addDays(today, daysAhead) };
  await writeSchedule(tx, before.id, view);
  const kept = plan.kept.map(withTimes);
  await tell(tx, channel, { what: "schedule applied", version, schedule, kept }, by);
  return { schedule: view, kept: kept.map(toKept), channel };
}

/** A schedule's day adds slots; those that are as they are to be need no write and no event. */
const changedOnly = (plan: SlotPlan, present: ReadonlyMap<string, store.SlotRow>) =>
  plan.writes.filter((slot) => {
    const there = slot.id === null ? undefined : present.get(slot.id);
    return !there || there.capacity !== slot.capacity || there.sellable !== slot.sellable;
  });

const withTimes = <T extends { startMs: number; endMs: number }>({ startMs, endMs, ...rest }: T) => ({
  ...rest,
  start: new Date(startMs).toISOString(),
  end: new Date(endMs).toISOString(),
});

const toKept = ({ id, start, end, reserved, sellable }: KeptSlot): KeptSlot => ({
  id,
  start,
  end,
  reserved,
  sellable,
});

function refuseKept(kept: readonly KeptSlot[]): void {
  if (kept.length === 0) return;
  const named = kept.slice(0, maxNamed).map(({ start, end, reserved, sellable }) => {
    return `${start} – ${end}: ${reserved} units are reserved, ${sellable} could be sold`;
  });
  const more = kept.length > maxNamed ? `; and ${kept.length - maxNamed} more` : "";
  throw new UoopError(
    "capacity_below_reserved",
    `The schedule has less than is reserved in ${kept.length} slots (${named.join("; ")}${more}). With whenReserved=keep they stay as they are and nothing more is sold there.`,
  );
}
