import { metersBetween } from "./geo.ts";
import type { Courier, DayParameters, Point } from "./mdrp.ts";

/** An order that a kitchen has confirmed, as the fleet sees it. Times are minutes from the day's start. */
export interface Job {
  id: string;
  placedAt: number;
  readyAt: number;
  kitchen: Point;
  customer: Point;
}

export type Trip =
  | {
      kind: "delivered";
      job: Job;
      courier: string;
      dispatchedAt: number;
      deliveredAt: number;
    }
  | { kind: "undelivered"; job: Job; at: number; reason: string };

export interface Fleet {
  /** Takes an order. It must not be ready before what `advance` has passed already. */
  add(job: Job): void;
  /** Dispatches everything that is ready before this minute, in order of ready time, then of placement, then of id. */
  advance(untilMinute: number): Trip[];
  /** Minutes that couriers spent driving and serving, and minutes of all shifts. */
  use(): { busyMinutes: number; shiftMinutes: number };
}

interface CourierState {
  courier: Courier;
  place: Point;
  freeAt: number;
}

/**
 * The day's couriers under one dispatch rule, the same for every routing method: orders in order of their ready time, each to the
 * courier who arrives earliest at its kitchen. An order is known at its placement, so a courier may set out from then. Leaving
 * the kitchen must begin within the shift; a trip begun is finished. Straight lines at the published speed, service minutes at both
 * ends. Pure and deterministic: the same jobs give the same trips.
 */
export function createFleet(couriers: readonly Courier[], parameters: DayParameters): Fleet {
  const states: CourierState[] = couriers.map((courier) => ({
    courier,
    place: courier,
    freeAt: courier.onAt,
  }));
  let waiting: Job[] = [];
  let passed = Number.NEGATIVE_INFINITY;
  let busyMinutes = 0;
  const minutesBetween = (one: Point, other: Point) => metersBetween(one, other) / parameters.metersPerMinute;

  /** The earliest to arrive of those who can still leave within their shift; ties go to the first as published. */
  const pickCourier = (job: Job) => {
    let best: { state: CourierState; arriveAt: number; leaveAt: number } | undefined;
    for (const state of states) {
      const arriveAt = Math.max(state.freeAt, job.placedAt) + minutesBetween(state.place, job.kitchen);
      const leaveAt = Math.max(arriveAt, job.readyAt);
      if (leaveAt > state.courier.offAt) continue;
      if (best === undefined || arriveAt < best.arriveAt) best = { state, arriveAt, leaveAt };
    }
    return best;
  };

  const dispatch = (job: Job): Trip => {
    const picked = pickCourier(job);
    if (!picked) {
      return { kind: "undelivered", job, at: job.readyAt, reason: "no courier's shift lasts long enough" };
    }
    const { state, leaveAt } = picked;
    const driveThere = minutesBetween(state.place, job.kitchen);
    const dispatchedAt = leaveAt + parameters.pickupMinutes;
    const driveOut = minutesBetween(job.kitchen, job.customer);
    const deliveredAt = dispatchedAt + driveOut + parameters.dropoffMinutes;
    busyMinutes += driveThere + parameters.pickupMinutes + driveOut + parameters.dropoffMinutes;
    state.place = job.customer;
    state.freeAt = deliveredAt;
    return { kind: "delivered", job, courier: state.courier.name, dispatchedAt, deliveredAt };
  };

  return {
    add(job) {
      if (job.readyAt < passed)
        throw new Error(`${job.id} was ready at ${job.readyAt}; minute ${passed} has passed`);
      waiting.push(job);
    },
    advance(untilMinute) {
      passed = Math.max(passed, untilMinute);
      const due = waiting.filter((job) => job.readyAt < passed);
      if (due.length === 0) return [];
      waiting = waiting.filter((job) => job.readyAt >= passed);
      due.sort(
        (one, other) =>
          one.readyAt - other.readyAt || one.placedAt - other.placedAt || (one.id < other.id ? -1 : 1),
      );
      return due.map(dispatch);
    },
    use() {
      const shiftMinutes = couriers.reduce((sum, courier) => sum + courier.offAt - courier.onAt, 0);
      return { busyMinutes, shiftMinutes };
    },
  };
}
