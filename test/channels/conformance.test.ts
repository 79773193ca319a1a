import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Channel, ChannelType } from "../../src/capacity/api.ts";
import type { BookingOutcome, BookingRequest, ChannelAdapter, LedgerEntry } from "../../src/channels/api.ts";
import { bookingRequest, type TestWorld, testWorld, until } from "./support.ts";

/** What truly differs between the channel types; everything else holds for all of them. */
const adapters: readonly { type: ChannelType; calls: boolean; batch: boolean }[] = [
  { type: "internal_kitchen", calls: false, batch: true },
  { type: "dark_store", calls: false, batch: true },
  { type: "external_partner", calls: true, batch: true },
  { type: "external_partner", calls: true, batch: false },
  { type: "partner_network", calls: true, batch: true },
  { type: "partner_network", calls: true, batch: false },
];

/** Offers, takes the award to the booking, and books: the way of the saga. */
async function place(
  adapter: ChannelAdapter,
  channel: Channel,
  requests: readonly BookingRequest[],
): Promise<{ awarded: readonly BookingRequest[]; outcomes: readonly BookingOutcome[] }> {
  const offers = await adapter.offer(channel, requests);
  const awarded = requests.map((request, index) => {
    const offer = offers[index]!;
    return offer.kind === "accepted" ? { ...request, partner: offer.partner } : request;
  });
  const taken = awarded.filter((request) => request.partner !== undefined);
  const booked = await adapter.book(channel, taken);
  const outcomes = awarded.map((request, index) => {
    const offer = offers[index]!;
    return offer.kind === "accepted" ? booked[taken.indexOf(request)]! : offer;
  });
  return { awarded, outcomes };
}

const refOf = (outcome: BookingOutcome | undefined): string => {
  assert.equal(outcome?.kind, "booked", JSON.stringify(outcome));
  return (outcome as BookingOutcome & { kind: "booked" }).bookingRef;
};

const world = await testWorld();

