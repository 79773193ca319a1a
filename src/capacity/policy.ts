import type { Channel, ChannelType, Vehicle } from "./api.ts";
import { distance, type Place } from "./distance.ts";

/** What cost, time, quality and use of capacity weigh. A penalty of 1 is 10.00 of cost, an hour, or all quality lost. */
export interface Weights {
  cost: number;
  time: number;
  quality: number;
  capacity: number;
}

/** What no channel may exceed, whatever it scores. Absent: no limit. */
export interface Limits {
  /** Minor units of the order's currency. */
  maxCostMinor?: number;
  maxDistanceMeters?: number;
  /** From now (or the window's start, when that is later) to the door. */
  maxEtaMinutes?: number;
  channelTypes?: readonly ChannelType[];
  /** A channel must have one of them; an order that asks for another vehicle finds none. */
  vehicles?: readonly Vehicle[];
}

/** A circle, or a polygon of three corners or more (straight in degrees: for cities, not for continents). */
export type Zone = { centre: Place; radiusMeters: number } | { polygon: readonly Place[] };

/** Orders that a rule is about: all of what is given must hold, of each list one entry. */
export interface RuleCondition {
  /** SKUs of the order's items; `meal-*` is all that begin so. */
  skus?: readonly string[];
  /** Entries of the order's `metadata.tags`. */
  tags?: readonly string[];
  /** The order's `metadata.customerTier`. */
  customerTiers?: readonly string[];
  priorities?: readonly string[];
  zone?: Zone;
}

/**
 * For orders that fit `when`: `only` the channels named serve them, `never` do they, or their penalty is less (`prefer`) or more
 * (`avoid`) by `by`.
 */
export interface Rule {
  name: string;
  /** Absent: all orders. */
  when?: RuleCondition;
  /** Absent: all channels. */
  channels?: { types?: readonly ChannelType[]; ids?: readonly string[] };
  effect: "only" | "never" | "prefer" | "avoid";
  by?: number;
}

/** How a channel is chosen, as data. */
export interface PolicyRules {
  weights: Weights;
  limits?: Limits;
  rules?: readonly Rule[];
}

/** What rules look at in an order; the order's own objects, not copied. */
export interface OrderFacts {
  items: readonly { sku: string; quantity: number }[];
  priority: string;
  metadata: Readonly<Record<string, unknown>>;
}

interface CompiledRule {
  /** `rule:<name>`: why a channel is excluded. */
  excludes: `rule:${string}`;
  effect: Rule["effect"];
  /** Added to the penalty. */
  penalty: number;
  applies(facts: OrderFacts, place: Place): boolean;
  covers(channel: Channel): boolean;
}

/** A policy as routing uses it. */
export interface RoutingPolicy {
  /** `<id>@<version>` */
  id: string;
  weights: Weights;
  limits: Limits;
  rules: readonly CompiledRule[];
}

export function compilePolicy(id: string, { weights, limits = {}, rules = [] }: PolicyRules): RoutingPolicy {
  return { id, weights, limits, rules: rules.map(compileRule) };
}

/** Used where no other is set. */
export const defaultRules: PolicyRules = { weights: { cost: 1, time: 1, quality: 0.5, capacity: 0.25 } };
export const defaultPolicyId = "default";
export const defaultPolicy: RoutingPolicy = compilePolicy(`${defaultPolicyId}@1`, defaultRules);

function compileRule({ name, when = {}, channels = {}, effect, by = 0 }: Rule): CompiledRule {
  const { types, ids } = channels;
  return {
    excludes: `rule:${name}`,
    effect,
    penalty: effect === "prefer" ? -by : by,
    applies: conditionOf(when),
    covers: (channel) =>
      (types === undefined || types.includes(channel.type)) &&
      (ids === undefined || ids.includes(channel.id)),
  };
}

function conditionOf({
  skus,
  tags,
  customerTiers,
  priorities,
  zone,
}: RuleCondition): CompiledRule["applies"] {
  const conditions: CompiledRule["applies"][] = [];
  if (priorities) conditions.push(({ priority }) => priorities.includes(priority));
  if (customerTiers)
    conditions.push(({ metadata }) => customerTiers.includes(metadata.customerTier as string));
  if (tags) {
    conditions.push(
      ({ metadata }) =>
        Array.isArray(metadata.tags) && tags.some((tag) => (metadata.tags as unknown[]).includes(tag)),
    );
  }
  if (skus) {
    const exact = new Set(skus.filter((sku) => !sku.endsWith("*")));
    const prefixes = skus.filter((sku) => sku.endsWith("*")).map((sku) => sku.slice(0, -1));
    conditions.push(({ items }) =>
      items.some(({ sku }) => exact.has(sku) || prefixes.some((prefix) => sku.startsWith(prefix))),
    );
  }
  if (zone) conditions.push((_facts, place) => isInside(zone, place));
  return (facts, place) => conditions.every((holds) => holds(facts, place));
}

/** The rules of a policy that are about this order. */
export function rulesFor(policy: RoutingPolicy, facts: OrderFacts, place: Place): readonly CompiledRule[] {
  return policy.rules.length === 0 ? policy.rules : policy.rules.filter((rule) => rule.applies(facts, place));
}

/** What rules say of a channel: what they add to its penalty, or that it is excluded, and by which. */
export function judge(rules: readonly CompiledRule[], channel: Channel): number | `rule:${string}` {
  let penalty = 0;
  for (const rule of rules) {
    const covers = rule.covers(channel);
    if (rule.effect === "only" ? !covers : rule.effect === "never" && covers) return rule.excludes;
    if (covers) penalty += rule.penalty;
  }
  return penalty;
}

export function isInside(zone: Zone, place: Place): boolean {
  if ("polygon" in zone) return isInPolygon(zone.polygon, place);
  return distance(zone.centre, place) <= zone.radiusMeters;
}

/** Even-odd rule: how often a ray from the place eastward crosses the border (W. R. Franklin's PNPOLY). */
function isInPolygon(polygon: readonly Place[], { lat, lng }: Place): boolean {
  let inside = false;
  for (let index = 0, before = polygon.length - 1; index < polygon.length; before = index, index += 1) {
    const a = polygon[index]!;
    const b = polygon[before]!;
    if (a.lat > lat !== b.lat > lat && lng < ((b.lng - a.lng) * (lat - a.lat)) / (b.lat - a.lat) + a.lng) {
      inside = !inside;
    }
  }
  return inside;
}
