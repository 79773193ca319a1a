import { createFleet } from "../../src/demo/fleet.ts";
import { clusterPlaces, kitchenCapacity } from "../../src/demo/kitchens.ts";
import type { Day } from "../../src/demo/mdrp.ts";
import { quantile } from "../measure/sampler.ts";
import { type Method, methods, routeDay } from "./methods.ts";

/** One day under one method; minutes from placement to door of the delivered orders. */
export interface Outcome {
  mean: number;
  p95: number;
  /** Mean of click-to-door without preparation and service: what routing can change. */
  changeable: number;
  undelivered: number;
  /** The mean when an order that is not delivered counts the instance's maximum click-to-door: less than it would be. */
  meanOfAll: number;
  /** Share of the couriers' shifts that they spent driving and serving. */
  courierUse: number;
}

export interface DayResult {
  day: string;
  orders: number;
  kitchens: number;
  /** Orders that a kitchen takes in a quarter hour. */
  capacity: number;
  outcomes: Readonly<Record<Method, Outcome>>;
}

const kitchenCount = 8;

/** The day under each method: the same kitchens, couriers and dispatch rule; only where orders go differs. */
export async function playDay(day: Day, seed: number): Promise<DayResult> {
  const kitchens = clusterPlaces(day.restaurants, kitchenCount, seed);
  const capacity = kitchenCapacity(day.orders, kitchens.length);
  const outcomes = {} as Record<Method, Outcome>;
  for (const method of methods) {
    const routed = await routeDay(method, { day, kitchens, capacity, seed });
    outcomes[method] = deliver(day, (index) => (routed[index] === null ? null : kitchens[routed[index]!]!));
  }
  return { day: day.name, orders: day.orders.length, kitchens: kitchens.length, capacity, outcomes };
}

function deliver(day: Day, kitchenOf: (index: number) => { x: number; y: number } | null): Outcome {
  const { pickupMinutes, dropoffMinutes, maxClickToDoorMinutes } = day.parameters;
  const fleet = createFleet(day.couriers, day.parameters);
  day.orders.forEach((order, index) => {
    const kitchen = kitchenOf(index);
    const { placedAt, readyAt } = order;
    if (kitchen !== null) fleet.add({ id: `${index}`, placedAt, readyAt, kitchen, customer: order });
  });
  const clickToDoor: number[] = [];
  let changeable = 0;
  for (const trip of fleet.advance(Number.POSITIVE_INFINITY)) {
    if (trip.kind === "undelivered") continue;
    clickToDoor.push(trip.deliveredAt - trip.job.placedAt);
    changeable += trip.deliveredAt - trip.job.readyAt - pickupMinutes - dropoffMinutes;
  }
  const delivered = clickToDoor.length;
  const sum = clickToDoor.reduce((all, one) => all + one, 0);
  const undelivered = day.orders.length - delivered;
  const { busyMinutes, shiftMinutes } = fleet.use();
  return {
    mean: sum / delivered,
    p95: quantile(clickToDoor, 0.95),
    changeable: changeable / delivered,
    undelivered,
    meanOfAll: (sum + undelivered * maxClickToDoorMinutes) / day.orders.length,
    courierUse: busyMinutes / shiftMinutes,
  };
}
