import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrderStatus } from "../../src/orchestration/order-state.ts";
import { compare, type OurAttempt, type TheirBooking } from "../../src/reconciliation/compare.ts";

const key = "ord_01kq5g3v9te3h8m8h8m8h8m8h8.1.1";
const ours = (booking: string, status: OrderStatus, partner: string | null = null): OurAttempt => ({
  key,
  orderId: key.split(".")[0]!,
  status,
  booking,
  partner,
});
const judged = (state: TheirBooking["state"], attempt?: OurAttempt, partner?: string) => {
  const found = compare({ key, state }, attempt, partner);
  return found && `${found.kind} ${found.repair}`;
};

test("a booking that we gave up is cancelled; one that we never made is shown", () => {
  for (const booking of ["cancelled", "refused"])
    assert.equal(judged("booked", ours(booking, "cancelled")), "unowned cancel");
  assert.equal(judged("booked"), "unknown null");
});

test("a booking at another member of the network than the one that won is given up, too", () => {
  assert.equal(judged("booked", ours("booked", "confirmed", "ant"), "bee"), "unowned cancel");
  assert.equal(judged("booked", ours("booked", "confirmed", "ant"), "ant"), null);
  assert.equal(judged("tombstone", ours("booked", "confirmed", "ant"), "bee"), null);
});

test("a booking that we count on and the channel has not: its order goes on elsewhere, unless it is on its way", () => {
  for (const state of ["none", "cancelled", "refused", "tombstone"] as const) {
    for (const status of ["confirmed", "preparing", "ready", "stuck"] as const)
      assert.equal(judged(state, ours("booked", status)), "missing reroute");
    assert.equal(judged(state, ours("booked", "dispatched")), "missing null");
    for (const status of ["delivered", "undelivered", "cancelling", "rerouting"] as const)
      assert.equal(judged(state, ours("booked", status)), null);
  }
});

test("what is in flight is nobody's mistake", () => {
  for (const booking of ["pending", "holding", "held"]) {
    for (const state of ["booked", "held", "none", "cancelled"] as const)
      assert.equal(judged(state, ours(booking, "reserved")), null, `${booking} ${state}`);
  }
  assert.equal(judged("held", ours("booked", "confirmed")), null);
  assert.equal(judged("none"), null);
});
