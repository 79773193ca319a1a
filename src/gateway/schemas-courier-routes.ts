import { type Static, Type } from "typebox";
import { type Vehicle, vehicles } from "../capacity/api.ts";
import type { CourierPlan, UnassignedReason } from "../optimization/routes/courier-plan.ts";
import { component, instant, line, location, oneOf, strict, timeWindow } from "./schemas.ts";

/** In one request at most; more is `payload_too_large`. */
export const maxPlanned = { pickups: 50, couriers: 100, stops: 500 } as const;

const id = line(64, { description: "yours; unique in its list" });
const readyAt = Type.Optional(instant("when the food can be picked up; now when not given"));

const requestShape = strict(
  {
    pickups: Type.Array(strict({ id, location, readyAt }), { minItems: 1, maxItems: maxPlanned.pickups }),
    couriers: Type.Array(
      strict({
        id,
        vehicle: oneOf<Vehicle>(vehicles),
        location: { ...location, description: "where the courier is, or is when the shift begins" },
        capacityUnits: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
        shift: timeWindow,
      }),
      { maxItems: maxPlanned.couriers, description: "each makes one trip at most" },
    ),
    stops: Type.Array(
      strict({
        id,
        pickupId: line(64, { description: "of `pickups`" }),
        location,
        units: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
        readyAt: Type.Optional(instant("of this stop's food; its pick-up's `readyAt` when not given")),
        window: { ...timeWindow, description: "service begins in it; who is early waits" },
        serviceSeconds: Type.Integer({ minimum: 0, maximum: 86_400, description: "at the door" }),
      }),
      { minItems: 1, maxItems: maxPlanned.stops },
    ),
    deadlineMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10_000,
        default: 500,
        description: "for the search; 0: the first plan that is constructed. At most 20 ms a stop are used",
      }),
    ),
  },
  { description: "What couriers have to deliver, from where, and when" },
);
export type CourierRoutesBody = Static<typeof requestShape>;
export const courierRoutesRequest = component<CourierRoutesBody>("CourierRoutesRequest", requestShape);

const planShape = Type.Object({
  routes: Type.Array(
    Type.Object({
      courierId: Type.String(),
      pickupId: Type.String(),
      setsOutAt: instant("from where the courier is, just in time"),
      leavesPickupAt: instant("when the whole trip is ready"),
      stops: Type.Array(
        Type.Object({
          stopId: Type.String(),
          arrivesAt: instant("the estimated time of arrival"),
          startsAt: instant("later than `arrivesAt` where the window is waited for"),
          leavesAt: instant("after service"),
        }),
      ),
      distanceMeters: Type.Integer({
        description: "from where the courier is over the pick-up to the last stop",
      }),
      minutes: Type.Number({ description: "from setting out to leaving the last stop" }),
      polyline: Type.String({ description: "the same way, in Google's encoding, five decimals" }),
    }),
    { description: "couriers who have no stops are not in it" },
  ),
  unassigned: Type.Array(
    Type.Object({
      stopId: Type.String(),
      reason: oneOf<UnassignedReason>(["capacity", "window", "shift", "no_room"], {
        description:
          "what stands against it with every courier, even if it were alone; `no_room`: only beside the others, or none was found in time",
      }),
    }),
  ),
  distanceMeters: Type.Integer(),
  method: oneOf<CourierPlan["method"]>(["ruin_and_recreate", "construction"]),
  ms: Type.Number({ description: "that planning took" }),
});
export type CourierRoutesAnswer = Static<typeof planShape>;
export const courierRoutes = component<CourierRoutesAnswer>("CourierRoutes", planShape);
