import type { AttemptRecord, Carried } from "../../src/orchestration/carried.ts";
import type { Leg } from "../../src/orchestration/order.ts";
import type { OrderStatus } from "../../src/orchestration/order-state.ts";
import { submission, window } from "./world.ts";

/** The leg of the orders below. */
export const leg: Leg = {
  leg: 1,
  attempt: 1,
  channel: { id: "chn_1", type: "external_partner" },
  slot: window,
  promised: window,
  costMinor: 900,
};

/** An order for tests of what is decided: with one attempt where `booking` is given. */
export function carried(options: {
  status: OrderStatus;
  booking?: AttemptRecord["booking"];
  /** It is being left, and was this before. */
  leaving?: OrderStatus;
  undoing?: "cancelling" | "failing";
  /** It moves (so it is being left, too), and its new attempt is this. */
  moving?: "holding" | "held";
}): Carried {
  const { status, booking, leaving, undoing, moving } = options;
  const attempt = {
    leg: 1,
    attempt: 1,
    channelId: "chn_1",
    slotId: "slt_1",
    units: 1,
    held: true,
    partner: null,
  };
  const shown = booking !== undefined && leaving === undefined ? [leg] : [];
  return {
    id: docOf().id,
    lane: 0,
    clientId: "cli_test",
    doc: docOf(),
    personal: null,
    state: { status, version: 5, updatedAt: window.start, legs: shown },
    saga: {
      name: "fulfill-order",
      version: 1,
      attempts: 1,
      refusedBy: [],
      ...(leaving ? { before: { status: leaving, legs: [leg] } } : {}),
      ...(undoing ? { undoing } : {}),
      ...(moving ? { move: { doc: docOf(), changed: ["items"], leg: { ...leg, attempt: 2 } } } : {}),
    },
    deadlineMs: 0,
    revision: 0,
    attempts: [
      ...(booking === undefined ? [] : [{ ...attempt, booking }]),
      ...(moving ? [{ ...attempt, attempt: 2, booking: moving }] : []),
    ],
  };
}

const docOf = () => ({
  id: "ord_01kq5g3v9te3h8m8h8m8h8m8h8",
  ...submission("x").order,
  createdAt: window.start,
});
