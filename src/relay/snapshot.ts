import type { EventRow, PackedEvent } from "./api.ts";

/**
 * How an order's versions are packed into a row, and come out of it again. An order's state as it is stored and packed says
 * nothing twice: the short forms of its only leg are made when it is shown, and of a row's versions each holds what it changed.
 * (A kitchen order's five events: 968 bytes; with whole states 3,700.)
 */
export type State = Readonly<Record<string, unknown>>;

/** What every leg has, as far as packing is concerned. */
interface PackedLeg {
  leg: number;
  attempt: number;
  channel: unknown;
  promised: unknown;
  costMinor: unknown;
  bookingRef?: unknown;
}

/**
 * A state after a patch: a field that it names is replaced, one that it sets to null is gone. `legs` as an object, by the
 * leg's number, changes fields of legs that are there.
 */
export function patched(before: State, patch: State | undefined): State {
  if (patch === undefined) return before;
  const after: Record<string, unknown> = { ...before, ...patch };
  for (const name in patch) if (patch[name] === null) delete after[name];
  if (isRecord(patch.legs)) after.legs = changedLegs(before.legs, patch.legs);
  return after;
}

function changedLegs(legs: unknown, changes: State): unknown {
  if (!Array.isArray(legs)) return legs;
  return legs.map((leg: State) => {
    const change = changes[String(leg.leg)];
    return isRecord(change) ? patched(leg, change) : leg;
  });
}

/** What makes `after` of `before`; undefined: nothing. The inverse of `patched`. */
export function patchBetween(before: State, after: State): State | undefined {
  const patch: Record<string, unknown> = {};
  for (const name in after) {
    if (before[name] === after[name]) continue;
    patch[name] = name === "legs" ? patchOfLegs(before.legs, after.legs) : after[name];
  }
  for (const name in before) if (!(name in after)) patch[name] = null;
  for (const _ in patch) return patch;
  return undefined;
}

/** Only the fields that changed, while the legs are the same attempts; else the legs themselves. */
function patchOfLegs(before: unknown, after: unknown): unknown {
  const [old, now] = [before ?? [], after] as [readonly PackedLeg[], readonly PackedLeg[]];
  const same = old.length === now.length && now.every((leg, index) => isSameAttempt(leg, old[index]!));
  if (now.length === 0 || !same) return now;
  return Object.fromEntries(
    now.flatMap((leg, index) => {
      const change = patchBetween(old[index]! as never, leg as never);
      return change === undefined ? [] : [[leg.leg, change]];
    }),
  );
}

const isSameAttempt = (one: PackedLeg, other: PackedLeg): boolean =>
  one.leg === other.leg && one.attempt === other.attempt;

/** An order's state after a row's last event. */
export function lastState({ events }: Pick<EventRow, "events">): State {
  const { version, at } = events.at(-1)!;
  const fields = events.reduce<State>((state, { patch }) => patched(state, patch), {});
  return { ...fields, version, updatedAt: at };
}

/** What an order is at one of a row's events: the fields patched together, and what stands beside them. */
export const snapshotOf = (doc: State, fields: State, { version, at }: PackedEvent): State => ({
  ...doc,
  ...fields,
  version,
  updatedAt: at,
  ...(Array.isArray(fields.legs) && shortForms(fields.legs as readonly PackedLeg[])),
});

/** Short forms, there when the order has exactly one leg. */
export function shortForms<Leg extends PackedLeg>(
  legs: readonly Leg[],
): Partial<Pick<Leg, "channel" | "promised" | "costMinor" | "bookingRef">> {
  const only = legs.length === 1 ? legs[0] : undefined;
  if (!only) return {};
  const { channel, promised, costMinor, bookingRef } = only;
  return { channel, promised, costMinor, ...(bookingRef === undefined ? {} : { bookingRef }) };
}

/** The own data of an event: channel.assigned is packed with its leg's number only, as the leg is in the state. */
export function dataOf({ type, data }: PackedEvent, fields: State): State | undefined {
  if (type !== "channel.assigned") return data;
  const legs = Array.isArray(fields.legs) ? (fields.legs as readonly PackedLeg[]) : [];
  const leg = legs.find((one) => one.leg === data?.leg);
  return leg && { leg: leg.leg, attempt: leg.attempt, channel: leg.channel };
}

export const isRecord = (value: unknown): value is State =>
  typeof value === "object" && value !== null && !Array.isArray(value);
