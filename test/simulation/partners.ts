import type { Channel } from "../../src/capacity/api.ts";
import type {
  BookingOutcome,
  BookingRequest,
  CancelOutcome,
  ChannelAdapter,
  ChannelLedger,
  HoldOutcome,
  OfferOutcome,
} from "../../src/channels/api.ts";
import { kitchenAdapter } from "../../src/channels/kitchen.ts";
import type { CallbackKind } from "../../src/orchestration/api.ts";
import { parseAttemptKey } from "../../src/orchestration/carried.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";
import type { Caller } from "./wire.ts";

/** What a partner holds of an attempt. */
interface Booking {
  state: "held" | "booked" | "refused" | "cancelled" | "given_back" | "delivered";
  /** Too far to be cancelled. */
  left: boolean;
}

/** The world's side: partners that lose calls and answers, refuse, give back, and report, early, late and twice. */
export interface Partners {
  adapterOf(caller: Caller, channel: Channel): ChannelAdapter;
  /** What a channel says of its bookings, for reconciliation. */
  ledgerOf(caller: Caller, channel: Channel): ChannelLedger;
  /** Bookings that stand, by order and leg; `done` ones were delivered. */
  live(): readonly { key: string; channelId: string; delivered: boolean }[];
  /** Reports that are still to come. */
  readonly working: number;
  /** No more faults: every call arrives and is answered. */
  heal(): void;
}

export interface PartnerWorld {
  schedule: Schedule;
  random: Random;
  note(what: string): void;
  /** Something is wrong with what the platform does to its partners. */
  broken(what: string): void;
  /** Orders of which an operator said that a channel is lost, though it may not be. */
  answeredFor: ReadonlySet<string>;
  /** Sends a report to any process, again and again until one has taken it. */
  report(channelId: string, attemptKey: string, kind: CallbackKind, callbackId: string): void;
}

const timeoutMs = 500;

/** No answer, or "not now". */
type Failed = Extract<BookingOutcome, { kind: "unknown" | "retry" }>;

