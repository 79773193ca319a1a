/** What a channel's report makes of an order that was being undone: the food had left, and can't be called back. */
const leftBeforeUndo = ["dispatched", "delivered", "undelivered"] as const;
/** The channel will not have its booking cancelled: the promise that was to be undone stands. */
const keptByChannel = ["confirmed", "preparing", "ready", ...leftBeforeUndo] as const;

/**
 * Every status, where it may go, when it is due and what happens then. Anything that is not in this table is refused.
 * docs/order-states.md is generated from it (`npm run docs`).
 */
export const orderStates = {
  received: {
    means: "Stored durably; no channel yet.",
    to: ["reserved", "failing", "cancelling"],
    due: "when the promise can no longer be kept",
    whenDue: "failing: nothing had room in time",
  },
  reserved: {
    means: "A channel's capacity is held; the channel is being asked to take the order.",
    to: ["booked", "rerouting", "failing", "cancelling"],
    due: "when the promise can no longer be kept",
    whenDue: "failing: the channel never answered in time",
  },
  booked: {
    means: "The channel has promised to fulfil it.",
    to: ["confirmed", "rerouting", "failing", "cancelling"],
    due: "when the promise can no longer be kept",
    whenDue: "failing: never confirmed",
  },
  confirmed: {
    means: "Ours and the channel's word is given to the customer.",
    to: ["preparing", "rerouting", "cancelling", "undelivered"],
    due: "when the promised window has passed, and two hours later",
    whenDue: "said to be late; then undelivered: the channel never reported it",
  },
  preparing: {
    means: "Being cooked or picked.",
    to: ["ready", "rerouting", "cancelling", "undelivered"],
    due: "when the promised window has passed, and two hours later",
    whenDue: "said to be late; then undelivered: the channel never reported more",
  },
  ready: {
    means: "Waiting for its courier.",
    to: ["dispatched", "rerouting", "cancelling", "undelivered"],
    due: "when the promised window has passed, and two hours later",
    whenDue: "said to be late; then undelivered: the channel never reported more",
  },
  dispatched: {
    means: "On its way.",
    to: ["delivered", "undelivered"],
    due: "when the promised window has passed, and two hours later",
    whenDue: "said to be late; then undelivered: the channel never reported more",
  },
  rerouting: {
    means: "It had a channel and lost it, or is made to leave it; the next is sought.",
    to: ["reserved", "failing", "cancelling", ...keptByChannel],
    due: "when the promise can no longer be kept",
    whenDue: "failing: nothing had room in time",
  },
  cancelling: {
    means:
      "Cancelled by someone; what was booked and reserved is being undone, unless the channel says that it is too late.",
    to: ["cancelled", "stuck", ...keptByChannel],
    due: "fifteen minutes after it began",
    whenDue: "stuck: a channel did not take the cancellation",
  },
  failing: {
    means: "Can't be fulfilled; what was booked and reserved is being undone.",
    to: ["failed", "stuck", ...leftBeforeUndo],
    due: "fifteen minutes after it began",
    whenDue: "stuck: a channel did not take the cancellation",
  },
  stuck: {
    means:
      "An undo failed for good: an alert; the undo is tried again daily until it succeeds, an operator decides or the channel reports how it ended.",
    to: ["cancelling", "failing", "cancelled", "failed", "rerouting", ...leftBeforeUndo],
    due: "a day after it got stuck",
    whenDue: "the undo is tried again, as cancelling or failing",
  },
  delivered: { means: "At the customer's door.", to: [], due: null, whenDue: null },
  undelivered: { means: "It went out or should have, and did not arrive.", to: [], due: null, whenDue: null },
  cancelled: { means: "Fully undone at someone's wish.", to: [], due: null, whenDue: null },
  failed: { means: "Fully undone; it could not be fulfilled.", to: [], due: null, whenDue: null },
} as const satisfies Record<string, StateRow>;

interface StateRow {
  means: string;
  to: readonly string[];
  /** Its deadline, in words; null at an end. The arithmetic, with the settings that it depends on, is in deadlines.ts. */
  due: string | null;
  whenDue: string | null;
}

export type OrderStatus = keyof typeof orderStates;

export const orderStatuses = Object.keys(orderStates) as readonly OrderStatus[];

export const isEnd = (status: OrderStatus): boolean => orderStates[status].to.length === 0;

export const mayGo = (from: OrderStatus, to: OrderStatus): boolean =>
  (orderStates[from].to as readonly OrderStatus[]).includes(to);

/** The kitchen-to-door way, in order: a report of a later one implies those before it. */
export const fulfillmentWay = ["confirmed", "preparing", "ready", "dispatched", "delivered"] as const;
