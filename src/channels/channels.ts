import { Agent } from "undici";
import type { Channel } from "../capacity/api.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Service } from "../platform/service.ts";
import type { ChannelAdapter } from "./api.ts";
import { createEndpoint, type Endpoint, type EndpointWorld } from "./endpoint.ts";
import { createHttpAdapter } from "./http.ts";
import { kitchenAdapter } from "./kitchen.ts";
import { createNetworkAdapter, type NetworkAdapter } from "./network.ts";

export interface Channels extends Service {
  /** The adapter that speaks to this channel: the same one for the channel's life, so its breaker remembers. */
  adapterFor(channel: Channel): ChannelAdapter;
}

export interface ChannelsOptions {
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** The secret that signs calls to and callbacks from this channel; null when there is no such channel. */
  secretOf(channelId: string): Promise<string | null>;
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
  const world: EndpointWorld = { ...options, dispatcher };
  const partners = new Map<string, ChannelAdapter>();
  const networks = new Map<string, NetworkAdapter>();

  const createNetwork = (channelId: string): NetworkAdapter => {
    const members = new Map<string, Endpoint>();
    return createNetworkAdapter(world, (partner) =>
      remember(members, partner, () => createEndpoint(world, { channelId, partner })),
    );
  };

  return {
    name: "channels",
    adapterFor(channel) {
      switch (channel.type) {
        case "internal_kitchen":
        case "dark_store":
          return kitchenAdapter;
        case "external_partner":
          return remember(partners, channel.id, () =>
            createHttpAdapter(createEndpoint(world, { channelId: channel.id }), options.clock),
          );
        case "partner_network":
          return remember(networks, channel.id, () => createNetwork(channel.id));
      }
    },
    start: () => Promise.resolve(),
    async stop() {
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
