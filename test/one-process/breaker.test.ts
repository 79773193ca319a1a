import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Channel } from "../../src/capacity/api.ts";
import type { BehaviourPatch } from "../../src/channels/simulator/behaviour.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import { aChannel, anOrder, type Call, clientOf, readStream } from "../gateway/client.ts";
import { startPlatform, type TestPlatform } from "../support/platform.ts";

/** Circuits over HTTP, with the simulator as the world; the seed's figures but for the times, which are short here. */

const hourMs = 3_600_000;
const iso = (ms: number): string => new Date(ms).toISOString();
const slot = { start: iso(Date.now() - hourMs), end: iso(Date.now() + 24 * hourMs), capacity: 10_000 };
const quick = { BREAKER_RECOVERY_MS: "300", BREAKER_MONITOR_MS: "50", ANSWER_WITHIN_MS: "10000" };

let platform: TestPlatform;
let admin: Call;
let world: Call;
let partner: Channel;

before(async () => {
  platform = await startPlatform({ simulator: true, env: quick });
  admin = clientOf(platform.url, platform.apiKey);
  world = clientOf(platform.simulatorUrl, null);
  partner = await addPartner("east");
});
after(() => platform.stop());

async function addPartner(name: string): Promise<Channel> {
  const type = "external_partner";
  const made = await admin<Channel>(
    "POST",
    "/v1/channels",
    aChannel({ name, type, endpoint: platform.simulatorUrl, bookTimeoutMs: 500 }),
  );
  const endpoint = `${platform.simulatorUrl}/channels/${made.body.id}`;
  await admin("PATCH", `/v1/channels/${made.body.id}`, { endpoint });
  await admin("PUT", `/v1/channels/${made.body.id}/capacity`, { slots: [slot] });
  await platform.introduce(made.body.id);
  await behave(made.body, { callbacks: "manual", latencyMs: { min: 0, max: 2 } });
  return made.body;
}

const behave = ({ id }: Channel, behaviour: BehaviourPatch) =>
  world("PUT", `/control/channels/${id}`, { behaviour });

async function until(holds: (channel: Channel) => boolean): Promise<Channel> {
  for (let round = 0; round < 500; round += 1) {
    const { body } = await admin<Channel>("GET", `/v1/channels/${partner.id}`);
    if (holds(body)) return body;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { text } = await admin("GET", `/v1/channels/${partner.id}`);
  return assert.fail(`never: ${text}`);
}

/** Up; or degraded, when so many calls have failed until then that this speaks against it. */
const isReachable = ({ health, openCircuits }: Channel): boolean =>
  health !== "down" && openCircuits === undefined;

const place = (wait = true) =>
  admin<OrderView>(
    "POST",
    "/v1/orders",
    anOrder({ routing: { channelTypes: ["external_partner"] } }),
    wait ? {} : { prefer: "respond-async" },
  );

test("a partner that fails is down for all to see, its orders wait, and when it answers again they are confirmed", async () => {
  const changes: string[] = [];
  const told = (count: number) =>
    readStream(`${platform.url}/v1/events/stream?types=channel.health_changed`, platform.apiKey, {
      lastEventId: "0",
      enough: (events) => {
        changes.splice(0, changes.length);
        for (const { data } of events)
          changes.push(`${data.data.from} → ${data.data.to}: ${data.data.reason ?? ""}`);
        return events.length === count;
      },
    });
  await behave(partner, { failRate: 1 });
  const waiting = await Promise.all(Array.from({ length: 6 }, () => place(false)));
  assert.ok(waiting.every(({ status }) => status === 202));
  const down = await until(({ health }) => health === "down");
  assert.equal(down.openCircuits?.length, 1);
  assert.match(down.openCircuits![0]!.detail, /500/);
  const { text } = await clientOf(platform.url, null)("GET", "/metrics");
  assert.match(text, new RegExp(`uoop_channel_circuit_open\\{channel="${partner.id}",partner=""\\} 1`));
  // An order that only it could take is not failed: it waits.
  const late = await place(false);
  assert.equal(late.status, 202);

  await told(1); // changes that follow each other at once are told as one
  await behave(partner, { failRate: 0 });
  await until(isReachable);
  await told(2);
  assert.equal(changes[0], "up → down: the channel answered 500");
  assert.match(changes[1]!, /^down → (up|degraded)/);
  const stored = await admin<OrderView>("GET", `/v1/orders/${late.body.id}`);
  assert.notEqual(stored.body.status, "failed");
  assert.equal((await place()).status, 201);
});

test("a circuit that a process left open when it died is closed by another, once the channel answers", async () => {
  const by = { actor: "breaker", source: "gone:1" };
  await platform.app.capacity.noteCircuit(partner.id, undefined, "timeout", by);
  await until(({ health }) => health === "down");
  await until(isReachable);
});

test("a channel that is down and does not answer probes stays down", async () => {
  const by = { actor: "breaker", source: "gone:1" };
  const none = "http://127.0.0.1:9";
  const { endpoint } = (await admin<Channel>("GET", `/v1/channels/${partner.id}`)).body;
  await admin("PATCH", `/v1/channels/${partner.id}`, { endpoint: none });
  await platform.app.capacity.noteCircuit(partner.id, undefined, "timeout", by);
  await new Promise((resolve) => setTimeout(resolve, 800));
  assert.equal((await until(() => true)).health, "down");
  await admin("PATCH", `/v1/channels/${partner.id}`, { endpoint });
  await until(isReachable);
});
