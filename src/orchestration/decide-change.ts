import { isDeepStrictEqual } from "node:util";
import type { OrderChange } from "./api.ts";
import { type Carried, type Decision, noUnits, openAttempt, type Take, unitsOf } from "./carried.ts";
import { type Assignment, legOf, type RoutedFor } from "./decide.ts";
import { change, type Move } from "./moves.ts";
import type { OrderDoc, PersonalData, Reason } from "./order.ts";
import { stockAdjusted, stockTaken } from "./stock.ts";

/** What a change of an order comes to: a write, nothing (it is so already), not now, or a no (then the old promise stands). */
export type Changed =
  | { kind: "apply"; decision: Decision }
  | { kind: "as_is" }
  | { kind: "busy"; detail: string }
  | { kind: "refuse"; code: "transition_refused" | "window_in_past" | "change_refused"; detail: string };

interface ChangeOptions {
  nowMs: number;
  /** Where the order may go: at its own channel alone, with the room that it has there; or anywhere. */
  route(order: Carried, where: "stay" | "anywhere"): RoutedFor;
  /** Whether a channel is ours: its units are its promise, and nobody is called. */
  isOurs(type: string): boolean;
}

/**
 * A change of window, place, items or personal data; pure. While no channel has the order it is simply other; in the same slot of a
 * channel of ours it changes in place; otherwise it moves: the new room is kept, the old booking cancelled, the new one made.
 */
export function decideChange(order: Carried, wanted: OrderChange, options: ChangeOptions): Changed {
  const { status } = order.state;
  const doc = docAfter(order.doc, wanted);
  const personal = wanted.personal ? { ...order.personal, ...wanted.personal } : undefined;
  const changed = changedFields(order, doc, personal);
  if (changed.length === 0) return { kind: "as_is" };
  if (wanted.window && Date.parse(wanted.window.end) <= options.nowMs) {
    return {
      kind: "refuse",
      code: "window_in_past",
      detail: `The new window ended at ${wanted.window.end}.`,
    };
  }
  const after = { ...order, doc };
  const documents = { doc, ...(personal ? { personal } : {}) };
  switch (status) {
    case "received":
    case "rerouting":
      if (openAttempt(order)) return { kind: "busy", detail: "Its channel is being left." };
      return { kind: "apply", decision: inPlace(order, { changed, documents, nowMs: options.nowMs }) };
    case "reserved":
    case "booked":
      return { kind: "busy", detail: "Its channel is being asked." };
    case "confirmed":
      return decideConfirmed(after, order, { changed, documents }, options);
    default: {
      const detail = `The order is ${status}: it can be changed until its channel begins to prepare it.`;
      return { kind: "refuse", code: "transition_refused", detail };
    }
  }
}

interface Wanted {
  changed: readonly string[];
  documents: { doc: OrderDoc; personal?: PersonalData };
}

function decideConfirmed(after: Carried, order: Carried, wanted: Wanted, options: ChangeOptions): Changed {
  const attempt = openAttempt(order)!;
  const ours = options.isOurs(order.state.legs[0]!.channel.type);
  const { nowMs } = options;
  const personalOnly = wanted.changed.every((field) => personalFields.has(field));
  if (ours && personalOnly) return { kind: "apply", decision: inPlace(order, { ...wanted, nowMs }) };
  const stay = options.route(after, "stay");
  if (ours && stay.kind === "assign" && stay.assignment.candidate.slot.id === attempt.slotId) {
    return { kind: "apply", decision: inSlot(order, wanted, stay.assignment, nowMs) };
  }
  const routed = stay.kind === "assign" ? stay : options.route(after, "anywhere");
  if (routed.kind === "assign") {
    return { kind: "apply", decision: beginMove(order, wanted, routed.assignment, options) };
  }
  const why = routed.kind === "never" ? routed.reason.detail : "No channel that fits has room for it.";
  return { kind: "refuse", code: "change_refused", detail: `${why} The order stays as it was.` };
}

