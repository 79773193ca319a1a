import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CancellationRules } from "../../src/capacity/api.ts";
import type { CallbackKind, OperatorAction } from "../../src/orchestration/api.ts";
import { cancellationOf } from "../../src/orchestration/cancellation.ts";
import {
  type AttemptRecord,
  afterDecision,
  type Carried,
  type Decision,
} from "../../src/orchestration/carried.ts";
import { decideDue, type RoutedFor } from "../../src/orchestration/decide.ts";
import { decideOperate } from "../../src/orchestration/decide-operate.ts";
import { decideReport } from "../../src/orchestration/decide-report.ts";
import { decideCancel, decideUndone, decideUndoRefused } from "../../src/orchestration/decide-undo.ts";
import { isEnd, type OrderStatus, orderStatuses } from "../../src/orchestration/order-state.ts";
import { carried, leg } from "./carried.ts";
import { place, window } from "./world.ts";

/** Every decision about every order that there can be: none breaks the table, and each leaves I3 and I4 whole. */

const kinds: readonly CallbackKind[] = [
  "preparing",
  "ready",
  "dispatched",
  "delivered",
  "undelivered",
  "refused",
];
const actions: readonly OperatorAction[] = ["retry", "reroute", "force_cancel"];
const promised: readonly OrderStatus[] = ["confirmed", "preparing", "ready", "dispatched", "delivered"];

const reasonOf = { code: "cancelled_by_client", detail: "x" } as const;
const decision = { method: "best_each", policy: "p", chosen: null, candidates: [], excluded: {} } as const;
const elsewhere: RoutedFor = { kind: "assign", assignment: {} as never };
const nowhere: RoutedFor = { kind: "none_now", decision };

/** An order of each status with what it can stand on: nothing, an unanswered booking, a firm one, one being left. */
const orders: readonly Carried[] = orderStatuses.flatMap((status): Carried[] => {
  const bare = carried({ status });
  const held = (booking: AttemptRecord["booking"]) => carried({ status, booking });
  switch (status) {
    case "received":
      return [bare];
    case "reserved":
      return [held("pending")];
    case "rerouting":
      return [
        bare,
        ...(["pending", "booked"] as const).map((booking) =>
          carried({ status, booking, leaving: booking === "pending" ? "reserved" : "confirmed" }),
        ),
        ...(["holding", "held"] as const).map((moving) =>
          carried({ status, booking: "booked", leaving: "confirmed", moving }),
        ),
      ];
    case "cancelling":
    case "failing":
      return [bare, held("pending"), held("booked"), carried({ status, booking: "booked", moving: "held" })];
    case "stuck":
      return (["cancelling", "failing"] as const).flatMap((undoing) => [
        carried({ status, booking: "pending", undoing }),
        carried({ status, booking: "booked", undoing }),
      ]);
    case "cancelled":
    case "failed":
      return [bare];
    default:
      return [held("booked")];
  }
});

function assertWhole(before: Carried, decided: Decision, what: string): Carried {
  const after = afterDecision(before, decided, false);
  const { status, legs } = after.state;
  const open = after.attempts.filter(({ held }) => held);
  if (status === "cancelled" || status === "failed") {
    assert.ok(open.length === 0, `I3: ${what}`);
    assert.ok(
      after.attempts.every(({ booking }) => booking !== "booked" && booking !== "pending"),
      `I3: ${what}`,
    );
  }
  if (promised.includes(status)) {
    assert.deepEqual(
      open.map(({ booking }) => booking),
      ["booked"],
      `I4: ${what}`,
    );
    assert.deepEqual(
      legs.map(({ attempt }) => attempt),
      open.map(({ attempt }) => attempt),
      `I4: ${what}`,
    );
  }
  if (isEnd(before.state.status)) assert.equal(after.state.version, before.state.version, what);
  return after;
}

const nameOf = ({ state, attempts }: Carried): string =>
  `${state.status} (${attempts.map(({ booking }) => booking)})`;

describe("whatever is decided of whatever order, the table and the invariants hold", () => {
  for (const order of orders) {
    test(nameOf(order), () => {
      for (const kind of kinds) {
        const decided = decideReport(order, { kind, at: window.start, leg: 1, attempt: 1 }, 1);
        if (decided.kind === "apply") assertWhole(order, decided.decision, `${nameOf(order)} ${kind}`);
      }
      const { allowed } = cancellationOf(order.state, undefined, 1);
      if (allowed) {
        const cancelling = assertWhole(
          order,
          decideCancel(order, reasonOf, 0, 1),
          `${nameOf(order)} cancelled`,
        );
        assertWhole(cancelling, decideUndone(cancelling, 2), `${nameOf(order)} undone`);
        assertWhole(cancelling, decideUndoRefused(cancelling, "too_late", 2), `${nameOf(order)} kept`);
      }
      const due = decideDue(order, 1);
      if (due) assertWhole(order, due, `${nameOf(order)} due`);
      assert.equal(due === null, isEnd(order.state.status), "every status but an end has a deadline");
      for (const action of actions) {
        for (const [route, lost] of [
          [elsewhere, false],
          [elsewhere, true],
          [nowhere, true],
        ] as const) {
          const operated = decideOperate(order, action, {
            note: "n",
            act: "k",
            rules: undefined,
            lost,
            nowMs: 1,
            elsewhere: () => route,
          });
          if (operated.kind !== "apply") continue;
          const after = assertWhole(order, operated.decision, `${nameOf(order)} ${action}`);
          const again = decideOperate(after, action, {
            note: "n",
            act: "k",
            rules: undefined,
            lost,
            nowMs: 2,
            elsewhere: () => route,
          });
          assert.equal(again.kind, "as_is", `${nameOf(order)} ${action} twice with one key`);
        }
      }
    });
  }
});

