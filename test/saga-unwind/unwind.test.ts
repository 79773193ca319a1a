import assert from "node:assert";
import { after, before, describe, test } from "node:test";
import type { Channel, ChannelType } from "../../src/capacity/api.ts";
import type {
  BookingOutcome,
  CancelOutcome,
  ChannelAdapter,
  HoldOutcome,
  OfferOutcome,
} from "../../src/channels/api.ts";
import { isEnd } from "../../src/orchestration/order-state.ts";
import { fulfillOrder, moveOrder } from "../../src/orchestration/saga.ts";
import { assertInvariants, by, submission, type TestWorld, testWorld } from "../orchestration/world.ts";

/**
 * Generated from the saga table: for every step that calls out, on every channel type that has it, every way that its
 * call can go wrong, for each position of a batch. A new step or outcome is covered without a new test.
 */

type Failure = "refused" | "retry" | "unknown" | "throws" | "unknown, though taken";
const failures: readonly Failure[] = ["refused", "retry", "unknown", "throws", "unknown, though taken"];
const undoFailures = ["retry", "unknown", "throws"] as const;
const batchSize = 5;

/** A partner that remembers what it holds, and goes wrong as told: the world's side, scripted. */
class ScriptedPartner implements ChannelAdapter {
  readonly local = false;
  readonly batches = true;
  readonly bookings = new Map<string, { channelId: string; state: "booked" | "cancelled" }>();
  /** `step key` → what goes wrong there, once. */
  readonly script = new Map<string, Failure | (typeof undoFailures)[number]>();

  offer(channel: Channel, requests: Parameters<ChannelAdapter["offer"]>[1]) {
    return this.#each(
      "offer",
      requests,
      (): OfferOutcome => ({ kind: "accepted", partner: `${channel.id}-a` }),
    );
  }

  hold(_channel: Channel, requests: Parameters<ChannelAdapter["hold"]>[1]) {
    return this.#each("hold", requests, (): HoldOutcome => ({ kind: "held" }));
  }

  book(channel: Channel, requests: Parameters<ChannelAdapter["book"]>[1]) {
    return this.#each("book", requests, (key): BookingOutcome => {
      const before = this.bookings.get(key);
      if (before?.state === "cancelled") return { kind: "refused", reason: "cancelled before" };
      this.bookings.set(key, { channelId: channel.id, state: "booked" });
      return { kind: "booked", bookingRef: `ref-${key}` };
    });
  }

  cancel(channel: Channel, requests: Parameters<ChannelAdapter["cancel"]>[1]) {
    return this.#each("cancel", requests, (key): CancelOutcome => {
      this.bookings.set(key, { channelId: channel.id, state: "cancelled" });
      return { kind: "cancelled" };
    });
  }

  async #each<Out>(
    step: string,
    requests: readonly { key: string; orderId: string }[],
    good: (key: string) => Out,
  ): Promise<Out[]> {
    return requests.map(({ key, orderId }) => {
      const wrong = this.script.get(`${step} ${orderId}`);
      this.script.delete(`${step} ${orderId}`);
      if (wrong === undefined) return good(key);
      if (wrong === "throws") throw new Error(`scripted: ${step} throws`);
      if (wrong === "unknown, though taken") good(key);
      return outcomeOf(wrong) as Out;
    });
  }
}

const outcomeOf = (failure: Exclude<Failure, "throws"> | "retry") => {
  switch (failure) {
    case "refused":
      return { kind: "refused", reason: "scripted" };
    case "retry":
      return { kind: "retry", afterMs: 1, detail: "scripted" };
    default:
      return { kind: "unknown", detail: "scripted" };
  }
};

const partner = new ScriptedPartner();
let world: TestWorld;
before(async () => {
  world = await testWorld(() => partner);
  for (const type of [
    "external_partner",
    "external_partner",
    "partner_network",
    "partner_network",
  ] as const) {
    await stocked(await world.channel({ type, name: `${type} ${Math.random()}`, tracksStock: true }));
  }
});

/** Their stock is counted, so that every undo below gives that back as well: the invariants at the end say whether it does. */
async function stocked({ id }: Channel): Promise<void> {
  const items = ["meal-123", "other"].map((sku) => ({ sku, quantity: 10_000 }));
  await world.capacity.putStock(id, items, { key: null, whenReserved: "refuse" }, by);
}

/** What is reserved of all stock is what the orders that are held have: those that did not end undone. */
async function assertStock(): Promise<void> {
  const query = (text: string) => world.database.run<{ units: number }>({ name: "", text });
  const [reserved] = await query("select sum(reserved)::int as units from stock");
  const [held] = await query(
    "select coalesce(sum(units), 0)::int as units from attempts where held and stock is not null",
  );
  assert.strictEqual(reserved!.units, held!.units);
  assert.ok(held!.units > 0, "nothing took of the stock");
}
after(() => world.stop());

