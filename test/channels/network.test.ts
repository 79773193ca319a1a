import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuction } from "../../src/channels/auction.ts";
import type { CallOutcome } from "../../src/channels/outcome.ts";
import { bookingRequest, testServer, testWorld, until } from "./support.ts";

const world = await testWorld();
const slow = { latencyMs: { min: 150, max: 150 } };

test("the first member to accept wins, and the holds of the others are withdrawn", async () => {
  const channel = await world.add("partner_network", {}, { ant: slow, cat: { refuseRate: 1 } });
  const adapter = world.channels.adapterFor(channel);
  const request = bookingRequest();
  assert.deepEqual(await adapter.offer(channel, [request]), [{ kind: "accepted", partner: "bee" }]);
  const [booked] = await adapter.book(channel, [{ ...request, partner: "bee" }]);
  assert.equal(booked!.kind, "booked");
  await until(async () => {
    const states = new Map((await world.ledger(channel)).map((entry) => [entry.partner, entry.state]));
    return (
      states.get("ant") === "cancelled" && states.get("bee") === "booked" && states.get("cat") === "refused"
    );
  });
});

test("a member that answers after another has won gets a withdrawal, which must not touch a booking", async () => {
  const channel = await world.add("partner_network", {}, { ant: { refuseRate: 1 } });
  const { promise: won, resolve: wonNow } = Promise.withResolvers<void>();
  const withdrawn: unknown[] = [];
  const late = await testServer(async (request, response, body) => {
    if (request.method === "GET") return void response.writeHead(404).end();
    const { call, key, unlessBooked } = JSON.parse(body) as Record<string, unknown>;
    if (call === "hold") await won;
    else withdrawn.push(unlessBooked);
    response.writeHead(200).end(JSON.stringify({ key, status: call === "hold" ? "held" : "cancelled" }));
  });
  const partners = channel.partners!.map((member) =>
    member.id === "cat" ? { ...member, endpoint: late.url } : member,
  );
  const offered = { ...channel, partners };
  const outcomes = await world.channels.adapterFor(offered).offer(offered, [bookingRequest()]);
  assert.deepEqual(outcomes, [{ kind: "accepted", partner: "bee" }]);
  wonNow();
  await until(() => withdrawn.length > 0);
  assert.deepEqual(withdrawn, [true]);
});

const held: CallOutcome = { kind: "answered", answer: { key: "k", status: "held" } };
const refused: CallOutcome = { kind: "answered", answer: { key: "k", status: "refused", reason: "closed" } };
const unknown: CallOutcome = { kind: "unknown", detail: "no answer" };
const retry = (afterMs: number): CallOutcome => ({ kind: "retry", afterMs, detail: "busy" });
const [ant, bee, cat] = [{ id: "ant" }, { id: "bee" }, { id: "cat" }] as const;

async function auction(...bids: [typeof ant | typeof bee | typeof cat, CallOutcome][]) {
  const one = createAuction([ant, bee, cat]);
  const withdrawn = bids.flatMap(([member, outcome]) => one.bid(member, outcome).map(({ id }) => id));
  return { outcome: await one.outcome, withdrawn };
}

test("a member that did not answer is told once another has won: it may hold all the same", async () => {
  assert.deepEqual(await auction([ant, unknown], [bee, held], [cat, held]), {
    outcome: { kind: "accepted", partner: "bee" },
    withdrawn: ["ant", "cat"],
  });
});

test("an offer is refused only when every member said no", async () => {
  assert.deepEqual(await auction([ant, refused], [bee, refused], [cat, refused]), {
    outcome: { kind: "refused", reason: "closed" },
    withdrawn: [],
  });
  assert.equal((await auction([ant, refused], [bee, unknown], [cat, retry(5)])).outcome.kind, "unknown");
  assert.deepEqual((await auction([ant, retry(900)], [bee, refused], [cat, retry(300)])).outcome, retry(300));
  assert.deepEqual((await createAuction([]).outcome).kind, "refused");
});

test("a booking without an award is not sent to anyone", async () => {
  const channel = await world.add("partner_network");
  const adapter = world.channels.adapterFor(channel);
  const [outcome] = await adapter.book(channel, [bookingRequest()]);
  assert.equal(outcome!.kind, "retry");
  assert.deepEqual(await world.ledger(channel), []);
});
