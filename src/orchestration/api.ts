import type { DecisionView } from "../optimization/decision.ts";
import type { Quote } from "../optimization/quote.ts";
import type { ProblemCode, UoopError } from "../platform/errors.ts";
import type { AttemptRecord } from "./carried.ts";
import type {
  ComplaintKind,
  LatLng,
  LineItem,
  OrderDoc,
  OrderView,
  PersonalData,
  Priority,
  Window,
} from "./order.ts";
import type { Asked } from "./routing.ts";

/** Who did it and from where: goes to the journal. */
export interface Actor {
  /** `client:cli_…`, `operator:key_…`, `channel:chn_…`, `owner:own_…`, `timer`. */
  actor: string;
  /** Address or process; null when unknown. */
  source: string | null;
}

/** An order as validated by the gateway; orchestration gives it its id and time. */
export interface Submission {
  clientId: string;
  by: Actor;
  /** `header`: the Idempotency-Key; `external`: externalId as key; `server`: one the server made. Three namespaces. */
  keyNamespace: "header" | "external" | "server";
  idempotencyKey: string;
  order: Omit<OrderDoc, "id" | "createdAt">;
  personal: PersonalData | null;
}

export type SubmitResult =
  | { kind: "order"; order: OrderView; replayed: boolean }
  | { kind: "refused"; code: ProblemCode; detail: string };

/** Why nothing was done with an order. */
export interface OrderRefusal {
  kind: "refused";
  code:
    | "order_not_found"
    | "transition_refused"
    | "no_other_channel"
    | "order_busy"
    | "change_refused"
    | "window_in_past"
    | "version_conflict"
    | "idempotency_key_reused";
  detail: string;
}

export type CancelResult = { kind: "order"; order: OrderView } | OrderRefusal;

/** What a client changes of an order; what is absent stays. */
export interface OrderChange {
  items?: readonly LineItem[];
  window?: Window;
  location?: LatLng;
  /** Each of its fields that is there replaces the one that was. */
  personal?: PersonalData;
}

export interface ChangeRequest {
  id: string;
  /** null: any client's order. */
  clientId: string | null;
  /** null: whatever version it has. */
  expectedVersion: number | null;
  change: OrderChange;
  by: Actor;
}

/** `retry`: the undo of a stuck order is tried again. `reroute`: to another channel. `force_cancel`: at any cost. */
export type OperatorAction = "retry" | "reroute" | "force_cancel";

export interface OperatorRequest {
  id: string;
  action: OperatorAction;
  /** Why, in the operator's words: goes to the audit trail. */
  note: string;
  /** Of a reroute: the operator answers for it that the channel is lost; it is left without its word. */
  lost?: boolean;
  /** Idempotency key of the action; null: none was given. */
  key: string | null;
  by: Actor;
}

/** What a customer was not content with. */
export interface ComplaintRequest {
  id: string;
  /** null: any client's order. */
  clientId: string | null;
  kind: ComplaintKind;
  /** In the customer's words: personal data, kept apart. */
  text?: string;
  /** Of an order with several legs: whose channel it is about. */
  leg?: number;
  /** Idempotency key; null: the same words are the same complaint. */
  key: string | null;
  by: Actor;
}

/** What a channel reports of one attempt. `undelivered` = the door stayed shut; `refused` after confirming = given back. */
export type CallbackKind = "preparing" | "ready" | "dispatched" | "delivered" | "undelivered" | "refused";

export interface ChannelCallback {
  channelId: string;
  /** The channel's id of this report: a repeat is recognised by it. */
  callbackId: string;
  /** The attempt's key, as given in the booking: `ord_….<leg>.<attempt>`. */
  attemptKey: string;
  kind: CallbackKind;
  /** When it happened, RFC 3339. */
  at: string;
  reason?: string;
  by: Actor;
}

export type CallbackResult =
  | { kind: "applied" | "kept" | "ignored" | "duplicate"; detail: string }
  | { kind: "refused"; code: "attempt_unknown"; detail: string };

/** Orders as a context of batch methods over plain data: in one process a direct call, split a remote one. */
export interface OrchestrationApi {
  /** Why nothing more is taken from this client now (`overloaded`); null when it is. Costs microseconds: asked before a body is read. */
  admits(clientId: string, priority: Priority): UoopError | null;
  /**
   * Stores the orders durably and routes them. Each answer comes when its order has been confirmed or has ended, or
   * after `waitMs` (0: as soon as it is stored). Refusals: `idempotency_key_reused`, `window_in_past`, `overloaded`
   * (intake's queue is full), `unavailable` (the database is away), `internal` (this one order can't be stored).
   */
  submit(submissions: readonly Submission[], options: { waitMs: number }): Promise<readonly SubmitResult[]>;
  /** Sets `cancelling`; waits up to `waitMs` for `cancelled`. `clientId` null: any client's order (admin). */
  cancel(
    requests: readonly { id: string; clientId: string | null; by: Actor }[],
    options: { waitMs: number },
  ): Promise<readonly CancelResult[]>;
  /**
   * Changes orders before their channels begin to prepare them. Waits up to `waitMs`, for an order that is in motion to be at
   * rest and for the change to be done: an order that is `rerouting` with the reason `changing` is still on its way there, one at rest with
   * `change_refused` stands as it was.
   */
  change(requests: readonly ChangeRequest[], options: { waitMs: number }): Promise<readonly CancelResult[]>;
  /** Operators' actions (any client's orders); waits up to `waitMs` until the order is not in motion any more. */
  operate(
    requests: readonly OperatorRequest[],
    options: { waitMs: number },
  ): Promise<readonly CancelResult[]>;
  /** Adds complaints to orders that are at rest, also to those that have ended. */
  complain(requests: readonly ComplaintRequest[]): Promise<readonly CancelResult[]>;
  /** What was said in an order's complaints, by their ids; in input order. */
  complaintTexts(ids: readonly string[]): Promise<readonly Readonly<Record<string, string>>[]>;
  callbacks(callbacks: readonly ChannelCallback[]): Promise<readonly CallbackResult[]>;
  /** The truth, in input order; null where there is none. */
  read(ids: readonly string[]): Promise<readonly (StoredOrder | null)[]>;
  contacts(ids: readonly string[]): Promise<readonly (PersonalData | null)[]>;
  /** How each order was routed, newest first: the last routing when it found nobody, and one for each attempt; null when unknown. */
  decisions(ids: readonly string[]): Promise<readonly (readonly OrderDecision[] | null)[]>;
  /** What each would get now: from memory, nothing is written or held. */
  quotes(requests: readonly QuoteRequest[]): readonly Quote[];
  /** The version that clients were last told of this order in this process; undefined when it was long ago. */
  toldVersion(id: string): number | undefined;
}

/** An order that nobody placed yet. */
export interface QuoteRequest {
  clientId: string;
  /** null: not known. */
  customerId: string | null;
  asked: Asked;
}

export interface StoredOrder {
  clientId: string;
  order: OrderView;
}

/** A routing of an order, in words; `attempt`: what it led to, null when it found nobody. */
export type OrderDecision = DecisionView & { attempt: DecidedAttempt | null };

export interface DecidedAttempt {
  leg: number;
  attempt: number;
  /** RFC 3339. */
  at: string;
  channelId: string;
  booking: AttemptRecord["booking"];
}
