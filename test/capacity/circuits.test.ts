import assert from "node:assert/strict";
import { test } from "node:test";
import type { Channel } from "../../src/capacity/api.ts";
import { afterChange, healthOf, withCircuit, withSigns } from "../../src/capacity/circuits.ts";
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
  const set = afterChange({ ...channelOf("external_partner"), health: "degraded" }, "degraded");
  assert.equal(opened(set).health, "degraded");
  assert.equal(closed(opened(set)).health, "degraded");
  // Also where what is known comes to say the same, and then otherwise.
  const late = withSigns(set, [{ sign: "lateness", detail: "late" }], at)!;
  assert.deepEqual([late.health, withSigns(late, [], at)!.health], ["degraded", "degraded"]);
  assert.equal(afterChange({ ...late, name: "other" }).health, "degraded");
  // What is known anyway lets it follow again.
  const followed = afterChange({ ...set, health: "up" }, "up");
  assert.deepEqual([followed.healthSet, opened(followed).health], [undefined, "down"]);
});

test("a member that left the network takes its circuit along", () => {
  const one = opened(network, "ant");
  const left = afterChange({ ...one, partners: partners.slice(1) });
  assert.deepEqual([left.health, left.openCircuits], ["up", undefined]);
  assert.deepEqual(afterChange({ ...one, name: "other" }), { ...one, name: "other" });
  assert.equal(afterChange({ ...one, health: "up" }, "up").health, "up");
});

test("signs degrade a channel, circuits say more, and since when each holds is kept", () => {
  const partner = channelOf("external_partner");
  const late = withSigns(partner, [{ sign: "lateness", detail: "late" }], at)!;
  assert.deepEqual(
    [late.health, late.healthSigns],
    ["degraded", [{ sign: "lateness", detail: "late", since: at }]],
  );
  assert.equal(withSigns(late, [{ sign: "lateness", detail: "later" }], "2026-11-24T08:00:00.000Z"), null);
  assert.equal(opened(late).health, "down");
  assert.equal(closed(opened(late)).health, "degraded");
  const both = withSigns(
    late,
    [
      { sign: "errors", detail: "500" },
      { sign: "lateness", detail: "x" },
    ],
    "2026-11-24T08:00:00.000Z",
  )!;
  assert.deepEqual(
    both.healthSigns!.map(({ since }) => since),
    ["2026-11-24T08:00:00.000Z", at],
  );
  assert.deepEqual(
    [withSigns(both, [], at)!.health, withSigns(both, [], at)!.healthSigns],
    ["up", undefined],
  );
});
