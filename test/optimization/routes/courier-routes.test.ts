import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CourierRoutesAnswer, CourierRoutesBody } from "../../../src/gateway/schemas-courier-routes.ts";
import { createCouriers } from "../../../src/optimization/couriers.ts";
import { type CourierProblem, planCouriers } from "../../../src/optimization/routes/courier-plan.ts";
import { systemClock } from "../../../src/platform/clock.ts";
import { createLog } from "../../../src/platform/log.ts";
import { type Call, clientOf } from "../../gateway/client.ts";
import { keyOf, startFakeWorld } from "../../gateway/world.ts";
import { startPlatform, type TestPlatform } from "../../support/platform.ts";
import { asked } from "../bad-worker.ts";
import { checkReasons, checkRoutes, randomBody } from "./courier-routes.ts";

const seed = Number(process.env.ROUTES_SEED ?? Date.now() % 2 ** 31);
const log = createLog("silent");
let platform: TestPlatform;
let call: Call;

before(async () => {
  platform = await startPlatform();
  call = clientOf(platform.url, platform.apiKey);
});
after(() => platform.stop());

const planned = (body: unknown) => call<CourierRoutesAnswer>("POST", "/v1/routes", body);
const good = (change: Partial<CourierRoutesBody> = {}): CourierRoutesBody => ({
  ...randomBody(3, { stops: 6, couriers: 2 }),
  ...change,
});

test(`plans that are answered can be driven, and the reasons for what is left out are right (ROUTES_SEED=${seed})`, async () => {
  for (const [index, deadlineMs] of [0, 100, 300].entries()) {
    const body = { ...randomBody(seed + index, { stops: 60, couriers: 12 }), deadlineMs };
    const before = Date.now();
    const { status, text, body: answer } = await planned(body);
    assert.equal(status, 200, text);
    checkRoutes(body, answer);
    checkReasons(body, answer, before, Date.now());
    assert.ok(answer.routes.length > 0);
    assert.ok(answer.unassigned.length > 0);
  }
});

test("the search runs once its thread does, and gives a plan that is no worse than the construction", async () => {
  const body = randomBody(7, { stops: 40, couriers: 20 });
  const constructed = (await planned({ ...body, deadlineMs: 0 })).body;
  assert.equal(constructed.method, "construction");
  let found = constructed;
  for (let deadlineMs = 100; found.method === "construction"; deadlineMs = Math.min(10_000, 2 * deadlineMs))
    found = (await planned({ ...body, deadlineMs })).body;
  assert.equal(found.method, "ruin_and_recreate");
  checkRoutes(body, found);
  assert.ok(found.unassigned.length <= constructed.unassigned.length);
  if (found.unassigned.length === constructed.unassigned.length)
    assert.ok(found.distanceMeters <= constructed.distanceMeters);
});

test("food that is ready later is waited for: that of a stop, else that of its pick-up", async () => {
  const { pickups, couriers, stops } = good();
  const { readyAt: _, ...withoutReady } = stops[0]!;
  const later = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();
  const window = { start: later(-60), end: later(300) };
  const shift = { start: later(-60), end: later(600) };
  const body = {
    pickups: [{ ...pickups[0]!, readyAt: later(40) }],
    couriers: [{ ...couriers[0]!, shift }],
    stops: [{ ...withoutReady, pickupId: pickups[0]!.id, units: 1, window }],
    deadlineMs: 0,
  };
  assert.equal((await planned(body)).body.routes[0]?.leavesPickupAt, body.pickups[0]!.readyAt);
  const readyAt = later(20);
  const { routes } = (await planned({ ...body, stops: [{ ...body.stops[0]!, readyAt }] })).body;
  assert.ok(routes[0]!.leavesPickupAt >= readyAt && routes[0]!.leavesPickupAt < body.pickups[0]!.readyAt);
});

test("without couriers everything is unassigned", async () => {
  const { body } = await planned(good({ couriers: [] }));
  assert.deepEqual(body.routes, []);
  assert.deepEqual(new Set(body.unassigned.map(({ reason }) => reason)), new Set(["no_room"]));
  assert.equal(body.unassigned.length, 6);
});

test("what is wrong is refused, each field named", async () => {
  const { pickups, couriers, stops } = good();
  const past = { start: "2020-01-01T00:00:00Z", end: "2020-01-01T01:00:00Z" };
  const reversed = { start: "2099-01-01T01:00:00Z", end: "2099-01-01T00:00:00Z" };
  const bad: [Record<string, unknown>, string[]][] = [
    [{ stops: [] }, ["/stops"]],
    [{ pickups: [] }, ["/pickups"]],
    [{ deadlineMs: 10_001 }, ["/deadlineMs"]],
    [{ deadlineMs: -1 }, ["/deadlineMs"]],
    [{ extra: 1 }, ["/extra"]],
    [{ stops: [{ ...stops[0], units: 0 }] }, ["/stops/0/units"]],
    [{ stops: [{ ...stops[0], location: { lat: 91, lng: 0 } }] }, ["/stops/0/location/lat"]],
    [{ couriers: [{ ...couriers[0], vehicle: "rocket" }] }, ["/couriers/0/vehicle"]],
    [{ stops: [stops[0], stops[0]] }, ["/stops/1/id"]],
    [{ pickups: [...pickups, pickups[0]] }, [`/pickups/${pickups.length}/id`]],
    [
      { couriers: [couriers[0], { ...couriers[0], shift: reversed }] },
      ["/couriers/1/id", "/couriers/1/shift/end"],
    ],
    [{ couriers: [{ ...couriers[0], shift: past }] }, ["/couriers/0/shift/end"]],
    [
      { stops: [{ ...stops[0], window: past, pickupId: "nowhere" }] },
      ["/stops/0/pickupId", "/stops/0/window/end"],
    ],
    [{ stops: [{ ...stops[0], window: reversed }] }, ["/stops/0/window/end"]],
  ];
  for (const [change, pointers] of bad) {
    const { status, body, text } = await planned({ ...good(), ...change });
    assert.deepEqual([status, body.code], [400, "validation_failed"], text);
    assert.deepEqual(
      body.errors?.map(({ pointer }) => pointer),
      pointers,
    );
  }
});

