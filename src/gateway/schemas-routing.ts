import { type Static, Type } from "typebox";
import { type ChannelType, channelTypes, type Vehicle, vehicles } from "../capacity/api.ts";
import type { Rule, Zone } from "../capacity/policy.ts";
import type { PolicyView } from "../optimization/api.ts";
import type { PolicyResults, Simulation } from "../orchestration/trials.ts";
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

const byCurrency = Type.Record(Type.String(), Type.Number(), { description: "by currency, minor units" });
const nullableNumber = (description: string) =>
  Type.Unsafe<number | null>({ type: ["number", "null"], description });

const outcome = Type.Object({
  served: Type.Integer(),
  unserved: Type.Integer(),
  meanCostMinor: byCurrency,
  meanPromiseMinutes: nullableNumber(
    "from placing, or the window's start when that is later, to the promised window",
  ),
  meanQuality: nullableNumber("of the channels, 0 to 1"),
  meanSlotUsedPercent: nullableNumber("of the slots that either used, with what other orders hold there"),
  fullestSlotPercent: nullableNumber("of those"),
  channels: Type.Array(
    Type.Object({ channelId: Type.String(), name: Type.String(), orders: Type.Integer() }),
    { description: "most orders first" },
  ),
});

export const defaultSimulatedOrders = 1_000;

const simulateShape = strict({
  policy: Type.Optional(strict(ruleFields, { description: "absent: a stored version" })),
  version: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1_000_000, description: "default: the newest" }),
  ),
  from: Type.Optional(instant("orders placed from then on; default: a day before `to`")),
  to: Type.Optional(instant("orders placed before; default: now")),
  clientId: Type.Optional(line(64, { description: "only this client's orders" })),
  maxOrders: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000, description: `default ${defaultSimulatedOrders}` }),
  ),
});
export const simulateBody = component<Static<typeof simulateShape>>("SimulateBody", simulateShape);

const nullableId = Type.Unsafe<string | null>({ type: ["string", "null"], description: "null: unserved" });

export const simulation = component<Simulation>(
  "Simulation",
  Type.Object({
    policy: Type.String(),
    from: instant("RFC 3339 UTC"),
    to: instant("RFC 3339 UTC"),
    limited: Type.Boolean({ description: "there were more orders: these are the oldest of the range" }),
    orders: Type.Integer(),
    recorded: outcome,
    simulated: outcome,
    movedOrders: Type.Integer({ description: "orders that would have gone elsewhere" }),
    moves: Type.Array(
      Type.Object({
        orderId: Type.String(),
        from: nullableId,
        to: nullableId,
        costChangeMinor: nullableNumber("minor units"),
      }),
      { description: "the first hundred of them" },
    ),
  }),
);

export const resultsQuery = strict({
  from: Type.Optional(instant("orders placed from then on; default: 7 days before `to`")),
  to: Type.Optional(instant("orders placed before; default: now")),
});

export const policyResults = component<PolicyResults>(
  "RoutingPolicyResults",
  Type.Object({
    policyId: Type.String(),
    from: instant("RFC 3339 UTC"),
    to: instant("RFC 3339 UTC"),
    limited: Type.Boolean({
      description: "there were more orders in the range: these are of the newest 20,000",
    }),
    results: Type.Array(
      Type.Object({
        policy: Type.String({ description: "id and version" }),
        orders: Type.Integer(),
        confirmedShare: Type.Number({ description: "a channel confirmed it at some time" }),
        failed: Type.Integer(),
        cancelled: Type.Integer(),
        delivered: Type.Integer(),
        onTimeShare: nullableNumber(
          "delivered by the end of the promised window, of delivered and undelivered",
        ),
        meanCostMinor: byCurrency,
        meanPromiseMinutes: nullableNumber(
          "from placing, or the window's start when that is later, to the promised window",
        ),
      }),
      { description: "its versions, and those of the policies that it is compared with" },
    ),
  }),
);

export const policyParams = Type.Object({ id: Type.String() });

export const policyQuery = strict({
  version: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1_000_000, description: "default: the newest" }),
  ),
});