/** Sends a batch restricted to one channel type; the order at `position` goes wrong at its first call of `step`. */
async function send(type: ChannelType, step: string, failure: Failure, position: number) {
  const name = `${type}-${step}-${failure}-${position}`;
  // The first call of this step whose order's externalId says so goes wrong: the script finds it by the order's place.
  const originals = { offer: partner.offer, book: partner.book };
  const seen = new Set<string>();
  const intercept = (
    requests: readonly { orderId: string; personal: { instructions?: string } | null }[],
  ) => {
    for (const request of requests) {
      if (request.personal?.instructions === `${name} wrong` && !seen.has(request.orderId)) {
        seen.add(request.orderId);
        partner.script.set(`${step} ${request.orderId}`, failure);
      }
    }
  };
  if (step === "offer") {
    partner.offer = (channel, requests) => {
      intercept(requests);
      return originals.offer.call(partner, channel, requests);
    };
  } else {
    partner.book = (channel, requests) => {
      intercept(requests);
      return originals.book.call(partner, channel, requests);
    };
  }
  const orders = Array.from({ length: batchSize }, (_, index) => ({
    ...submission(`${name}-${index}`, { routing: { channelTypes: [type] } }),
    personal: { instructions: index === position ? `${name} wrong` : name },
  }));
  const results = await world.orchestration.submit(orders, { waitMs: 8_000 });
  Object.assign(partner, originals);
  assert.strictEqual(seen.size, 1, "the failure was never met");
  return results.map((result) => (result.kind === "order" ? result.order : assert.fail(result.detail)));
}

/** I4 as the partners saw it: one live booking for each confirmed order, none for the others. */
function assertBookings(orders: readonly { id: string; status: string }[]): void {
  for (const order of orders) {
    const live = [...partner.bookings].filter(
      ([key, { state }]) => key.startsWith(order.id) && state === "booked",
    );
    assert.strictEqual(
      live.length,
      order.status === "confirmed" ? 1 : 0,
      `${order.id} ${order.status}: ${live.map(([key]) => key)}`,
    );
  }
}

const calling = fulfillOrder.steps.filter((step) => step.name === "offer" || step.name === "book");
for (const step of calling) {
  const types: readonly ChannelType[] = step.only ? [step.only] : ["external_partner", "partner_network"];
  for (const type of types) {
    describe(`${step.name} at ${type}`, () => {
      for (const failure of failures) {
        for (const position of [0, 2, batchSize - 1]) {
          test(`${failure} for order ${position} of ${batchSize}: all are confirmed, booked once`, async () => {
            const orders = await send(type, step.name, failure, position);
            assert.deepStrictEqual(
              orders.map((order) => order.status),
              orders.map(() => "confirmed"),
            );
            assertBookings(orders);
          });
        }
      }
    });
  }
}

// Of a move: what its steps call, and for each way in which that goes wrong. Wherever it ends, one channel has the order.
const calls = { hold: "hold", leave: "cancel" } as const;
const moving = moveOrder.steps.filter(({ name }) => name in calls) as { name: keyof typeof calls }[];
for (const { name } of moving) {
  describe(`moving, ${name}`, () => {
    for (const failure of failures) {
      for (const position of [0, batchSize - 1]) {
        test(`${failure} for order ${position} of ${batchSize}: each is moved or as it was, booked once`, async () => {
          const what = `move-${name}-${failure}-${position}`;
          const placed = await world.orchestration.submit(
            Array.from({ length: batchSize }, (_, index) =>
              submission(`${what}-${index}`, { routing: { channelTypes: ["external_partner"] } }),
            ),
            { waitMs: 8_000 },
          );
          const orders = placed.map((one) => (one.kind === "order" ? one.order : assert.fail(one.detail)));
          partner.script.set(`${calls[name]} ${orders[position]!.id}`, failure);
          const items = [{ sku: "other", quantity: 2, unitPriceMinor: 1 }];
          const changes = orders.map(({ id }) => ({
            id,
            clientId: null,
            expectedVersion: null,
            change: { items },
            by,
          }));
          const results = await world.orchestration.change(changes, { waitMs: 8_000 });
          results.forEach((result, index) => {
            const kept = failure === "refused" && index === position;
            assert.strictEqual(result.kind, kept ? "refused" : "order", JSON.stringify(result));
          });
          const after = (await world.orchestration.read(orders.map(({ id }) => id))).map((one) => one!.order);
          assert.deepStrictEqual(
            after.map(({ status, items: [first] }) => `${status} ${first?.sku}`),
            results.map(({ kind }) => `confirmed ${kind === "order" ? "other" : "meal-123"}`),
          );
          assertBookings(after);
        });
      }
    }
  });
}

