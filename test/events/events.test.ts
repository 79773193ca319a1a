import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { CloudEvent } from "cloudevents";
import fc from "fast-check";
import { eventId, unfold } from "../../src/bus/events.ts";
import { channelTypes, vehicles } from "../../src/capacity/api.ts";
import { orderStatuses } from "../../src/orchestration/order-state.ts";
import { type EventRow, eventTypes, type PackedEvent } from "../../src/relay/api.ts";
import { validateEvent, validateRow } from "../../src/relay/events.ts";
import { sortOut } from "../../src/relay/relay.ts";
import orderSchema from "../../src/relay/schemas/order.json" with { type: "json" };
import { patchBetween, type State, snapshotOf } from "../../src/relay/snapshot.ts";
import { channelRow, newOrderId, orderRow } from "./sample.ts";

const id = newOrderId();
const clone = (row: EventRow): EventRow => JSON.parse(JSON.stringify(row));

/** A copy with the value at a path replaced, or removed when it is undefined. */
function altered(row: EventRow, path: readonly (string | number)[], value: unknown): EventRow {
  const copy = clone(row);
  let at = copy as unknown as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as typeof at;
  const last = path.at(-1)!;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

test("a row unfolds to CloudEvents in version order, each with the order as it was at that version", () => {
  const events = unfold(orderRow(id, 1, 4));
  assert.deepEqual(
    events.map((event) => [event.type, event.subjectversion]),
    [
      ["order.created", 1],
      ["order.status_changed", 2],
      ["channel.assigned", 2],
      ["order.status_changed", 3],
      ["order.status_changed", 4],
    ],
  );
  const statuses = events.map((event) => (event.data.order as { status: string }).status);
  assert.deepEqual(statuses, ["received", "reserved", "reserved", "booked", "confirmed"]);
  assert.equal((events[4]!.data.order as { customerId: string }).customerId, "cus_42");
  assert.deepEqual([events[4]!.data.from, events[4]!.data.to], ["booked", "confirmed"]);
  assert.equal(new Set(events.map((event) => event.id)).size, 5);
  assert.equal(events[4]!.id, `${id}.4.order.status_changed`);
});

test("what unfolds is valid to the cloudevents package and to its own schema", () => {
  for (const event of [...unfold(orderRow(id, 1, 8)), ...unfold(channelRow(2))]) {
    assert.equal(validateEvent(event), null);
    assert.ok(
      new CloudEvent(event as unknown as ConstructorParameters<typeof CloudEvent>[0], true).validate(),
    );
  }
});

test("there is one schema file for each event type, and they know every status, channel type and vehicle", () => {
  const files = readdirSync(new URL("../../src/relay/schemas/", import.meta.url));
  for (const type of eventTypes) assert.ok(files.includes(`${type}.json`), type);
  assert.deepEqual([...orderSchema.$defs.status.enum].sort(), [...orderStatuses].sort());
  assert.deepEqual(orderSchema.$defs.channel.properties.type.enum, [...channelTypes]);
  assert.deepEqual(orderSchema.$defs.doc.properties.delivery.properties.vehicle.enum, [...vehicles]);
});

test("the legs that one version of a split order assigns have different event ids", () => {
  const event = { type: "channel.assigned", version: 2 } as const;
  assert.equal(eventId(id, { ...event, data: { leg: 1 } }), `${id}.2.channel.assigned`);
  assert.equal(eventId(id, { ...event, data: { leg: 2 } }), `${id}.2.channel.assigned.2`);
});

test("checking a row as packed says the same as checking the events that it unfolds to", () => {
  const row = orderRow(id, 1, 4);
  const paths: (string | number)[][] = [
    ...Object.keys(row.doc).map((key) => ["doc", key]),
    ["doc", "address"],
    ["doc", "items", 0, "quantity"],
    ["doc", "items", 0, "note"],
    ["doc", "delivery", "location", "lat"],
    ["doc", "delivery", "contact"],
    ["events", 1, "data", "from"],
    ["events", 1, "data", "surprise"],
    ["events", 2, "data", "leg"],
    ["events", 3, "at"],
    ...["legs", "reason", "phone"].map((key) => ["events", 3, "patch", key]),
    ["events", 3, "patch", "legs", 0, "slot", "end"],
    ["events", 3, "patch", "legs", 0, "courier"],
  ];
  const values = fc.oneof(
    fc.constant(undefined),
    fc.constantFrom(
      "",
      "x",
      "2026-11-24T08:00:00Z",
      "confirmed",
      "AED",
      "express",
      -1,
      0,
      1.5,
      3,
      null,
      true,
    ),
    fc.constantFrom({}, [], { code: "no_slot", detail: "" }, { lat: 1, lng: 2 }),
  );
  let valid = 0;
  let invalid = 0;
  fc.assert(
    fc.property(fc.constantFrom(...paths), values, (path, value) => {
      const candidate = altered(row, path, value);
      // The doc's id is compared with the subject, which no schema can do.
      fc.pre(candidate.doc.id === id);
      const packed = validateRow(candidate) === null;
      assert.equal(
        packed,
        unfold(candidate).every((event) => validateEvent(event) === null),
      );
      if (packed) valid += 1;
      else invalid += 1;
    }),
    { numRuns: 2_000 },
  );
  assert.ok(valid > 50 && invalid > 500, `${valid} valid and ${invalid} invalid rows were tried`);
});

test("whatever JSON a row holds, checking it answers and never throws", () => {
  const row = orderRow(id, 1, 2);
  const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown>;
  fc.assert(
    fc.property(json, json, json, (doc, events, event) => {
      assert.notEqual(validateRow({ ...row, doc: doc as EventRow["doc"] }), null);
      assert.notEqual(validateRow({ ...row, events: events as EventRow["events"] }), null);
      assert.notEqual(validateRow({ ...row, events: [event] as EventRow["events"] }), null);
    }),
  );
});

test("a row that contradicts itself is refused with a reason that a person understands", () => {
  const row = orderRow(id, 1, 4);
  const reasons: [EventRow, RegExp][] = [
    [
      altered(row, ["doc", "address"], { line1: "Marina Walk 12" }),
      /doc must NOT have unevaluated properties \("address"\)/,
    ],
    [altered(row, ["events", 3, "patch", "version"], 9), /version 3: patch .*additional.*version/],
    [altered(row, ["events", 3, "patch", "costMinor"], 900), /version 3: patch .*additional.*costMinor/],
    [altered(row, ["events", 2, "data", "leg"], 2), /version 2: data must have required property 'leg'/],
    [altered(row, ["events", 3, "data", "to"], "ready"), /data.to is ready and the status booked/],
    [altered(row, ["events", 1, "type"], "order.eaten"), /no event type "order.eaten"/],
    [altered(row, ["events"], []), /at least one/],
    [altered(row, ["events", 1], row.events[2]), /two events have the id/],
    [altered(row, ["events", 2], row.events[1]), /version 2 stands where 3 should/],
    [altered(row, ["events"], [row.events[0], row.events[3]]), /version 3 stands where 2 should/],
    [altered(row, ["events"], [row.events[2]]), /no event stands for version 2/],
    [altered(row, ["events"], [row.events[4], row.events[3]]), /version 3 comes after version 4/],
    [altered(row, ["clientId"], null), /name its client/],
    [altered(row, ["lane"], 64), /no lane 64/],
    [altered(row, ["subject"], "ord_x"), /doc.id must be the subject/],
    [altered(row, ["events"], channelRow(1).events), /is not about an order/],
    [altered(channelRow(2), ["doc", "secret"], "whsec_x"), /unevaluated|additional/],
  ];
  for (const [bad, reason] of reasons) assert.match(String(validateRow(bad)), reason);
  assert.equal(validateRow(row), null);
  assert.equal(validateRow(channelRow(2)), null);
});

test("a row that steps back behind what its subject reached is set aside, and the others pass", () => {
  const other = newOrderId();
  const rows = [orderRow(id, 1, 4), orderRow(id, 3, 3), orderRow(other, 1, 1), orderRow(id, 5, 5)];
  const { good, bad } = sortOut(rows.map((row, index) => ({ ...row, id: index })));
  assert.deepEqual(
    good.map((row) => row.id),
    [0, 2, 3],
  );
  assert.deepEqual(
    bad.map(({ row }) => row.id),
    [1],
  );
  assert.match(bad[0]!.reason, /version 3 comes after version 4/);
});

test("patches that hold only what changed, with null for what is gone, unfold to whole orders", () => {
  const full = orderRow(id, 1, 8);
  const failing = { code: "no_capacity", detail: "full until the window" };
  const states = full.events.map(({ patch }) => patch as State);
  const [leg] = states[1]!.legs as State[];
  states[3] = { ...states[3], reason: failing, legs: [{ ...leg, bookingRef: "kit-1" }] };
  const events: PackedEvent[] = full.events.map(({ patch: _, ...event }, index) => {
    const patch = patchBetween(states[index - 1] ?? {}, states[index]!);
    return patch ? { ...event, patch } : event;
  });
  const tight = { ...full, events };
  assert.deepEqual(tight.events[3]!.patch, {
    status: "booked",
    reason: failing,
    legs: { 1: { bookingRef: "kit-1" } },
  });
  assert.equal(tight.events[4]!.patch!.reason, null);
  assert.equal(validateRow(tight), null);
  assert.deepEqual(
    unfold(tight).map((event) => event.data.order),
    events.map((event, index) => snapshotOf(full.doc, states[index]!, event)),
  );
});

test("docs/events.md has an example of each type, and each is valid", () => {
  const text = readFileSync(new URL("../../docs/events.md", import.meta.url), "utf8");
  const examples = [...text.matchAll(/```json\n([\s\S]*?)```/g)].map((match) => JSON.parse(match[1]!));
  assert.deepEqual(examples.map((event) => event.type).sort(), [...eventTypes].sort());
  for (const event of examples) assert.equal(validateEvent(event), null);
});
