import type { DecisionRecord } from "../optimization/decision.ts";
import type { PackedEvent } from "../relay/api.ts";
import type { Leg, OrderDoc, OrderState, PersonalData, Reason } from "./order.ts";
import type { OrderStatus } from "./order-state.ts";
import { type StockLine, stockLeaves } from "./stock.ts";

/** What a saga remembers of an order between steps; stored beside it. */
export interface SagaMemory {
  name: "fulfill-order";
  /** Version of the saga that the order began with: a deployment never changes one in flight. */
  version: number;
  /** Attempts made so far; the next one's number is one more. */
  attempts: number;
  /** Channels that said no, which are not asked again. */
  refusedBy: readonly string[];
  /** Channels that could not be reached, passed over until then. */
  avoiding?: readonly { channelId: string; untilMs: number }[];
  /** Set while undoing or stuck: where the undo leads. */
  undoing?: "cancelling" | "failing";
  /** Set while a promise is being undone at someone's wish: what the order was, and is again if the channel will not undo it. */
  before?: { status: OrderStatus; legs: readonly Leg[] };
  /** Set while an order moves to a channel (or slot) that can do what it is changed to; `before` stands until it is there. */
  move?: Moving;
  /** Digests of the newest keys of operators' actions: a repeat changes nothing. */
  acts?: readonly string[];
  /** The last routing that found nobody; a successful one is kept with its attempt. */
  decision?: DecisionRecord;
}

/** Where an order moves, and what it is then. (New personal data waits beside the old: it is in no saga.) */
export interface Moving {
  doc: OrderDoc;
  changed: readonly string[];
  leg: Leg;
}

/** One try to have a leg fulfilled by a channel, as recorded before the channel is asked. */
export interface AttemptRecord {
  leg: number;
  attempt: number;
  channelId: string;
  slotId: string;
  units: number;
  held: boolean;
  /**
   * `pending`: may be booked. While an order moves, its new attempt is `holding` (asked to keep room, not to book) and then `held`: the
   * old booking may be cancelled now; no booking goes out before that is seen (I4).
   */
  booking: "holding" | "held" | "pending" | "booked" | "refused" | "cancelled";
  partner?: string | null;
  /** What it has of the channel's stock; absent or null: none, or it has left. */
  stock?: readonly StockLine[] | null;
}

/** An order with all that deciding needs. */
export interface Carried {
  id: string;
  lane: number;
  clientId: string;
  doc: OrderDoc;
  personal: PersonalData | null;
  /** Personal data as it is once the move that is under way succeeds. */
  nextPersonal?: PersonalData;
  /** What was said in its complaints, by their ids: kept with the personal data. */
  complaintTexts?: Readonly<Record<string, string>>;
  state: OrderState;
  saga: SagaMemory;
  /** As it was read; null: none, or not read since its last change. */
  /** Of the stored order when it was read: counts all writes, also those of attempts that make no version. */
  revision: number;
  deadlineMs: number | null;
  attempts: readonly AttemptRecord[];
}

/** One future of an order. */
export interface Change {
  state: OrderState;
  saga: SagaMemory;
  /** Whether this process goes on carrying it. */
  owned: boolean;
  events: readonly PackedEvent[];
  entries: readonly JournalEntry[];
}

/** A line of the journal: the saga log and the audit trail in one. */
export interface JournalEntry {
  version: number;
  to?: OrderStatus;
  step?: string;
  outcome?: string;
  leg?: number;
  attempt?: number;
  channel?: string;
  reason?: Reason;
  reportedAt?: string;
  /** The kind of a complaint. */
  complaint?: string;
  /** What changed where the status stayed. */
  updated?: readonly string[];
  /** Why an operator did it, in their words: in the audit trail only. */
  note?: string;
}

/** Units wanted for a leg, and the attempt that is recorded when they are granted. */
export interface Take {
  leg: number;
  attempt: number;
  channelId: string;
  slotId: string;
  units: number;
  /** `adjust`: units (also less) for an attempt that is there. */
  booking: "holding" | "held" | "pending" | "booked" | "adjust";
  bookingRef: string | null;
  decision: DecisionRecord;
  /** Where the channel tracks its stock: the lines that it takes (of an adjustment: more or fewer) and then has. Granted with the units or not at all. */
  stock?: { takes: readonly StockLine[]; holds: readonly StockLine[] };
}

