import type { PackedEvent } from "../relay/api.ts";
import { patchBetween } from "../relay/snapshot.ts";
import type { Change, JournalEntry, SagaMemory } from "./carried.ts";
import type { Complaint, Leg, OrderState, Reason } from "./order.ts";
import { isEnd, mayGo, type OrderStatus } from "./order-state.ts";

/** A step of an order's way: where to, and what is new there. */
export interface Move {
  to: OrderStatus;
  legs?: readonly Leg[];
  reason?: Reason;
  log?: Omit<JournalEntry, "version" | "to">;
  /** What the channel charges for an undo. */
  feeMinor?: number;
  /** What is new where the status stays: `to` is then the status that it has. */
  updated?: { changed: readonly string[]; lateSince?: string; complaints?: readonly Complaint[] };
}

interface Versions {
  state: OrderState;
  events: PackedEvent[];
  entries: JournalEntry[];
}

/** The versions that these moves make, each with its one snapshot event. Throws on a move that the table refuses: a defect. */
export function moveOn(before: OrderState | null, moves: readonly Move[], atMs: number): Versions {
  const at = new Date(atMs).toISOString();
  const events: PackedEvent[] = [];
  const entries: JournalEntry[] = [];
  let state = before;
  let packed: Partial<Fields> = {};
  for (const move of moves) {
    const from = state;
    if (!isAllowed(from, move)) {
      throw new Error(`an order can't go from ${from?.status ?? "nothing"} to ${move.to}`);
    }
    const fields = nextFields(from, move);
    state = { ...fields, version: (from?.version ?? 0) + 1, updatedAt: at };
    const patch = patchBetween(packed, fields)!; // an update of the doc changes nothing here: JSON leaves it out
    packed = fields;
    if (from) {
      const reason = state.reason ? { reason: state.reason } : {};
      events.push({
        version: state.version,
        at,
        ...(move.updated
          ? { type: "order.updated", data: { changed: move.updated.changed, ...reason } }
          : { type: "order.status_changed", data: { from: from.status, to: move.to, ...reason } }),
        patch,
      });
    } else {
      events.push({ type: "order.created", version: state.version, at, patch });
    }
    if (move.to === "reserved") {
      for (const { leg } of state.legs)
        events.push({ type: "channel.assigned", version: state.version, at, data: { leg } });
    }
    entries.push({
      version: state.version,
      to: move.to,
      ...(move.updated ? { updated: move.updated.changed } : {}),
      ...move.log,
      ...(move.reason ? { reason: move.reason } : {}),
    });
  }
  return { state: state!, events, entries };
}

/** What a move changes; version and time stand beside it. */
type Fields = Omit<OrderState, "version" | "updatedAt">;

function isAllowed(from: OrderState | null, { to, updated }: Move): boolean {
  if (from === null) return to === "received";
  // Nothing of an order that has ended changes, but that its customer complains.
  if (updated) return to === from.status && (!isEnd(to) || updated.complaints !== undefined);
  return mayGo(from.status, to);
}

function nextFields(from: OrderState | null, move: Move): Fields {
  // A reason belongs to what went wrong: it stays from cancelling to cancelled, and goes when the order is on its way again.
  const keepsReason =
    ["cancelled", "failed", "stuck", "cancelling", "failing"].includes(move.to) ||
    (move.updated !== undefined && from?.reason?.code !== "change_refused") ||
    from?.reason?.code === "too_late_to_undo";
  const reason = move.reason ?? (keepsReason ? from?.reason : undefined);
  // A new channel is a new promise, which is not late yet.
  const lateSince = move.updated?.lateSince ?? (move.to === "reserved" ? undefined : from?.lateSince);
  const complaints = move.updated?.complaints ?? from?.complaints;
  return {
    status: move.to,
    legs: move.legs ?? from?.legs ?? [],
    ...(reason ? { reason } : {}),
    ...(lateSince ? { lateSince } : {}),
    ...(complaints ? { complaints } : {}),
    ...feeOf(from, move),
  };
}

/** A fee belongs to a cancellation, and goes with it. */
function feeOf(from: OrderState | null, { to, feeMinor }: Move): Pick<OrderState, "cancellationFeeMinor"> {
  if (to !== "cancelling" && to !== "cancelled" && to !== "stuck") return {};
  const cancellationFeeMinor = feeMinor ?? from?.cancellationFeeMinor ?? 0;
  return cancellationFeeMinor === 0 ? {} : { cancellationFeeMinor };
}

/** The change that moves make of an order. */
export function change(
  order: { state: OrderState | null },
  moves: readonly Move[],
  saga: SagaMemory,
  nowMs: number,
): Change {
  return became(moveOn(order.state, moves, nowMs), saga);
}

/** The same of versions that are made already. */
export const became = (versions: Versions, saga: SagaMemory): Change => ({
  ...versions,
  saga,
  owned: isInMotion(versions.state.status),
});

/** Statuses that a process carries on; in the others an order waits for a report or its deadline. */
export const isInMotion = (status: OrderStatus): boolean =>
  status === "received" ||
  status === "reserved" ||
  status === "booked" ||
  status === "rerouting" ||
  status === "cancelling" ||
  status === "failing";

/** Whether a client that waits for the order has its answer. */
export const isSettled = (status: OrderStatus): boolean => !isInMotion(status);
