import { Agent } from "undici";
import type { Channel } from "../capacity/api.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Service } from "../platform/service.ts";
import type { ChannelAdapter, ChannelLedger } from "./api.ts";
import type { BreakerSettings } from "./breaker.ts";
import { createEndpoint, type Endpoint, type EndpointWorld } from "./endpoint.ts";
import { createHttpAdapter, settingsOf } from "./http.ts";
import { kitchenAdapter } from "./kitchen.ts";
import { ledgerOf } from "./ledger.ts";
import { createMonitor } from "./monitor.ts";
import { createNetworkAdapter, type NetworkAdapter } from "./network.ts";
import type { Addressee } from "./protocol.ts";

export interface Channels extends Service {
  /** The adapter that speaks to this channel: the same one for the channel's life, so its breaker remembers. */
  adapterFor(channel: Channel): ChannelAdapter;
  /** Each address that can be asked after the channel's bookings; none of our own kitchens and stores. */
  ledgersOf(channel: Channel): readonly ChannelLedger[];
}

export interface ChannelsOptions {
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** The secret that signs calls to and callbacks from this channel; null when there is no such channel. */
  secretOf(channelId: string): Promise<string | null>;
  breaker: BreakerSettings;
  /** A circuit of this process opened (what failed last) or closed (null). */
  onCircuit(channelId: string, partner: string | undefined, detail: string | null): Promise<void>;
  /** A request to a channel was made. */
  onCall?: NonNullable<EndpointWorld["onCall"]>;
  /** Channels as they are known, also with circuits that other processes opened. */
  known(): readonly Channel[];
}

/** Connections to one host at most; each channel's own limit (`maxConcurrentCalls`) usually comes first. */
const maxConnectionsPerOrigin = 512;
/** An answer larger than this is not read: the call counts as unknown. */
const maxAnswerBytes = 4 * 1024 * 1024;

/** The channels of the network: keep-alive connections per origin, one breaker per channel (per member in a network). */
export function createChannels(options: ChannelsOptions): Channels {
  const dispatcher = new Agent({
    connections: maxConnectionsPerOrigin,
    pipelining: 1,
    maxResponseSize: maxAnswerBytes,
    connectTimeout: 5_000,
  });
  const tell = (to: Addressee, detail: string | null) => {
    const { metrics, log } = options;
    metrics.openCircuits.set({ channel: to.channelId, partner: to.partner ?? "" }, detail === null ? 0 : 1);
    options.onCircuit(to.channelId, to.partner, detail).catch((error: unknown) => {
      log.warn({ error, channel: to.channelId }, "a circuit changed and could not be told; the monitor will");
    });
  };
  const world: EndpointWorld = { ...options, dispatcher, onCircuit: tell };
  const endpoints = new Map<string, Endpoint>();
  const endpointOf = (to: Addressee) =>
    remember(endpoints, `${to.channelId}/${to.partner ?? ""}`, () => createEndpoint(world, to));
  const partners = new Map<string, ChannelAdapter>();
  const networks = new Map<string, NetworkAdapter>();

  const createNetwork = (channelId: string): NetworkAdapter =>
    createNetworkAdapter(world, (partner) => endpointOf({ channelId, partner }));
  const monitor = createMonitor({ ...options, endpointOf, onAnswer: (to) => tell(to, null) });

  return {
    name: "channels",
    adapterFor(channel) {
      switch (channel.type) {
        case "internal_kitchen":
        case "dark_store":
          return kitchenAdapter;
        case "external_partner":
          return remember(partners, channel.id, () =>
            createHttpAdapter(endpointOf({ channelId: channel.id }), options.clock),
          );
        case "partner_network":
          return remember(networks, channel.id, () => createNetwork(channel.id));
      }
    },
    ledgersOf(channel) {
      const addresses =
        channel.partners ?? (channel.endpoint ? [{ id: undefined, endpoint: channel.endpoint }] : []);
      return addresses.map(({ id, endpoint }) => {
        const to = { channelId: channel.id, ...(id === undefined ? {} : { partner: id }) };
        return ledgerOf(endpointOf(to), to, settingsOf(channel, endpoint));
      });
    },
    start: () => monitor.start(),
    async stop() {
      await monitor.stop();
      await Promise.all([...networks.values()].map((network) => network.drain()));
      if (!dispatcher.closed) await dispatcher.close();
    },
  };
}

function remember<T>(kept: Map<string, T>, id: string, create: () => T): T {
  let one = kept.get(id);
  if (one === undefined) {
    one = create();
    kept.set(id, one);
  }
  return one;
}
