import type { Channel, OpenCircuit } from "../capacity/api.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { repeatEvery } from "../platform/repeat.ts";
import type { Service } from "../platform/service.ts";
import type { BreakerSettings } from "./breaker.ts";
import type { Endpoint } from "./endpoint.ts";
import { settingsOf } from "./http.ts";
import type { Addressee } from "./protocol.ts";

interface MonitorDependencies {
  clock: Clock;
  log: Log;
  breaker: BreakerSettings;
  known(): readonly Channel[];
  endpointOf(to: Addressee): Endpoint;
  /** An address whose circuit is noted as open answers. */
  onAnswer(to: Addressee): void;
}

/** Addresses that are probed at once at most; the others wait for the next look. */
const maxProbes = 100;

/**
 * Looks at circuits that are noted as open, whichever process opened them: those that have rested are probed, and noted as closed
 * when they answer. A channel that is down gets no orders, so none of them would find out; nor would a process that died.
 */
export function createMonitor(dependencies: MonitorDependencies): Service {
  const { clock, log, breaker } = dependencies;
  let stop = (): void => undefined;

  async function look(): Promise<void> {
    const rested = dependencies
      .known()
      .flatMap((channel) => restedOf(channel, clock.nowMs() - breaker.recoveryMs))
      .slice(0, maxProbes);
    await Promise.all(
      rested.map(async ({ to, channel, url }) => {
        const answers = await dependencies.endpointOf(to).probe(settingsOf(channel, url));
        if (answers) dependencies.onAnswer(to);
      }),
    );
  }

  return {
    name: "monitor",
    async start() {
      stop = repeatEvery(clock, breaker.monitorMs, look, (error) =>
        log.warn({ error }, "channels that are down could not be probed; trying again"),
      );
    },
    async stop() {
      stop();
    },
  };
}

/** The channel's open circuits since before `sinceMs`, with their addresses; one without an address any more has nothing to be probed. */
function restedOf(channel: Channel, sinceMs: number): { to: Addressee; channel: Channel; url: string }[] {
  return (channel.openCircuits ?? []).flatMap((circuit: OpenCircuit) => {
    const { partner } = circuit;
    const url =
      partner === undefined ? channel.endpoint : channel.partners?.find(({ id }) => id === partner)?.endpoint;
    if (url === undefined || Date.parse(circuit.since) > sinceMs) return [];
    return [{ to: { channelId: channel.id, ...(partner === undefined ? {} : { partner }) }, channel, url }];
  });
}
