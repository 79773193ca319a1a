import assert from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { moveOn } from "../../src/orchestration/moves.ts";
import type { OrderState } from "../../src/orchestration/order.ts";
import {
  isEnd,
  mayGo,
  type OrderStatus,
  orderStates,
  orderStatuses,
} from "../../src/orchestration/order-state.ts";
import { lastState } from "../../src/relay/snapshot.ts";
import { window } from "./world.ts";

const start: OrderState = moveOn(null, [{ to: "received" }], 0).state;

/** A way through the table, as long as it lasts. */
const way = fc.array(fc.nat(), { maxLength: 12 }).map((choices) => {
  const statuses: OrderStatus[] = [];
  let at: OrderStatus = "received";
  for (const choice of choices) {
    const next: readonly OrderStatus[] = orderStates[at].to;
    if (next.length === 0) break;
    at = next[choice % next.length]!;
    statuses.push(at);
  }
  return statuses;
});

test("every version of an order has exactly one snapshot event, whatever way it went", () => {
  fc.assert(
    fc.property(way, (statuses) => {
      const { state, events, entries } = moveOn(
        start,
        statuses.map((to) => ({ to })),
        1,
      );
      const snapshots = events
        .filter((event) => event.type !== "channel.assigned")
        .map((event) => event.version);
      assert.deepStrictEqual(
        snapshots,
        statuses.map((_, index) => index + 2),
      );
      assert.deepStrictEqual(
        entries.map((entry) => entry.version),
        snapshots,
      );
      assert.strictEqual(state.version, statuses.length + 1);
      assert.strictEqual(state.status, statuses.at(-1) ?? "received");
    }),
  );
});

test("a row's patches, one over the other, give the order as it was at each version", () => {
  const reason = { code: "given_back", detail: "closed" } as const;
  const channel = { id: "chn_1", type: "external_partner" } as const;
  const leg = { leg: 1, attempt: 1, channel, slot: window, promised: window, costMinor: 1 };
  const moves = [
    { to: "reserved", legs: [leg] },
    { to: "rerouting", legs: [], reason },
    { to: "reserved", legs: [{ ...leg, attempt: 2 }] },
    { to: "booked", legs: [{ ...leg, attempt: 2, bookingRef: "ref" }] },
    { to: "confirmed" },
  ] as const;
  const { events } = moveOn(start, moves, 1);
  const states = moves.map((_, index) => moveOn(start, moves.slice(0, index + 1), 1).state);
  for (const [index, { version }] of events.entries()) {
    assert.deepStrictEqual(lastState({ events: events.slice(0, index + 1) }), states[version - 2]);
  }
});

test("a move that the table does not hold is refused", () => {
  fc.assert(
    fc.property(way, fc.constantFrom(...orderStatuses), (statuses, to) => {
      const { state } = moveOn(
        start,
        statuses.map((status) => ({ to: status })),
        1,
      );
      const go = () => moveOn(state, [{ to }], 2);
      if (mayGo(state.status, to)) assert.strictEqual(go().state.status, to);
      else assert.throws(go, /can't go from/);
    }),
  );
});

test("from every status an end can be reached, and an end is left by nothing", () => {
  for (const status of orderStatuses) {
    const seen = new Set<OrderStatus>([status]);
    for (const reached of seen) for (const next of orderStates[reached].to) seen.add(next);
    assert.ok([...seen].some(isEnd), status);
    assert.strictEqual(
      orderStates[status].due === null,
      isEnd(status),
      `${status}: a deadline unless it is an end`,
    );
  }
});

test("a reason stays from cancelling to cancelled and goes when the order is on its way again", () => {
  const reason = { code: "cancelled_by_client", detail: "changed my mind" } as const;
  const cancelled = moveOn(start, [{ to: "cancelling", reason }, { to: "cancelled" }], 1).state;
  assert.deepStrictEqual(cancelled.reason, reason);
  const rerouted = moveOn(
    start,
    [{ to: "reserved" }, { to: "rerouting", reason }, { to: "reserved" }],
    1,
  ).state;
  assert.strictEqual(rerouted.reason, undefined);
});
