import { type Static, Type } from "typebox";
import { type ChannelType, channelTypes, type Vehicle, vehicles } from "../capacity/api.ts";
import type { Rule, Zone } from "../capacity/policy.ts";
import type { PolicyView } from "../optimization/api.ts";
import { component, instant, line, listOf, location, minor, oneOf, strict } from "./schemas.ts";
import { priorities } from "./schemas-orders.ts";

/** Names of policies: people choose them. */
export const policyIdPattern = "^[a-z0-9][a-z0-9-]{0,63}$";

const weight = (description: string) => Type.Number({ minimum: 0, maximum: 1_000, description });

const types = Type.Array(oneOf<ChannelType>(channelTypes), { minItems: 1, uniqueItems: true });
const words = (maxLength: number, description: string) =>
  Type.Array(line(maxLength), { minItems: 1, maxItems: 100, uniqueItems: true, description });

const zone = Type.Unsafe<Zone>({
  description: "where it is delivered",
  oneOf: [
    strict({
      centre: location,
      radiusMeters: Type.Number({ exclusiveMinimum: 0, maximum: 20_000_000 }),
    }),
    strict({ polygon: Type.Array(location, { minItems: 3, maxItems: 200 }) }),
  ],
});

const rule = strict(
  {
    name: line(100),
    when: Type.Optional(
      strict(
        {
          skus: Type.Optional(words(128, "an item has one of these; `meal-*`: all that begin so")),
          tags: Type.Optional(words(100, "`metadata.tags` of the order holds one of these")),
          customerTiers: Type.Optional(words(100, "`metadata.customerTier` of the order is one of these")),
          priorities: Type.Optional(Type.Array(oneOf(priorities), { minItems: 1, uniqueItems: true })),
          zone: Type.Optional(zone),
        },
        { description: "orders that it is about: all of this must hold; absent: all orders" },
      ),
    ),
    channels: Type.Optional(
      strict(
        {
          types: Type.Optional(types),
          ids: Type.Optional(words(64, "channels by id")),
        },
        { minProperties: 1, description: "absent: all channels" },
      ),
    ),
    effect: oneOf<Rule["effect"]>(["only", "never", "prefer", "avoid"], {
      description: "only these channels, never these, or a penalty less or more by `by`",
    }),
    by: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1_000,
        description: "of prefer and avoid: 1 is as much as 10.00 of cost, or an hour, at a weight of 1",
      }),
    ),
  },
  { description: "`only` and `never` need `channels`, `prefer` and `avoid` need `by`" },
);

/** How channels are chosen. */
const ruleFields = {
  weights: strict({
    cost: weight("of 10.00 of cost"),
    time: weight("of an hour to the door"),
    quality: weight("of all quality lost"),
    capacity: weight("of a full slot"),
  }),
  limits: Type.Optional(
    strict({
      maxCostMinor: Type.Optional(minor("what a delivery may cost at most")),
      maxDistanceMeters: Type.Optional(Type.Number({ minimum: 0, maximum: 20_000_000 })),
      maxEtaMinutes: Type.Optional(
        Type.Number({
          minimum: 0,
          maximum: 100_000,
          description: "from now, or the window's start when that is later, to the door",
        }),
      ),
      channelTypes: Type.Optional(types),
      vehicles: Type.Optional(
        Type.Array(oneOf<Vehicle>(vehicles), {
          minItems: 1,
          uniqueItems: true,
          description: "a channel must have one of them",
        }),
      ),
    }),
  ),
  rules: Type.Optional(Type.Array(rule, { maxItems: 50 })),
};

const bodyFields = {
  description: Type.Optional(line(500)),
  ...ruleFields,
  clients: Type.Optional(
    Type.Array(line(64), {
      minItems: 1,
      maxItems: 1_000,
      uniqueItems: true,
      description: "ids of clients whose orders go by it",
    }),
  ),
  experiment: Type.Optional(
    strict(
      {
        of: line(64, { description: "id of the other policy" }),
        percent: Type.Number({ minimum: 0, maximum: 100 }),
        by: oneOf(["customer", "order"] as const, {
          description: "a customer is always on the same side, or each order is drawn by itself",
        }),
      },
      { description: "takes this share of the orders that would go by another policy" },
    ),
  ),
};

const policyBodyShape = strict(bodyFields, { description: "How a channel is chosen (docs/routing.md)" });
export const policyBody = component<Static<typeof policyBodyShape>>("RoutingPolicyBody", policyBodyShape);

/** Every field of PolicyView: the serializer writes no other. */
const policyShape = Type.Object({
  id: Type.String(),
  version: Type.Integer({ description: "grows with every change; the ETag" }),
  ...bodyFields,
  updatedAt: instant("of this version, RFC 3339 UTC"),
  updatedBy: Type.String(),
});
export const policy = component<PolicyView>("RoutingPolicy", policyShape);
export const policyList = listOf(policy.ref);

export const policyParams = Type.Object({ id: Type.String() });

export const policyQuery = strict({
  version: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1_000_000, description: "default: the newest" }),
  ),
});
