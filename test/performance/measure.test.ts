import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Leg, OrderState, Reason } from "../../src/orchestration/order.ts";
import type { OrderStatus } from "../../src/orchestration/order-state.ts";
import { add, at, type Decayed, distribution, noSums, observe } from "../../src/performance/decay.ts";
import { measure, needsPast, type Past } from "../../src/performance/measure.ts";
import { type PartName, parts, qualityOf, type Share, weights } from "../../src/performance/quality.ts";
import type { EventRow, PackedEvent } from "../../src/relay/api.ts";

const startMs = Date.UTC(2026, 10, 24, 8);
const hourMs = 3_600_000;
const near = (one: number, other: number) =>
  assert.ok(Math.abs(one - other) <= 1e-9 * Math.max(1, Math.abs(other)), `${one} is not ${other}`);

const additions = fc.array(
  fc.record({ hours: fc.double({ min: 0, max: 5_000, noNaN: true }), value: fc.nat({ max: 1_000 }) }),
  { maxLength: 50 },
);

test("a decayed sum is each addition, halved once for each half-life that has passed", () => {
  const halfLife = fc.integer({ min: 1, max: 200 });
  fc.assert(
    fc.property(additions, halfLife, (list, halfLifeHours) => {
      const sums = noSums();
      for (const { hours, value } of list)
        add(sums, halfLifeHours * hourMs, "x", value, startMs + hours * hourMs);
      const nowMs = startMs + 6_000 * hourMs;
      const wanted = list.reduce(
        (sum, { hours, value }) => sum + value * 2 ** ((hours - 6_000) / halfLifeHours),
        0,
      );
      near(at(sums, halfLifeHours * hourMs, nowMs)("x"), wanted);
    }),
  );
});

test("what is stored as JSON between any two additions gives the same bits", () => {
  fc.assert(
    fc.property(additions, fc.nat({ max: 50 }), (list, cut) => {
      const put = (sums: Decayed, from: number, to: number) => {
        for (const { hours, value } of list.slice(from, to))
          observe(sums, hourMs, "x", value, startMs + hours * hourMs);
        return sums;
      };
      const whole = put(noSums(), 0, list.length);
      const stored = JSON.parse(JSON.stringify(put(noSums(), 0, cut))) as Decayed;
      assert.deepEqual(put(stored, cut, list.length), whole);
    }),
  );
});

test("the 95th percentile is that of the values, within a bucket's half", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 1, max: 60_000, noNaN: true }), { minLength: 1 }), (values) => {
      const sums = noSums();
      for (const value of values) observe(sums, hourMs, "x", value, startMs);
      const { count, mean, p95 } = distribution(sums, hourMs, "x", startMs);
      near(count, values.length);
      near(mean!, values.reduce((sum, value) => sum + value, 0) / values.length);
      const exact = values.toSorted((a, b) => a - b)[Math.ceil(0.95 * values.length - 1e-9) - 1]!;
      assert.ok(p95! / exact < 1.0443 && exact / p95! < 1.0443, `${p95} for ${exact}`);
    }),
  );
});

const share = fc
  .tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1e6, noNaN: true }))
  .map(([part, of]): Share => ({ good: part * of, of }));
const shares = fc.record(
  Object.fromEntries(parts.map((name) => [name, share])) as Record<PartName, typeof share>,
);
const prior = fc.double({ min: 0, max: 1, noNaN: true });

test("a channel of which nothing is measured has the quality that operations set, whatever that weighs", () => {
  const nothing = Object.fromEntries(parts.map((name) => [name, { good: 0, of: 0 }])) as Record<
    PartName,
    Share
  >;
  fc.assert(
    fc.property(prior, fc.nat({ max: 1_000 }), (rated, orders) => {
      assert.equal(qualityOf(nothing, rated, orders).score, rated);
    }),
  );
});

test("quality is between 0 and 1, and one more that went well never lowers it", () => {
  near(
    Object.values(weights).reduce((sum, weight) => sum + weight, 0),
    1,
  );
  fc.assert(
    fc.property(
      shares,
      prior,
      fc.nat({ max: 100 }),
      fc.constantFrom(...parts),
      (given, rated, orders, name) => {
        const { score } = qualityOf(given, rated, orders);
        assert.ok(score >= 0 && score <= 1);
        const { good, of } = given[name];
        const better = { ...given, [name]: { good: good + 1, of: of + 1 } };
        const worse = { ...given, [name]: { good, of: of + 1 } };
        // From no order at all to the first, the prior itself is what changes: only with a prior that counts is it the same.
        if (orders === 0) return;
        assert.ok(qualityOf(better, rated, orders).score >= score - 1e-12);
        assert.ok(qualityOf(worse, rated, orders).score <= score + 1e-12);
      },
    ),
  );
});

