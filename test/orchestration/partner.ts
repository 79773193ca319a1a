import assert from "node:assert";
import type { Channel } from "../../src/capacity/api.ts";
import type {
  BookingOutcome,
  BookingRequest,
  CancelOutcome,
  ChannelAdapter,
  HoldOutcome,
} from "../../src/channels/api.ts";

/** A partner as it is for this test: what it answers, and what it holds, by key; never two firm bookings of an order. */
export class Partner implements ChannelAdapter {
  readonly local = false;
  readonly batches = true;
  readonly held = new Map<
    string,
    { state: "held" | "booked" | "cancelled"; request: BookingRequest | null }
  >();
  holding: () => Promise<HoldOutcome> = async () => ({ kind: "held" });
  booking: () => Promise<BookingOutcome> = async () => ({ kind: "booked", bookingRef: "ref" });
  cancelling: (key: string) => Promise<CancelOutcome> = async () => ({ kind: "cancelled" });

  offer = async () => [];

  hold(_channel: Channel, requests: readonly BookingRequest[]) {
    return Promise.all(
      requests.map(async (request) => {
        const answer = await this.holding();
        if (answer.kind === "held") this.held.set(request.key, { state: "held", request });
        return answer;
      }),
    );
  }

  book(_channel: Channel, requests: readonly BookingRequest[]) {
    return Promise.all(
      requests.map(async (request) => {
        const answer = await this.booking();
        if (answer.kind === "booked") {
          assert.deepStrictEqual(this.live(request.orderId, request.key), [], "I4: another booking is live");
          this.held.set(request.key, { state: "booked", request });
        }
        return answer;
      }),
    );
  }

  cancel(_channel: Channel, requests: readonly { key: string }[]) {
    return Promise.all(
      requests.map(async ({ key }) => {
        const answer = await this.cancelling(key);
        if (answer.kind === "cancelled") this.held.set(key, { state: "cancelled", request: null });
        return answer;
      }),
    );
  }

  /** Firm bookings of an order, but for one key. */
  live(orderId: string, except = ""): string[] {
    return [...this.held]
      .filter(([key, { state }]) => key.startsWith(orderId) && state === "booked" && key !== except)
      .map(([key]) => key);
  }

  reset(): void {
    this.holding = async () => ({ kind: "held" });
    this.booking = async () => ({ kind: "booked", bookingRef: "ref" });
    this.cancelling = async () => ({ kind: "cancelled" });
  }
}
