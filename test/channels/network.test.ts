import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuction } from "../../src/channels/auction.ts";
import type { CallOutcome } from "../../src/channels/outcome.ts";
import { bookingRequest, testWorld, until } from "./support.ts";

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

test("a withdrawal that arrives after its member was booked does not touch the booking", async () => {
  const channel = await world.add("partner_network");
  const adapter = world.channels.adapterFor(channel);
  const request = bookingRequest();
  await adapter.book(channel, [{ ...request, partner: "cat" }]);
  // An offer of the same key by a process that does not know of the award: somebody wins, the others are withdrawn.
  await world.behave(channel, {}, { cat: slow });
  await adapter.offer(channel, [request]);
  await world.channels.stop();
  const ofCat = (await world.ledger(channel)).find(({ partner }) => partner === "cat");
  assert.equal(ofCat?.state, "booked");
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