test("more than is planned at once is 413 with the limit, whatever else is wrong with it", async () => {
  for (const [list, most] of [
    ["stops", 500],
    ["couriers", 100],
    ["pickups", 50],
  ] as const) {
    const { status, body } = await planned({ ...good(), [list]: Array.from({ length: most + 1 }) });
    assert.deepEqual([status, body.code], [413, "payload_too_large"]);
    assert.match(body.detail!, new RegExp(`${most + 1} ${list}; send ${most} at most`));
    assert.equal(body.errors?.[0]?.pointer, `/${list}`);
  }
  const { status, body } = await planned({ ...randomBody(5, { stops: 500, couriers: 100 }), deadlineMs: 0 });
  assert.equal(status, 200);
  assert.equal(body.routes.flatMap(({ stops }) => stops).length + body.unassigned.length, 500);
});

test("a key that may neither read orders nor write channels is refused", async () => {
  const { key } = await platform.app.keys.create("hooks", ["webhooks:write"]);
  const { status } = await clientOf(platform.url, key)("POST", "/v1/routes", good());
  assert.equal(status, 403);
});

const workerFile = new URL("../bad-worker.ts", import.meta.url);

test("when the solver's thread dies in the middle, the answer is the construction's plan; the next one has a new thread", async () => {
  let warnings = 0;
  const counting = Object.assign(createLog("silent"), { warn: () => void warnings++ });
  const couriers = createCouriers({ log: counting, workerFile });
  const nowMs = Date.now();
  const world = await startFakeWorld({ couriers, clock: { ...systemClock, nowMs: () => nowMs } });
  try {
    const send = clientOf(world.url, keyOf.all!);
    const body = good({
      stops: randomBody(3, { stops: asked.die, couriers: 2 }).stops,
      deadlineMs: 10_000,
    });
    const { status, body: answer } = await send<CourierRoutesAnswer>("POST", "/v1/routes", body);
    assert.equal(status, 200);
    checkRoutes(body, answer);
    const expected = planCouriers(toProblem(body, nowMs), { deadlineMs: 0, seed: 1, now: () => 0 });
    assert.equal(answer.method, "construction");
    assert.equal(answer.distanceMeters, Math.round(expected.distanceMeters));
    assert.deepEqual(stopsOf(answer), stopsOf(expected));
    assert.equal(warnings, 1);
    const next = await send<CourierRoutesAnswer>("POST", "/v1/routes", good({ deadlineMs: 0 }));
    assert.equal(next.status, 200);
    assert.equal(warnings, 1);
  } finally {
    await world.stop();
    await couriers.stop();
  }
});

const stopsOf = ({ routes }: { routes: { courierId: string; stops: { stopId: string }[] }[] }) =>
  routes.map(({ courierId, stops }) => [courierId, ...stops.map(({ stopId }) => stopId)]);

const toProblem = ({ pickups, couriers, stops }: CourierRoutesBody, nowMs: number): CourierProblem => ({
  nowMs,
  pickups,
  couriers: couriers.map(({ capacityUnits, shift, ...courier }) => ({
    ...courier,
    capacity: capacityUnits,
    shiftStartMs: Date.parse(shift.start),
    shiftEndMs: Date.parse(shift.end),
  })),
  stops: stops.map(({ window, readyAt, ...stop }) => ({
    ...stop,
    readyAtMs: Date.parse(readyAt!),
    windowStartMs: Date.parse(window.start),
    windowEndMs: Date.parse(window.end),
  })),
});

test("more plans at once than may wait are 503, and those under way are answered", async () => {
  const couriers = createCouriers({ log });
  const world = await startFakeWorld({ couriers });
  try {
    const send = clientOf(world.url, keyOf.all!);
    const body = { ...randomBody(9, { stops: 30, couriers: 5 }), deadlineMs: 200 };
    const all = await Promise.all(Array.from({ length: 12 }, () => send("POST", "/v1/routes", body)));
    const refused = all.filter(({ status }) => status === 503);
    assert.ok(refused.length > 0 && refused.length <= 4, `${refused.length} were refused`);
    for (const { body: problem, headers } of refused)
      assert.deepEqual([problem.code, headers.get("retry-after")], ["overloaded", "1"]);
    assert.ok(all.every(({ status }) => status === 200 || status === 503));
  } finally {
    await world.stop();
    await couriers.stop();
  }
});

test("after a stop nothing is planned, and no thread is left", async () => {
  const couriers = createCouriers({ log });
  await couriers.start();
  const problem = toProblem(good(), Date.now());
  await couriers.plan(problem, { deadlineMs: 0 });
  await couriers.stop();
  await couriers.stop();
  await assert.rejects(couriers.plan(problem, { deadlineMs: 0 }), { code: "unavailable" });
});
