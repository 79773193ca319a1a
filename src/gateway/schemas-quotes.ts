import { type Static, Type } from "typebox";
import { type ChannelType, channelTypes } from "../capacity/api.ts";
import type { Quote } from "../optimization/quote.ts";
import { component, instant, oneOf, strict } from "./schemas.ts";
import { newOrderFields } from "./schemas-orders.ts";

const { customerId, currency, items, delivery, priority, routing, metadata } = newOrderFields;

const quoteRequestShape = strict(
  {
    currency,
    items,
    delivery: strict({
      location: delivery.properties.location,
      window: delivery.properties.window,
      vehicle: delivery.properties.vehicle,
    }),
    customerId: Type.Optional({ ...customerId, description: "decides on which side of an experiment it is" }),
    priority,
    routing,
    metadata,
  },
  { description: "An order without whom it is for" },
);
export type QuoteBody = Static<typeof quoteRequestShape>;
export const quoteRequest = component<QuoteBody>("QuoteRequest", quoteRequestShape);

const window = Type.Object({ start: instant("RFC 3339 UTC"), end: instant("RFC 3339 UTC") });
const channelType = oneOf<ChannelType>(channelTypes);
const costMinor = Type.Integer({ description: "minor units of the currency asked in" });

export const quote = component<Quote>(
  "Quote",
  Type.Object({
    deliverable: Type.Boolean(),
    policy: Type.String({ description: "the routing policy that an order would go by, and its version" }),
    reason: Type.Unsafe<Quote["reason"]>({
      type: ["object", "null"],
      description: "why not; null when it is deliverable",
      properties: { code: Type.String(), detail: Type.String() },
    }),
    short: Type.Unsafe<Quote["short"]>({
      type: ["object", "null"],
      description: "of no_capacity: units wanted, and the most that a channel has free in the window",
      properties: { unitsWanted: Type.Integer(), unitsFree: Type.Integer() },
    }),
    options: Type.Array(
      Type.Object({
        channelType,
        channelId: Type.String(),
        costMinor,
        promised: window,
        etaMinutes: Type.Integer({ description: "from now, or the window's start when that is later" }),
      }),
      { description: "the best channel of each type, best first" },
    ),
    nextSlots: Type.Array(
      Type.Object({
        start: instant("RFC 3339 UTC"),
        end: instant("RFC 3339 UTC"),
        channelType,
        costMinor,
        unitsFree: Type.Integer(),
      }),
      { description: "the first slots with room from the window's start on, the cheapest of each time" },
    ),
  }),
);