export interface AttemptChange {
  leg: number;
  attempt: number;
  booking: AttemptRecord["booking"];
  bookingRef: string | null;
  partner: string | null;
  /** Gives the units back, and its stock. */
  release: boolean;
  /** Its stock has left the shelf. */
  used?: true;
}

/** Two futures, each whole: `granted` if the units are granted (null: none are wanted), else `base` (null: nothing changes). */
export interface Decision {
  base: Change | null;
  granted: Change | null;
  takes: readonly Take[];
  attemptChanges: readonly AttemptChange[];
  /** The order as asked, where that changes; `nextPersonal` waits for a move to succeed. */
  doc?: OrderDoc;
  personal?: PersonalData | null;
  nextPersonal?: PersonalData;
  complaintTexts?: Readonly<Record<string, string>>;
}

/** Of a decision that wants no units and touches no attempt. */
export const noUnits = { granted: null, takes: [], attemptChanges: [] } as const;

/** An attempt as it is: what a change of it begins with. */
export const unchanged = (attempt: AttemptRecord): AttemptChange => ({
  leg: attempt.leg,
  attempt: attempt.attempt,
  booking: attempt.booking,
  bookingRef: null,
  partner: attempt.partner ?? null,
  release: false,
});

/** Units that an order takes of a slot: its meals. */
export const unitsOf = (doc: Pick<OrderDoc, "items">): number =>
  doc.items.reduce((sum, item) => sum + item.quantity, 0);

export const attemptKey = (orderId: string, leg: number, attempt: number): string =>
  `${orderId}.${leg}.${attempt}`;

export function parseAttemptKey(key: string): { orderId: string; leg: number; attempt: number } | null {
  const parts = /^(ord_[0-9a-z]{26})\.(\d{1,3})\.(\d{1,4})$/.exec(key);
  return parts ? { orderId: parts[1]!, leg: Number(parts[2]), attempt: Number(parts[3]) } : null;
}

/** Attempts that hold units or may be booked: what an undo has to undo. */
export const openAttempts = (order: Carried): readonly AttemptRecord[] =>
  order.attempts.filter((attempt) => attempt.held);

/** The attempt that the order stands on now. */
export const openAttempt = (order: Carried): AttemptRecord | undefined => openAttempts(order).at(-1);

/** It moves to another channel or slot, which keeps room until the old booking is cancelled. */
export const isMoving = ({ state, saga }: Carried): boolean =>
  state.status === "rerouting" && saga.move !== undefined;

/** Its channel is being left: cancelled until seen cancelled, then the next is sought (I4). */
export const isLeaving = (order: Carried): boolean =>
  order.state.status === "rerouting" && openAttempt(order) !== undefined;

/** What the order is after the decision was written. */
export function afterDecision(order: Carried, decision: Decision, granted: boolean): Carried {
  const became = granted ? decision.granted : decision.base;
  const attempts = order.attempts.map((attempt): AttemptRecord => {
    const left = stockLeaves(attempt, decision) ? { stock: null } : {};
    const changed = decision.attemptChanges.find(
      (one) => one.leg === attempt.leg && one.attempt === attempt.attempt,
    );
    if (!changed) return { ...attempt, ...left };
    return {
      ...attempt,
      booking: changed.booking,
      held: attempt.held && !changed.release,
      partner: changed.partner,
      ...left,
    };
  });
  if (granted) for (const take of decision.takes) addTake(attempts, take);
  const revision = order.revision + 1;
  if (!became) return decision.attemptChanges.length === 0 ? order : { ...order, attempts, revision };
  const { doc = order.doc, personal = order.personal } = decision;
  const after = {
    ...order,
    revision,
    doc,
    personal,
    attempts,
    state: became.state,
    saga: became.saga,
    deadlineMs: null,
  };
  if (became.saga.move === undefined) delete after.nextPersonal;
  const { nextPersonal, complaintTexts } = decision;
  return {
    ...after,
    ...(nextPersonal ? { nextPersonal } : {}),
    ...(complaintTexts ? { complaintTexts } : {}),
  };
}

function addTake(attempts: AttemptRecord[], { booking, stock, ...take }: Take): void {
  const holds = stock ? { stock: stock.holds } : {};
  if (booking !== "adjust")
    return void attempts.push({ ...take, ...holds, booking, held: true, partner: null });
  const index = attempts.findIndex((one) => one.leg === take.leg && one.attempt === take.attempt);
  const adjusted = attempts[index]!;
  attempts[index] = { ...adjusted, ...holds, units: adjusted.units + take.units };
}
