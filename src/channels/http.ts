import type { Channel } from "../capacity/api.ts";
import { type Clock, toIso } from "../platform/clock.ts";
import type { CancelOutcome, ChannelAdapter, OfferOutcome } from "./api.ts";
import type { Endpoint, EndpointSettings } from "./endpoint.ts";
import { toBookingOutcome, toCancelOutcome, toHoldOutcome } from "./outcome.ts";
import { bookCall, cancelCall, holdCall, holdForMs } from "./protocol.ts";

/** How the channel's address is to be called, from the channel as it is now. */
export const settingsOf = (channel: Channel, url: string): EndpointSettings => ({
  url,
  timeoutMs: channel.bookTimeoutMs,
  maxConcurrentCalls: channel.maxConcurrentCalls,
});

const noEndpointRetryMs = 5_000;
const noEndpoint = () =>
  ({ kind: "retry", afterMs: noEndpointRetryMs, detail: "the channel has no endpoint" }) as const;

/** An external partner: one address that speaks the protocol (docs/channel-protocol.md). */
export function createHttpAdapter(endpoint: Endpoint, clock: Clock): ChannelAdapter {
  return {
    local: false,
    get batches() {
      return endpoint.batches;
    },
    // A single partner has nobody to compete with: it is asked once, by the booking itself.
    offer: async (channel, requests) =>
      requests.map((): OfferOutcome => ({ kind: "accepted", partner: channel.id })),
    async hold(channel, requests) {
      if (!channel.endpoint) return requests.map(noEndpoint);
      const expiresAt = toIso(clock.nowMs() + holdForMs);
      const calls = requests.map((request) => holdCall({ channelId: channel.id }, request, expiresAt));
      const outcomes = await endpoint.ask(settingsOf(channel, channel.endpoint), calls);
      return outcomes.map(toHoldOutcome);
    },
    async book(channel, requests) {
      if (!channel.endpoint) return requests.map(noEndpoint);
      const calls = requests.map((request) => bookCall({ channelId: channel.id }, request));
      const outcomes = await endpoint.ask(settingsOf(channel, channel.endpoint), calls);
      return outcomes.map(toBookingOutcome);
    },
    async cancel(channel, requests): Promise<readonly CancelOutcome[]> {
      if (!channel.endpoint) return requests.map(noEndpoint);
      const calls = requests.map((request) => cancelCall({ channelId: channel.id }, request));
      const outcomes = await endpoint.ask(settingsOf(channel, channel.endpoint), calls);
      return outcomes.map(toCancelOutcome);
    },
  };
}
