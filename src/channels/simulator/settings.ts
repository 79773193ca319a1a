import { createSigner, type Signer } from "../signature.ts";
import { type Behaviour, type BehaviourPatch, defaultBehaviour } from "./behaviour.ts";
import { type Random, seededRandom } from "./random.ts";

/** Where the platform is and the key that reads its event stream. */
export interface Platform {
  url: string;
  apiKey: string;
}

/** One channel as told by `PUT /control/channels/{id}`. */
export interface ChannelSettings {
  id: string;
  secret: string;
  behaviour: BehaviourPatch;
  /** Members of a network that behave otherwise than the channel. */
  partners: Record<string, BehaviourPatch>;
}

export interface KnownChannel {
  settings: ChannelSettings;
  signer: Signer;
  behaviourOf(partner: string | undefined): Behaviour;
  random: Random;
  /** What has happened here, by name, for `GET /control/stats`. */
  counts: Map<string, number>;
}

/** Who is simulated and how: set over the control API, remembered over a restart. */
export interface Settings {
  platform: Platform | undefined;
  channel(id: string): KnownChannel | undefined;
  channels(): Iterable<KnownChannel>;
  /** Adds the channel or changes it; throws when the secret is not one that can sign. */
  put(change: Partial<ChannelSettings> & { id: string }): ChannelSettings;
}

export function createSettings(seed: number): Settings {
  const channels = new Map<string, KnownChannel>();
  return {
    platform: undefined,
    channel: (id) => channels.get(id),
    channels: () => channels.values(),
    put(change) {
      const before = channels.get(change.id);
      const settings: ChannelSettings = {
        id: change.id,
        secret: change.secret ?? before?.settings.secret ?? "",
        behaviour: { ...before?.settings.behaviour, ...change.behaviour },
        partners: mergePartners(before?.settings.partners ?? {}, change.partners ?? {}),
      };
      channels.set(change.id, {
        settings,
        signer: createSigner(settings.secret),
        behaviourOf: behavioursOf(settings),
        random: before?.random ?? seededRandom(`${seed}/${change.id}`),
        counts: before?.counts ?? new Map(),
      });
      return settings;
    },
  };
}

export function count(channel: KnownChannel, name: string): void {
  channel.counts.set(name, (channel.counts.get(name) ?? 0) + 1);
}

function behavioursOf(settings: ChannelSettings): (partner: string | undefined) => Behaviour {
  const own: Behaviour = { ...defaultBehaviour, ...settings.behaviour };
  const members = new Map(Object.entries(settings.partners).map(([id, patch]) => [id, { ...own, ...patch }]));
  return (partner) => members.get(partner ?? "") ?? own;
}

function mergePartners(
  before: Record<string, BehaviourPatch>,
  change: Record<string, BehaviourPatch>,
): Record<string, BehaviourPatch> {
  const merged = { ...before };
  for (const [id, patch] of Object.entries(change)) merged[id] = { ...merged[id], ...patch };
  return merged;
}