const inPlace = (
  order: Carried,
  { changed, documents, nowMs, legs }: Wanted & { nowMs: number; legs?: Move["legs"] },
): Decision => ({
  ...noUnits,
  base: change(
    order,
    [{ to: order.state.status, updated: { changed }, ...(legs ? { legs } : {}) }],
    order.saga,
    nowMs,
  ),
  ...documents,
});

/** The same slot, with as many units as it is now: one commit. */
function inSlot(
  order: Carried,
  wanted: Wanted,
  { candidate, decision }: Assignment,
  nowMs: number,
): Decision {
  const attempt = openAttempt(order)!;
  const [leg] = order.state.legs;
  const { promised, costMinor } = legOf(candidate, attempt.attempt);
  const changed = inPlace(order, { ...wanted, nowMs, legs: [{ ...leg!, promised, costMinor }] });
  const units = unitsOf(wanted.documents.doc) - attempt.units;
  const stock = stockAdjusted(attempt, candidate.channel, wanted.documents.doc);
  if (units === 0 && !stock.stock) return changed;
  const take = { leg: 1, attempt: attempt.attempt, channelId: attempt.channelId, slotId: attempt.slotId };
  const adjust: Take = { ...take, ...stock, units, booking: "adjust", bookingRef: null, decision };
  return { ...changed, base: null, granted: changed.base, takes: [adjust] };
}

const changing: Reason = {
  code: "changing",
  detail: "It is being changed; until that is done it stands as it was.",
};

/** The new room is taken and the attempt recorded; what is promised stands until the new channel is sure (move-steps.ts). */
function beginMove(
  order: Carried,
  { changed, documents: { doc, personal } }: Wanted,
  { candidate, decision, localRef }: Assignment,
  { nowMs }: ChangeOptions,
): Decision {
  const attempt = order.saga.attempts + 1;
  const leg = legOf(candidate, attempt);
  const { status, legs } = order.state;
  const move = { doc, changed, leg };
  const saga = { ...order.saga, attempts: attempt, before: { status, legs }, move };
  const log = { step: "move", leg: 1, attempt, channel: candidate.channel.id };
  const take: Take = {
    leg: 1,
    attempt,
    channelId: candidate.channel.id,
    slotId: candidate.slot.id,
    units: unitsOf(doc),
    // Units of our own are kept by being taken: there is nobody to ask.
    booking: localRef === null ? "holding" : "held",
    bookingRef: localRef,
    decision,
    ...stockTaken(candidate.channel, doc),
  };
  return {
    base: null,
    granted: change(order, [{ to: "rerouting", legs: [], reason: changing, log }], saga, nowMs),
    takes: [take],
    attemptChanges: [],
    ...(personal ? { nextPersonal: personal } : {}),
  };
}

const docAfter = (doc: OrderDoc, { window, location, items }: OrderChange): OrderDoc => ({
  ...doc,
  ...(items ? { items } : {}),
  delivery: { ...doc.delivery, ...(location ? { location } : {}), ...(window ? { window } : {}) },
});

const personalFields: ReadonlySet<string> = new Set(
  ["address", "contact", "instructions"].map((name) => `delivery.${name}`),
);

function changedFields(order: Carried, doc: OrderDoc, personal: PersonalData | undefined): string[] {
  const fields: [string, unknown, unknown][] = [
    ["items", order.doc.items, doc.items],
    ["delivery.window", order.doc.delivery.window, doc.delivery.window],
    ["delivery.location", order.doc.delivery.location, doc.delivery.location],
  ];
  for (const name of ["address", "contact", "instructions"] as const) {
    if (personal) fields.push([`delivery.${name}`, order.personal?.[name], personal[name]]);
  }
  return fields.filter(([, was, is]) => !isDeepStrictEqual(was, is)).map(([name]) => name);
}
