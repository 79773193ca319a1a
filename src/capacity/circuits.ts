import type { Channel, HealthSign, OpenCircuit } from "./api.ts";

/**
 * What circuits and signs say of a channel: down when nobody of it can be called; degraded when some of a network can't, or when
 * its calls fail or its orders are late; else up. Pure.
 */
export function healthOf(
  channel: Pick<Channel, "partners" | "openCircuits" | "healthSigns">,
): Channel["health"] {
  const open = channel.openCircuits?.length ?? 0;
  if (open > 0 && open >= (channel.partners?.length ?? 1)) return "down";
  return open > 0 || (channel.healthSigns?.length ?? 0) > 0 ? "degraded" : "up";
}

/** Health follows what is known of the channel, unless an operator has set it otherwise. */
const following = (channel: Channel): Channel =>
  channel.healthSet ? channel : { ...channel, health: healthOf(channel) };

/** The channel with one circuit opened (`detail`: what failed) or closed (null); null when it is so already. */
export function withCircuit(
  channel: Channel,
  partner: string | undefined,
  detail: string | null,
  at: string,
): Channel | null {
  const { openCircuits = [], ...rest } = channel;
  const known = openCircuits.some((one) => one.partner === partner);
  if (known === (detail !== null)) return null;
  const opened: OpenCircuit[] =
    detail === null ? [] : [{ ...(partner === undefined ? {} : { partner }), since: at, detail }];
  const open = [...openCircuits.filter((one) => one.partner !== partner), ...opened];
  return following({ ...rest, ...(open.length > 0 ? { openCircuits: open } : {}) });
}

/** The channel with just these signs; those that were there keep since when. Null when it has them already. */
export function withSigns(
  channel: Channel,
  signs: readonly Pick<HealthSign, "sign" | "detail">[],
  at: string,
): Channel | null {
  const { healthSigns = [], ...rest } = channel;
  const before = (sign: string) => healthSigns.find((one) => one.sign === sign);
  if (signs.length === healthSigns.length && signs.every(({ sign }) => before(sign))) return null;
  const now = signs.map((one) => before(one.sign) ?? { ...one, since: at });
  return following({ ...rest, ...(now.length > 0 ? { healthSigns: now } : {}) });
}

/**
 * A channel after an operator's change: what is not there any more has no circuit. `set`: the health that was set with it; setting what
 * is known of the channel anyway lets it follow again.
 */
export function afterChange({ openCircuits, ...changed }: Channel, set?: Channel["health"]): Channel {
  const isThere = (partner: string | undefined) =>
    partner === undefined || changed.partners?.some(({ id }) => id === partner);
  const open = (openCircuits ?? []).filter(({ partner }) => isThere(partner));
  const { healthSet, ...after }: Channel = { ...changed, ...(open.length > 0 ? { openCircuits: open } : {}) };
  const isSet = set === undefined ? healthSet : set !== healthOf(after);
  return isSet ? { ...after, healthSet: true } : following(after);
}