for (const { type, calls, batch } of adapters) {
  describe(`${type}${calls ? (batch ? ", batches" : ", single calls") : ""}`, () => {
    const add = async (behaviour = {}): Promise<[Channel, ChannelAdapter]> => {
      const channel = await world.add(type, { batch, ...behaviour });
      return [channel, world.channels.adapterFor(channel)];
    };

    test("a booking is taken, and asking again gives the same reference", async () => {
      const [channel, adapter] = await add();
      const first = await place(adapter, channel, [bookingRequest()]);
      const again = await adapter.book(channel, first.awarded);
      assert.equal(refOf(again[0]), refOf(first.outcomes[0]));
      assert.equal(adapter.local, !calls);
    });

    test("many bookings are answered in input order, each with its own reference", async () => {
      const [channel, adapter] = await add();
      await place(adapter, channel, [bookingRequest()]);
      const { awarded, outcomes } = await place(
        adapter,
        channel,
        Array.from({ length: 30 }, () => bookingRequest()),
      );
      assert.equal(adapter.batches, batch || !calls);
      assert.equal(new Set(outcomes.map(refOf)).size, 30);
      const again = await Promise.all(awarded.map((request) => adapter.book(channel, [request])));
      assert.deepEqual(
        again.map(([outcome]) => refOf(outcome)),
        outcomes.map(refOf),
      );
    });

    test("a cancelled booking is gone, and cancelling again says so too", async () => {
      const [channel, adapter] = await add();
      const { awarded } = await place(adapter, channel, [bookingRequest()]);
      assert.deepEqual(await adapter.cancel(channel, awarded), [{ kind: "cancelled" }]);
      assert.deepEqual(await adapter.cancel(channel, awarded), [{ kind: "cancelled" }]);
      // The members that lost the award are told side by side with it.
      const isLive = ({ state }: LedgerEntry) => state === "booked" || state === "held";
      await until(async () => !(await world.ledger(channel)).some(isLive));
    });

    if (!calls) return;

    test("a cancel that comes before its booking leaves a tombstone: the booking is refused", async () => {
      const [channel, adapter] = await add();
      const request = bookingRequest();
      assert.deepEqual(await adapter.cancel(channel, [request]), [{ kind: "cancelled" }]);
      const partner = type === "partner_network" ? { partner: "bee" } : {};
      const late = await adapter.book(channel, [{ ...request, ...partner }]);
      assert.deepEqual(late, [{ kind: "refused", reason: "cancelled" }]);
      assert.ok((await world.ledger(channel)).every(({ state }) => state === "tombstone"));
    });

    test("a booking that arrives after notAfter is not taken", async () => {
      const [channel, adapter] = await add();
      const partner = type === "partner_network" ? { partner: "bee" } : {};
      const late = bookingRequest({ notAfter: "2020-01-01T00:00:00.000Z", ...partner });
      assert.deepEqual(await adapter.book(channel, [late]), [{ kind: "refused", reason: "too_late" }]);
    });

    test("a channel without room refuses, and keeps to its no", async () => {
      const [channel, adapter] = await add({ refuseRate: 1 });
      const requests = [bookingRequest(), bookingRequest(), bookingRequest()];
      const { outcomes } = await place(adapter, channel, requests);
      assert.deepEqual(
        outcomes,
        requests.map(() => ({ kind: "refused", reason: "no_room" })),
      );
      await world.behave(channel, { refuseRate: 0 });
      const again = await place(adapter, channel, requests);
      assert.deepEqual(again.outcomes, outcomes);
    });

    test("no answer in time is unknown, and the same key later gives one booking", async () => {
      const [channel, adapter] = await add();
      const impatient = { ...channel, bookTimeoutMs: 150 };
      const offered = await adapter.offer(
        channel,
        Array.from({ length: 4 }, () => bookingRequest()),
      );
      const requests = offered.map((offer) => ({
        ...bookingRequest(),
        partner: (offer as { partner: string }).partner,
      }));
      await world.behave(channel, { timeoutRate: 1 });
      const lost = await Promise.all(requests.map((request) => adapter.book(impatient, [request])));
      assert.deepEqual(
        lost.map(([outcome]) => outcome!.kind),
        ["unknown", "unknown", "unknown", "unknown"],
      );
      await world.behave(channel, { timeoutRate: 0 });
      const refs = (await adapter.book(channel, requests)).map(refOf);
      assert.deepEqual((await adapter.book(channel, requests)).map(refOf), refs);
      const booked = (await world.ledger(channel)).filter(({ state }) => state === "booked");
      assert.deepEqual(booked.map(({ key }) => key).sort(), requests.map(({ key }) => key).sort());
    });

    test("a server error is unknown: the work may have been done", async () => {
      const [channel, adapter] = await add({ failRate: 1 });
      const partner = type === "partner_network" ? { partner: "bee" } : {};
      const [outcome] = await adapter.book(channel, [bookingRequest(partner)]);
      assert.equal(outcome!.kind, "unknown");
    });

    test("an order that has left can't be cancelled, and says why", async () => {
      const [channel, adapter] = await add();
      const { awarded } = await place(adapter, channel, [bookingRequest()]);
      await report(world, channel, awarded[0]!.key, "dispatched");
      assert.deepEqual(await adapter.cancel(channel, awarded), [{ kind: "refused", reason: "too_late" }]);
    });
  });
}

/** Lets a stage happen by hand; there is no platform that would hear of it. */
async function report(world: TestWorld, channel: Channel, attemptKey: string, kind: string): Promise<void> {
  const body = { channelId: channel.id, attemptKey, kind, at: new Date().toISOString() };
  void fetch(`${world.simulator.url}/control/report`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  }).catch(() => undefined);
  // The stage is written before the report goes out; the next call on this server comes after it.
  await fetch(`${world.simulator.url}/control/stats`);
}
