import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel } from "../../src/capacity/api.ts";
import { afterChange, healthOf, withCircuit } from "../../src/capacity/circuits.ts";
import { channelOf } from "../channels/support.ts";

const at = "2026-11-24T07:00:00.000Z";
const partners = ["ant", "bee"].map((id) => ({ id, name: id, endpoint: `http://127.0.0.1/${id}` }));
const network: Channel = channelOf("partner_network", { partners });

const opened = (channel: Channel, partner?: string): Channel => withCircuit(channel, partner, "timeout", at)!;
const closed = (channel: Channel, partner?: string): Channel => withCircuit(channel, partner, null, at)!;

test("a partner whose circuit opens is down, and up again when it closes", () => {
  const down = opened(channelOf("external_partner"));
  assert.deepEqual([down.health, down.openCircuits], ["down", [{ since: at, detail: "timeout" }]]);
  const up = closed(down);
  assert.deepEqual([up.health, up.openCircuits], ["up", undefined]);
});

test("a network is degraded while some of its members can't be reached, and down when none can", () => {
  const one = opened(network, "ant");
  const both = opened(one, "bee");
  assert.deepEqual([one.health, both.health, closed(both, "ant").health], ["degraded", "down", "degraded"]);
  assert.equal(healthOf(closed(closed(both, "ant"), "bee")), "up");
});

test("what is noted already changes nothing", () => {
  assert.equal(withCircuit(network, "ant", null, at), null);
  assert.equal(withCircuit(opened(network, "ant"), "ant", "again", at), null);
});

test("what an operator has set stays, whatever circuits do", () => {
  const set = channelOf("external_partner", { health: "degraded" });
  assert.equal(opened(set).health, "degraded");
  assert.equal(closed(opened(set)).health, "degraded");
});

test("a member that left the network takes its circuit along", () => {
  const one = opened(network, "ant");
  const left = afterChange(one, { ...one, partners: partners.slice(1) });
  assert.deepEqual([left.health, left.openCircuits], ["up", undefined]);
  assert.deepEqual(afterChange(one, { ...one, name: "other" }), { ...one, name: "other" });
  assert.equal(afterChange(one, { ...one, health: "up" }).health, "up");
});