export function createPartners(world: PartnerWorld): Partners {
  const { schedule, random, note } = world;
  const ledgers = new Map<string, Map<string, Booking>>();
  let healed = false;
  let working = 0;
  const ill = (probability: number) => !healed && random.chance(probability);
  const ledgerOf = (channelId: string) => {
    const ledger = ledgers.get(channelId) ?? new Map<string, Booking>();
    ledgers.set(channelId, ledger);
    return ledger;
  };

  /** I4, as the world sees it: of one leg at most one booking stands. */
  function assertOneBooking(key: string): void {
    const { orderId, leg } = parseAttemptKey(key)!;
    const standing = [...ledgers.values()].flatMap((ledger) =>
      [...ledger].filter(([other, { state }]) => {
        const parsed = parseAttemptKey(other)!;
        return (
          (state === "booked" || state === "delivered") && parsed.orderId === orderId && parsed.leg === leg
        );
      }),
    );
    if (standing.length > 1 && !world.answeredFor.has(orderId))
      world.broken(
        `I4: ${orderId} is booked ${standing.length} times: ${standing.map(([other]) => other).join(", ")}`,
      );
  }

  function book(channel: Channel, { key, notAfter }: BookingRequest): BookingOutcome {
    const ledger = ledgerOf(channel.id);
    const known = ledger.get(key);
    if (known?.state === "booked" || known?.state === "delivered")
      return { kind: "booked", bookingRef: `ref-${key}` };
    if (known && known.state !== "held") return { kind: "refused", reason: `this key is ${known.state}` };
    if (schedule.nowMs > Date.parse(notAfter)) return { kind: "refused", reason: "too late" };
    const state = ill(0.15) ? "refused" : "booked";
    ledger.set(key, { state, left: false });
    note(`${channel.name} has ${state} ${key}`);
    if (state === "refused") return { kind: "refused", reason: "no cook" };
    assertOneBooking(key);
    beginWork(channel, key, ledger.get(key)!);
    return { kind: "booked", bookingRef: `ref-${key}` };
  }

  function hold(channel: Channel, { key }: BookingRequest): HoldOutcome {
    const ledger = ledgerOf(channel.id);
    const known = ledger.get(key);
    if (known && known.state !== "held") return { kind: "refused", reason: `this key is ${known.state}` };
    if (ill(0.15)) return { kind: "refused", reason: "no room" };
    ledger.set(key, { state: "held", left: false });
    return { kind: "held", ...(channel.type === "partner_network" ? { partner: "member" } : {}) };
  }

  const offer = (): OfferOutcome =>
    ill(0.1) ? { kind: "refused", reason: "nobody is free" } : { kind: "accepted", partner: "member" };

  function cancel(channel: Channel, key: string): CancelOutcome {
    const ledger = ledgerOf(channel.id);
    const known = ledger.get(key);
    if (known?.left) return { kind: "refused", reason: "it has left" };
    note(`${channel.name} has cancelled ${key}${known ? "" : " (unknown until now)"}`);
    // A report that was on its way before may still come.
    if (known) known.state = "cancelled";
    else ledger.set(key, { state: "cancelled", left: false });
    return { kind: "cancelled" };
  }

  /** What follows a booking, by reports. Some partners give the order back, some never report. */
  function beginWork(channel: Channel, key: string, booking: Booking): void {
    const tell = (afterMs: number, kind: CallbackKind, then: () => void) => {
      working += 1;
      schedule.in(afterMs, () => {
        working -= 1;
        if (booking.state !== "booked") return;
        then();
        const callbackId = `${key}-${kind}`;
        world.report(channel.id, key, kind, callbackId);
        if (ill(0.2))
          schedule.in(random.between(0, 3_000), () => world.report(channel.id, key, kind, callbackId));
      });
    };
    if (ill(0.08)) {
      tell(random.between(0, 6_000), "refused", () => {
        booking.state = "given_back";
        note(`${channel.name} gives ${key} back`);
      });
      return;
    }
    if (ill(0.1)) return;
    let atMs = 0;
    for (const kind of ["preparing", "ready", "dispatched", "delivered"] as const) {
      atMs += random.between(0, 3_000);
      tell(atMs, kind, () => {
        if (kind === "dispatched") booking.left = true;
        if (kind === "delivered") booking.state = "delivered";
      });
    }
  }

  /** Now and then a channel is out of order for a while: busy, not to be reached, or heard by nobody. */
  type Outage = { untilMs: number; kind: "busy" | "unreachable" | "unheard" };
  const outages = new Map<string, Outage>();
  function outageOf(channelId: string): Outage["kind"] | null {
    let outage = outages.get(channelId);
    if (outage === undefined || (outage.untilMs < schedule.nowMs && random.chance(0.1))) {
      const kind = random.pick(["busy", "unreachable", "unheard"] as const);
      outage = { untilMs: schedule.nowMs + random.between(-10_000, 6_000), kind };
      outages.set(channelId, outage);
    }
    return !healed && schedule.nowMs < outage.untilMs ? outage.kind : null;
  }

  /** A call's way there and back; the caller gives up after its timeout, whatever becomes of the call. */
  function call<T>(
    caller: Caller,
    channelId: string,
    work: () => T,
    failed: { unknown: T; busy: T },
  ): Promise<T> {
    const outage = outageOf(channelId);
    return new Promise((resolve) => {
      let answered = false;
      const answer = (result: T) => {
        if (answered) return;
        answered = true;
        caller.whenAwake(() => resolve(result));
      };
      schedule.in(timeoutMs, () => answer(failed.unknown));
      if (outage === "busy" || ill(0.05))
        return void schedule.in(random.between(1, 150), () => answer(failed.busy));
      if (outage === "unreachable" || ill(0.05)) return; // never arrives
      const thereMs = ill(0.05) ? random.between(timeoutMs, 90_000) : random.between(1, 150);
      schedule.in(thereMs, () => {
        const result = work();
        if (outage !== "unheard" && !ill(0.05)) schedule.in(random.between(1, 150), () => answer(result));
      });
    });
  }

  const failed = {
    unknown: { kind: "unknown", detail: "timeout" },
    busy: { kind: "retry", afterMs: 100, detail: "503" },
  } as const;

  return {
    adapterOf(caller, channel) {
      if (channel.type === "internal_kitchen" || channel.type === "dark_store") return kitchenAdapter;
      const each = <Request, T>(requests: readonly Request[], work: (request: Request) => T) =>
        Promise.all(
          requests.map((request) => call<T | Failed>(caller, channel.id, () => work(request), failed)),
        );
      return {
        local: false,
        batches: channel.type === "external_partner",
        offer: (_, requests) => each(requests, offer),
        hold: (_, requests) => each(requests, (request) => hold(channel, request)),
        book: (_, requests) => each(requests, (request) => book(channel, request)),
        cancel: (_, requests) => each(requests, ({ key }) => cancel(channel, key)),
      };
    },
    ledgerOf(caller, channel) {
      const read = <T>(work: () => T) =>
        call<T | null>(caller, channel.id, work, { unknown: null, busy: null });
      const shown = (state: Booking["state"]) =>
        state === "delivered" ? "booked" : state === "given_back" ? "refused" : state;
      const ledger = ledgerOf(channel.id);
      return {
        ...(channel.type === "partner_network" ? { partner: "member" } : {}),
        list: (cursor, limit) =>
          read(() => {
            const from = Number(cursor ?? 0);
            const all = [...ledger].map(([key, { state }]) => ({ key, state: shown(state) }));
            const nextCursor = from + limit < all.length ? String(from + limit) : null;
            return { items: all.slice(from, from + limit), nextCursor };
          }),
        status: (key) =>
          read(() => {
            const known = ledger.get(key);
            return { key, state: known ? shown(known.state) : ("none" as const) };
          }),
      };
    },
    live: () =>
      [...ledgers].flatMap(([channelId, ledger]) =>
        [...ledger]
          .filter(([, { state }]) => state === "booked" || state === "delivered")
          .map(([key, { state }]) => ({ key, channelId, delivered: state === "delivered" })),
      ),
    get working() {
      return working;
    },
    heal() {
      healed = true;
    },
  };
}
