import type { CourierPlan, CourierProblem } from "../optimization/routes/courier-plan.ts";
import { type FieldError, UoopError } from "../platform/errors.ts";
import type { App, GatewayWorld } from "./app.ts";
import { answers, problemAnswers } from "./schemas.ts";
import {
  type CourierRoutesAnswer,
  type CourierRoutesBody,
  courierRoutes,
  courierRoutesRequest,
  maxPlanned,
} from "./schemas-courier-routes.ts";
import { wrongFields } from "./validation.ts";

const defaultDeadlineMs = 500;
const maxNamedFields = 50;

export function courierRoutesRoutes(app: App, { couriers, clock, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "planCourierRoutes",
    summary: "Who of the couriers delivers what, in which order, and when",
    description:
      "One trip for each courier: to one pick-up, then stop after stop within windows, capacity and shift. Most stops served, then least " +
      "distance (great circle, at the vehicle's usual pace). Nothing is read or written.",
    body: courierRoutesRequest.ref,
    ...answers(courierRoutes.ref, { 200: "The plan" }, problemAnswers({ key: true, body: true })),
  };
  app.post(
    "/v1/routes",
    {
      schema,
      onRequest: requires("orders:read", "channels:write"),
      preValidation: (request, _reply, done) => done(tooMany(request.body)),
    },
    async (request, reply) => {
      const { body } = request;
      const startedAt = performance.now();
      const problem = toProblem(body, clock.nowMs());
      const plan = await couriers.plan(problem, { deadlineMs: body.deadlineMs ?? defaultDeadlineMs });
      return reply.send(toAnswer(plan, performance.now() - startedAt));
    },
  );
}

/** Sizes come first: naming each wrong field of a body that is too large anyway helps nobody. */
function tooMany(body: unknown): UoopError | undefined {
  for (const [list, most] of Object.entries(maxPlanned)) {
    const given = (body as Record<string, unknown> | null | undefined)?.[list];
    if (Array.isArray(given) && given.length > most)
      return new UoopError("payload_too_large", `There are ${given.length} ${list}; send ${most} at most.`, {
        fields: [{ pointer: `/${list}`, message: `must hold at most ${most}` }],
      });
  }
  return undefined;
}

function toProblem(body: CourierRoutesBody, nowMs: number): CourierProblem {
  const wrong = [
    ...(["pickups", "couriers", "stops"] as const).flatMap((list) => repeated(body[list], list)),
    ...unknownPickups(body),
    ...body.couriers.flatMap(({ shift }, index) => wrongTimes(shift, `/couriers/${index}/shift`, nowMs)),
    ...body.stops.flatMap(({ window }, index) => wrongTimes(window, `/stops/${index}/window`, nowMs)),
  ];
  if (wrong.length > 0) throw wrongFields(wrong.slice(0, maxNamedFields));
  const readyAt = new Map(body.pickups.map((pickup) => [pickup.id, pickup.readyAt]));
  return {
    nowMs,
    pickups: body.pickups.map(({ id, location }) => ({ id, location })),
    couriers: body.couriers.map(({ id, vehicle, location, capacityUnits, shift }) => ({
      ...{ id, vehicle, location, capacity: capacityUnits },
      shiftStartMs: Date.parse(shift.start),
      shiftEndMs: Date.parse(shift.end),
    })),
    stops: body.stops.map(({ id, pickupId, location, units, window, serviceSeconds, ...stop }) => {
      const ready = stop.readyAt ?? readyAt.get(pickupId);
      return {
        ...{ id, pickupId, location, units, serviceSeconds },
        readyAtMs: ready === undefined ? nowMs : Date.parse(ready),
        windowStartMs: Date.parse(window.start),
        windowEndMs: Date.parse(window.end),
      };
    }),
  };
}

function repeated(items: readonly { id: string }[], list: string): FieldError[] {
  const first = new Map<string, number>();
  return items.flatMap(({ id }, index) => {
    const before = first.get(id);
    if (before === undefined) first.set(id, index);
    return before === undefined
      ? []
      : [{ pointer: `/${list}/${index}/id`, message: `is the id of /${list}/${before} too` }];
  });
}

function unknownPickups({ pickups, stops }: CourierRoutesBody): FieldError[] {
  const known = new Set(pickups.map(({ id }) => id));
  return stops.flatMap(({ pickupId }, index) =>
    known.has(pickupId)
      ? []
      : [{ pointer: `/stops/${index}/pickupId`, message: "must be the id of one of the pickups" }],
  );
}

function wrongTimes(times: { start: string; end: string }, pointer: string, nowMs: number): FieldError[] {
  const [start, end] = [Date.parse(times.start), Date.parse(times.end)];
  if (end <= start) return [{ pointer: `${pointer}/end`, message: "must be after start" }];
  return end <= nowMs ? [{ pointer: `${pointer}/end`, message: "must not have passed" }] : [];
}

const utc = (ms: number): string => new Date(ms).toISOString();
const toTenths = (value: number): number => Math.round(value * 10) / 10;

function toAnswer(
  { routes, unassigned, distanceMeters, method }: CourierPlan,
  ms: number,
): CourierRoutesAnswer {
  return {
    routes: routes.map(({ courierId, pickupId, stops, polyline, ...route }) => ({
      courierId,
      pickupId,
      setsOutAt: utc(route.setsOutAtMs),
      leavesPickupAt: utc(route.leavesPickupAtMs),
      stops: stops.map(({ stopId, arrivesAtMs, startsAtMs, leavesAtMs }) => ({
        stopId,
        arrivesAt: utc(arrivesAtMs),
        startsAt: utc(startsAtMs),
        leavesAt: utc(leavesAtMs),
      })),
      distanceMeters: Math.round(route.distanceMeters),
      minutes: toTenths((stops.at(-1)!.leavesAtMs - route.setsOutAtMs) / 60_000),
      polyline,
    })),
    unassigned,
    distanceMeters: Math.round(distanceMeters),
    method,
    ms: toTenths(ms),
  };
}