describe("undo", () => {
  for (const type of ["external_partner", "partner_network"] as const) {
    for (const failure of undoFailures) {
      test(`cancelling at ${type}: ${failure} once, then it is cancelled and nothing is held or booked`, async () => {
        const [made] = await world.orchestration.submit(
          [submission(`undo-${type}-${failure}`, { routing: { channelTypes: [type] } })],
          { waitMs: 5_000 },
        );
        assert.ok(made?.kind === "order" && made.order.status === "confirmed");
        partner.script.set(`cancel ${made.order.id}`, failure);
        const [cancelled] = await world.orchestration.cancel(
          [{ id: made.order.id, clientId: "cli_test", by }],
          { waitMs: 8_000 },
        );
        assert.ok(cancelled?.kind === "order");
        assert.strictEqual(cancelled.order.status, "cancelled");
        assertBookings([cancelled.order]);
      });
    }
  }

  test("three channels that refuse are all that are asked; then the order fails, undone", async () => {
    for (const name of ["third", "fourth"])
      await stocked(await world.channel({ type: "external_partner", name, tracksStock: true }));
    const original = partner.book;
    const asked = new Set<string>();
    partner.book = async (channel, requests) =>
      requests.map(({ key }) => {
        asked.add(key);
        return { kind: "refused", reason: `${channel.name} is closed` };
      });
    const [result] = await world.orchestration.submit(
      [submission("nobody", { routing: { channelTypes: ["external_partner"] } })],
      { waitMs: 8_000 },
    );
    partner.book = original;
    assert.ok(result?.kind === "order");
    assert.partialDeepStrictEqual(result.order, {
      status: "failed",
      reason: { code: "refused_by_channels" },
    });
    assert.strictEqual(asked.size, 3);
  });

  test("an order cancelled while its booking is in flight ends cancelled, and no booking lives", async () => {
    const original = partner.book;
    const { promise: called, resolve: onCall } = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    partner.book = async (channel, requests) => {
      onCall();
      await released;
      return original.call(partner, channel, requests);
    };
    const sent = world.orchestration.submit(
      [submission("in-flight", { routing: { channelTypes: ["external_partner"] } })],
      { waitMs: 0 },
    );
    await called;
    const [made] = await sent;
    assert.ok(made?.kind === "order");
    const cancelling = world.orchestration.cancel([{ id: made.order.id, clientId: "cli_test", by }], {
      waitMs: 8_000,
    });
    const [cancelled] = await cancelling;
    release();
    partner.book = original;
    assert.ok(cancelled?.kind === "order" && isEnd(cancelled.order.status), JSON.stringify(cancelled));
    assert.strictEqual(cancelled.order.status, "cancelled");
    await new Promise((resolve) => setImmediate(resolve));
    assertBookings([cancelled.order]);
  });
});

describe("a process that dies", () => {
  test("its orders are taken over by another, which asks again with the same keys", async () => {
    const original = partner.book;
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    partner.book = async () => {
      await released;
      return [];
    };
    const other = await world.another();
    const sent = await other.orchestration.submit(
      Array.from({ length: batchSize }, (_, index) =>
        submission(`dies-${index}`, { routing: { channelTypes: ["external_partner"] } }),
      ),
      { waitMs: 0 },
    );
    const ids = sent.map((result) => (result.kind === "order" ? result.order.id : assert.fail()));
    partner.book = original;
    // Freeze it: its lease is taken as if it had lapsed; what it still does must do nothing.
    const heir = await world.another({ exclusive: true });
    const confirmed = await waitFor(heir.orchestration, ids);
    assert.deepStrictEqual(
      confirmed,
      ids.map(() => "confirmed"),
    );
    release();
    await other.stop();
    await heir.stop();
    const orders = await world.orchestration.read(ids);
    assertBookings(orders.map((stored) => stored!.order));
  });
});

async function waitFor(orchestration: TestWorld["orchestration"], ids: readonly string[]): Promise<string[]> {
  for (let round = 0; round < 400; round += 1) {
    const statuses = (await orchestration.read(ids)).map((stored) => stored!.order.status);
    if (statuses.every((status) => status === "confirmed" || isEnd(status))) return statuses;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return assert.fail("the orders never settled");
}

test("after all of this every invariant holds", async () => {
  await assertInvariants(world.database);
  await assertStock();
});
