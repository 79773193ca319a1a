import type { PackedEvent } from "../relay/api.ts";
import type { Carried, Change, JournalEntry, SagaMemory } from "./carried.ts";
import { type Leg, type OrderDoc, type OrderState, type Reason, withShortForms } from "./order.ts";
import { isEnd, mayGo, type OrderStatus } from "./order-state.ts";

const minuteMs = 60_000;
const reportGraceMs = 120 * minuteMs;
const undoPatienceMs = 15 * minuteMs;
const stuckReminderMs = 24 * 60 * minuteMs;

/** When a status is due; order-state.ts says it in words. Null at an end. */
function deadlineOf(status: OrderStatus, doc: OrderDoc, legs: readonly Leg[], nowMs: number): number | null {
  if (isEnd(status)) return null;
  switch (status) {
    case "cancelling":
    case "failing":
      return nowMs + undoPatienceMs;
    case "stuck":
      return nowMs + stuckReminderMs;
    case "confirmed":
    case "preparing":
    case "ready":
    case "dispatched":
      return Math.max(...legs.map((leg) => Date.parse(leg.promised.end))) + reportGraceMs;
    default:
      return Date.parse(doc.delivery.window.end);
  }
}

/** A step of an order's way: where to, and what is new there. */
export interface Move {
  to: OrderStatus;
  legs?: readonly Leg[];
  reason?: Reason;
  log?: Omit<JournalEntry, "version" | "to">;
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
  let packed: OrderState | null = null;
  for (const move of moves) {
    const from = state;
    if (from ? !mayGo(from.status, move.to) : move.to !== "received") {
      throw new Error(`an order can't go from ${from?.status ?? "nothing"} to ${move.to}`);
    }
    state = nextState(from, move, at);
    const patch = patchBetween(packed, state);
    packed = state;
    if (from) {
      const reason = state.reason ? { reason: state.reason } : {};
      events.push({
        type: "order.status_changed",
        version: state.version,
        at,
        data: { from: from.status, to: move.to, ...reason },
        patch,
      });
    } else {
      events.push({ type: "order.created", version: state.version, at, patch });
    }
    if (move.to === "reserved") {
      for (const { leg, attempt, channel } of state.legs) {
        events.push({
          type: "channel.assigned",
          version: state.version,
          at,
          data: { leg, attempt, channel },
          patch: {},
        });
      }
    }
    entries.push({
      version: state.version,
      to: move.to,
      ...move.log,
      ...(move.reason ? { reason: move.reason } : {}),
    });
  }
  return { state: state!, events, entries };
}

/** What to change of a state to make it the next one; null: the field goes. (A row of five events shrinks to a third.) */
function patchBetween(before: OrderState | null, after: OrderState): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(after)) {
    if (before === null || before[name as keyof OrderState] !== value) patch[name] = value;
  }
  for (const name in before) if (!(name in after)) patch[name] = null;
  return patch;
}

function nextState(from: OrderState | null, move: Move, at: string): OrderState {
  // A reason belongs to what went wrong: it stays from cancelling to cancelled, and goes when the order is on its way again.
  const keepsReason =
    ["cancelled", "failed", "stuck", "cancelling", "failing"].includes(move.to) ||
    from?.reason?.code === "too_late_to_undo";
  const reason = move.reason ?? (keepsReason ? from?.reason : undefined);
  return {
    status: move.to,
    version: (from?.version ?? 0) + 1,
    updatedAt: at,
    ...(reason ? { reason } : {}),
    ...withShortForms(move.legs ?? from?.legs ?? []),
  };
}

/** The change that moves make of an order. */
export function change(
  order: Pick<Carried, "doc"> & { state: OrderState | null },
  moves: readonly Move[],
  saga: SagaMemory,
  nowMs: number,
): Change {
  return became(moveOn(order.state, moves, nowMs), order.doc, saga, nowMs);
}

/** The same of versions that are made already. */
export function became(versions: Versions, doc: OrderDoc, saga: SagaMemory, nowMs: number): Change {
  const { status, legs } = versions.state;
  return { ...versions, saga, owned: isInMotion(status), deadlineMs: deadlineOf(status, doc, legs, nowMs) };
}

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
