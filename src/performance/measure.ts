import type { LoggedRow } from "../bus/api.ts";
import type { Leg, OrderState } from "../orchestration/order.ts";
import type { PackedEvent } from "../relay/api.ts";
import { patched, type State } from "../relay/snapshot.ts";

/** What of an order's past its next row needs: who had it, and since when it is prepared and on its way. */
export interface Past {
  legs: readonly Leg[];
  preparingMs?: number;
  dispatchedMs?: number;
}

/** One thing that a channel did. `minutes` is set where it took time; the rest counts one. */
export interface Measured {
  channelId: string;
  what: What;
  atMs: number;
  minutes?: number;
}

export type What =
  | "accepted" // asked, and it took the order
  | "refused" // asked, and it said no
  | "unanswered" // asked, and it never answered in time
  | "given_back" // after it had confirmed: reported, or found to be gone in its ledger
  | "on_time" // at the door before the promised window ended
  | "late" // `minutes` after it
  | "not_reported" // nobody knows what became of it
  | "door_shut"
  | "prepared" // from preparing to ready
  | "brought" // from dispatched to delivered
  | "fell_late" // the promised window passed and it is not there yet: what health looks at
  | `complaint.${string}`;

/** Whether a row can't be measured by itself. */
export function needsPast({ events }: Pick<LoggedRow, "events">): boolean {
  const [first] = events;
  if (first?.type !== "order.status_changed") return false;
  const to = first.data?.to;
  return to === "rerouting" || to === "ready" || to === "delivered";
}

/**
 * What the channels of an order did, by one row of the bus: all versions of one commit. Pure. Preparation and the way are only
 * measured where both ends were reported by themselves: a report of `delivered` alone implies the others, and tells no times.
 */
export function measure(
  row: Pick<LoggedRow, "events">,
  past: Past | undefined,
): { measured: Measured[]; past: Past } {
  const measured: Measured[] = [];
  let known: Past = past ?? { legs: [] };
  let fields: State = {};
  for (const event of row.events) {
    fields = patched(fields, event.patch);
    const state = fields as unknown as OrderState;
    if (tells(event, state)) measured.push(...ofEvent(event, state, known));
    known = after(event, state, known);
  }
  return { measured, past: known };
}

/** Nearly all events are of orders that our own kitchens confirm: they tell nothing, and this is what they cost. */
function tells({ type, data }: PackedEvent, { legs }: OrderState): boolean {
  if (type === "order.updated") return true;
  const to = type === "order.status_changed" ? (data?.to as string) : "";
  return to === "booked" ? legs.some(isAsked) : telling.has(to);
}

const telling: ReadonlySet<string> = new Set(["rerouting", "failing", "ready", "delivered", "undelivered"]);

function after(event: PackedEvent, { legs = [] }: OrderState, past: Past): Past {
  const to = event.type === "order.status_changed" ? event.data?.to : undefined;
  // A leg that left and came back is another promise: its times begin anew.
  if (to === "reserved" || to === "rerouting") return { legs };
  if (to === "preparing") return { ...past, legs, preparingMs: Date.parse(event.at) };
  if (to === "dispatched") return { ...past, legs, dispatchedMs: Date.parse(event.at) };
  return legs === past.legs ? past : { ...past, legs };
}

function ofEvent(event: PackedEvent, state: OrderState, past: Past): Measured[] {
  const atMs = Date.parse(event.at);
  const each = (legs: readonly Leg[], what: What, minutes?: number): Measured[] =>
    legs.map(({ channel }) => ({
      channelId: channel.id,
      what,
      atMs,
      ...(minutes === undefined ? {} : { minutes }),
    }));
  if (event.type === "order.updated") return ofUpdate(event, state, atMs, (what) => each(state.legs, what));
  if (event.type !== "order.status_changed") return [];
  const { from, to } = event.data as { from: string; to: string };
  const code = state.reason?.code;
  switch (to) {
    case "booked":
      return from === "reserved" ? each(state.legs.filter(isAsked), "accepted") : [];
    case "rerouting":
      return ofLoss(from, code, (what) => each(past.legs, what));
    case "failing":
      return from === "reserved" && code === "channel_unreachable"
        ? each(state.legs.filter(isAsked), "unanswered")
        : [];
    case "ready":
      return took(past.preparingMs, atMs, (minutes) => each(state.legs, "prepared", minutes));
    case "delivered":
      return [
        ...took(past.dispatchedMs, atMs, (minutes) => each(state.legs, "brought", minutes)),
        ...state.legs.flatMap((leg) =>
          delivered(leg, state.lateSince !== undefined, atMs, (what, minutes) => each([leg], what, minutes)),
        ),
      ];
    case "undelivered":
      return each(state.legs, code === "not_at_home" ? "door_shut" : "not_reported");
    default:
      return [];
  }
}

type Each = (what: What, minutes?: number) => Measured[];

function ofUpdate(event: PackedEvent, { complaints = [] }: OrderState, atMs: number, each: Each): Measured[] {
  const changed = (event.data?.changed ?? []) as readonly string[];
  if (changed.includes("lateSince")) return each("fell_late");
  // Each version adds one.
  const complaint = changed.includes("complaints") ? complaints.at(-1) : undefined;
  return complaint ? [{ channelId: complaint.channelId, what: `complaint.${complaint.kind}`, atMs }] : [];
}

function ofLoss(from: string, code: string | undefined, each: Each): Measured[] {
  if (code === "refused_by_channels") return each("refused");
  if (code === "channel_unreachable") return from === "reserved" ? each("unanswered") : [];
  return code === "given_back" ? each("given_back") : [];
}

const took = (
  sinceMs: number | undefined,
  atMs: number,
  each: (minutes: number) => Measured[],
): Measured[] => (sinceMs === undefined || sinceMs >= atMs ? [] : each((atMs - sinceMs) / 60_000));

function delivered({ promised }: Leg, isTold: boolean, atMs: number, each: Each): Measured[] {
  const minutes = (atMs - Date.parse(promised.end)) / 60_000;
  if (minutes <= 0) return each("on_time");
  return isTold ? each("late", minutes) : [...each("fell_late"), ...each("late", minutes)];
}

/** Our own kitchens and stores are not asked: taking their slot is the booking. */
const isAsked = ({ channel }: Leg): boolean =>
  channel.type === "external_partner" || channel.type === "partner_network";