const report = (order: Carried, kind: CallbackKind): Carried => {
  const decided = decideReport(order, { kind, at: window.start, leg: 1, attempt: 1 }, 1);
  return decided.kind === "apply" ? afterDecision(order, decided.decision, false) : assert.fail(decided.kind);
};

for (const status of ["cancelling", "failing", "stuck"] as const) {
  for (const kind of ["dispatched", "delivered"] as const) {
    test(`${kind} while it is ${status}: the food had left, so it is ${kind}, and says that the undo came too late`, () => {
      const after = report(carried({ status, booking: "pending", undoing: "cancelling" }), kind);
      assert.equal(after.state.status, kind);
      assert.equal(after.state.reason?.code, "too_late_to_undo");
      assert.deepEqual(after.state.legs, [leg]);
      if (kind === "dispatched")
        assert.equal(report(after, "delivered").state.reason?.code, "too_late_to_undo");
    });
  }
}

test("given back while it is being undone, or stuck, it is undone", () => {
  assert.equal(
    report(carried({ status: "cancelling", booking: "booked" }), "refused").state.status,
    "cancelled",
  );
  const stuck = carried({ status: "stuck", booking: "booked", undoing: "failing" });
  assert.equal(report(stuck, "refused").state.status, "failed");
});

test("what is being prepared while it is undone changes nothing: the channel may still cancel it", () => {
  const decided = decideReport(
    carried({ status: "cancelling", booking: "booked" }),
    { kind: "ready", at: window.start, leg: 1, attempt: 1 },
    1,
  );
  assert.equal(decided.kind, "ignore");
});

test("a channel that is being left and will not have it cancelled keeps the order as it was", () => {
  const leaving = carried({ status: "rerouting", booking: "booked", leaving: "preparing" });
  const kept = afterDecision(leaving, decideUndoRefused(leaving, "too_late", 1), false);
  assert.equal(kept.state.status, "preparing");
  assert.deepEqual(kept.state.legs, [leg]);
  assert.equal(kept.saga.before, undefined);
  assert.equal(kept.state.reason?.code, "too_late_to_undo");
});

test("a channel that is being left and has cancelled gives the units back, and the order goes on seeking", () => {
  const leaving = carried({ status: "rerouting", booking: "booked", leaving: "confirmed" });
  const decided = decideUndone(leaving, 1);
  assert.deepEqual(
    decided.attemptChanges.map(({ booking, release }) => [booking, release]),
    [["cancelled", true]],
  );
  assert.equal(afterDecision(leaving, decided, false).state.status, "rerouting");
});

test("cancelling follows the channel's rules: until when, and for how much", () => {
  const beforeMs = (minutes: number) => Date.parse(window.start) - minutes * 60_000;
  const at = (status: OrderStatus, rules: CancellationRules | undefined, minutes: number) =>
    cancellationOf(carried({ status, booking: "booked" }).state, rules, beforeMs(minutes));
  const rules = { until: "preparing", feeMinor: 700, freeMinutesBefore: 60 } as const;
  assert.deepEqual(at("confirmed", rules, 61), { allowed: true, feeMinor: 0 });
  assert.deepEqual(at("confirmed", rules, 60), { allowed: true, feeMinor: 700 });
  assert.deepEqual(at("preparing", rules, -5), { allowed: true, feeMinor: 700 });
  assert.equal(at("ready", rules, 61).allowed, false);
  assert.deepEqual(at("reserved", rules, 0), { allowed: true, feeMinor: 0 });
  for (const status of orderStatuses.filter(isEnd)) assert.equal(at(status, rules, 100).allowed, false);
  assert.equal(at("dispatched", { ...rules, until: "ready" }, 100).allowed, false);
  assert.deepEqual(at("confirmed", undefined, 0), { allowed: true, feeMinor: 0 });
  assert.equal(at("preparing", undefined, 0).allowed, false);
});

test("what a cancellation costs is what the channel says, else what its rules say; kept, it costs nothing", () => {
  const order = carried({ status: "confirmed", booking: "booked" });
  const reason = { code: "cancelled_by_client", detail: "x" } as const;
  const cancelling = afterDecision(order, decideCancel(order, reason, 700, 1), false);
  assert.equal(cancelling.state.cancellationFeeMinor, 700);
  const fee = (said?: number) =>
    afterDecision(cancelling, decideUndone(cancelling, 1, said), false).state.cancellationFeeMinor;
  assert.deepEqual([fee(), fee(300), fee(0)], [700, 300, undefined]);
  const kept = afterDecision(cancelling, decideUndoRefused(cancelling, "too_late", 1), false);
  assert.equal(kept.state.cancellationFeeMinor, undefined);
  assert.equal(kept.state.status, "confirmed");
});

test("rerouting passes the present channel over, and refuses where nobody else could take the order", () => {
  const order = carried({ status: "confirmed", booking: "booked" });
  const routed: Carried[] = [];
  const options = { note: "oven broke", act: null, rules: undefined, lost: false, nowMs: 1 };
  const operated = decideOperate(order, "reroute", {
    ...options,
    elsewhere: (passing) => {
      routed.push(passing);
      return elsewhere;
    },
  });
  assert.equal(operated.kind, "apply");
  assert.deepEqual(routed[0]?.saga.avoiding, [{ channelId: "chn_1", untilMs: Date.parse(window.end) }]);
  assert.equal(decideOperate(order, "reroute", { ...options, elsewhere: () => nowhere }).kind, "refuse");
  assert.equal(order.doc.delivery.location, place);
});