const leg = (type: Leg["channel"]["type"] = "external_partner"): Leg => ({
  leg: 1,
  attempt: 1,
  channel: { id: "chn_a", type },
  slot: { start: iso(0), end: iso(120) },
  promised: { start: iso(30), end: iso(60) },
  costMinor: 900,
});

function iso(minute: number): string {
  return new Date(startMs + minute * 60_000).toISOString();
}

interface Step {
  from: OrderStatus;
  to: OrderStatus;
  minute: number;
  legs?: readonly Leg[];
  reason?: Reason["code"];
  lateSince?: string;
}

const event = ({ from, to, minute, legs = [leg()], reason, lateSince }: Step): PackedEvent => ({
  type: "order.status_changed",
  version: 1,
  at: iso(minute),
  data: { from, to },
  patch: {
    status: to,
    legs,
    ...(reason ? { reason: { code: reason, detail: "" } } : {}),
    ...(lateSince ? { lateSince } : {}),
  } satisfies Partial<OrderState> as PackedEvent["patch"] & object,
});

/** Each step is a row of its own; what all of them measured, as words. */
function told(steps: readonly Step[]): string[] {
  let past: Past | undefined;
  const words: string[] = [];
  for (const step of steps) {
    const row: Pick<EventRow, "events"> = { events: [event(step)] };
    const done = measure(row as never, past);
    past = done.past;
    for (const { channelId, what, minutes } of done.measured)
      words.push(`${channelId} ${what}${minutes === undefined ? "" : ` ${minutes}`}`);
  }
  return words;
}

test("an order on its way tells acceptance, preparation, the way and that it was on time", () => {
  const words = told([
    { from: "reserved", to: "booked", minute: 1 },
    { from: "confirmed", to: "preparing", minute: 10 },
    { from: "preparing", to: "ready", minute: 25 },
    { from: "ready", to: "dispatched", minute: 30 },
    { from: "dispatched", to: "delivered", minute: 48 },
  ]);
  assert.deepEqual(words, ["chn_a accepted", "chn_a prepared 15", "chn_a brought 18", "chn_a on_time"]);
});

test("our own kitchens are not asked; a late order falls late once, and its minutes count at the door", () => {
  const legs = [leg("internal_kitchen")];
  const way = [
    { from: "reserved", to: "booked", minute: 1, legs },
    { from: "dispatched", to: "delivered", minute: 75, legs },
  ] as const;
  assert.deepEqual(told(way), ["chn_a fell_late", "chn_a late 15"]);
  assert.deepEqual(told([{ ...way[1], lateSince: iso(60) }]), ["chn_a late 15"]);
});

test("who lost the order is told by its past; a move that was asked for is nobody's fault", () => {
  const before: Step = { from: "received", to: "reserved", minute: 1 };
  const lost = (from: OrderStatus, reason: Reason["code"]): Step => ({
    from,
    to: "rerouting",
    minute: 2,
    legs: [],
    reason,
  });
  assert.deepEqual(told([before, lost("reserved", "refused_by_channels")]), ["chn_a refused"]);
  assert.deepEqual(told([before, lost("reserved", "channel_unreachable")]), ["chn_a unanswered"]);
  assert.deepEqual(told([before, lost("confirmed", "given_back")]), ["chn_a given_back"]);
  assert.deepEqual(told([before, lost("confirmed", "changing")]), []);
  assert.deepEqual(told([before, lost("confirmed", "rerouted_by_operator")]), []);
  assert.ok(needsPast({ events: [event(lost("reserved", "given_back"))] }));
});

test("a shut door is not the same as an order of which nothing was reported", () => {
  const ended = (reason: Reason["code"]): Step => ({
    from: "dispatched",
    to: "undelivered",
    minute: 90,
    reason,
  });
  assert.deepEqual(told([ended("not_at_home")]), ["chn_a door_shut"]);
  assert.deepEqual(told([ended("not_reported")]), ["chn_a not_reported"]);
});

test("a report of the end alone tells no times, and a new channel's preparation begins anew", () => {
  assert.deepEqual(told([{ from: "ready", to: "delivered", minute: 40 }]), ["chn_a on_time"]);
  const words = told([
    { from: "confirmed", to: "preparing", minute: 5 },
    { from: "preparing", to: "rerouting", minute: 6, legs: [], reason: "given_back" },
    { from: "rerouting", to: "reserved", minute: 7 },
    { from: "preparing", to: "ready", minute: 20 },
  ]);
  assert.deepEqual(words, ["chn_a given_back"]);
});
