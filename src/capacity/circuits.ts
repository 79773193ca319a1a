import type { Channel, OpenCircuit } from "./api.ts";

/**
 * What the circuits that are open say of a channel: down when nobody of it can be called, degraded when some of a network
 * can't, else up. Pure.
 */
export function healthOf(channel: Pick<Channel, "partners" | "openCircuits">): Channel["health"] {
  const open = channel.openCircuits?.length ?? 0;
  if (open === 0) return "up";
  return open < (channel.partners?.length ?? 1) ? "degraded" : "down";
}

/**
 * The channel with one circuit opened (`detail`: what failed) or closed (null); null when it is so already. Health that an
 * operator has set otherwise stays as it is.
 */
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
  const after: Channel = { ...rest, ...(open.length > 0 ? { openCircuits: open } : {}) };
  const followed = channel.health === healthOf(channel);
  return followed ? { ...after, health: healthOf(after) } : after;
}

/** A channel after an operator's change: what is not there any more has no circuit, and health follows unless it was set. */
export function afterChange(before: Channel, { openCircuits, ...changed }: Channel): Channel {
  const isThere = (partner: string | undefined) =>
    partner === undefined || changed.partners?.some(({ id }) => id === partner);
  const open = (openCircuits ?? []).filter(({ partner }) => isThere(partner));
  const after: Channel = { ...changed, ...(open.length > 0 ? { openCircuits: open } : {}) };
  const followed = before.health === healthOf(before) && after.health === before.health;
  return followed ? { ...after, health: healthOf(after) } : after;
}
