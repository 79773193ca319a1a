import assert from "node:assert/strict";
import { test } from "node:test";
import { centerOf, metersBetween, planeToGlobe } from "../../src/demo/geo.ts";
import { clusterPlaces, kitchenCapacity, peakOrders } from "../../src/demo/kitchens.ts";
import { parseCouriers, parseOrders, parseParameters, readDay } from "../../src/demo/mdrp.ts";

const exampleDay = new URL("../../examples/mdrp/0o100t100s1p100", import.meta.url).pathname;

/** The haversine, as textbooks have it; written here again so that the mapping is held against something else. */
function haversineMeters(one: { lat: number; lng: number }, other: { lat: number; lng: number }): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const across = Math.sin(radians(other.lat - one.lat) / 2) ** 2;
  const along = Math.sin(radians(other.lng - one.lng) / 2) ** 2;
  const chord = across + Math.cos(radians(one.lat)) * Math.cos(radians(other.lat)) * along;
  return 2 * 6_371_008.8 * Math.asin(Math.sqrt(chord));
}

test("the example day is read whole, orders by placement time", async () => {
  const day = await readDay(exampleDay);
  assert.equal(day.orders.length, 505);
  assert.equal(day.restaurants.length, 116);
  assert.equal(day.couriers.length, 113);
  assert.deepEqual(day.parameters, {
    metersPerMinute: 320,
    pickupMinutes: 4,
    dropoffMinutes: 4,
    targetClickToDoorMinutes: 40,
    maxClickToDoorMinutes: 90,
  });
  assert.ok(
    day.orders.every((order, index) => index === 0 || day.orders[index - 1]!.placedAt <= order.placedAt),
  );
});

test("a folder that is no published day says which file is missing", async () => {
  await assert.rejects(
    readDay("/nowhere/at-all"),
    /at-all is not a published day: orders\.txt can't be read \(ENOENT\)/,
  );
});

test("a wrong line is named with its file, and what is wrong with it", () => {
  const head = "order\tx\ty\tplacement_time\trestaurant\tready_time";
  assert.throws(() => parseOrders(`${head}\no1\t1\t2\t3\tr1`), /orders\.txt line 2 has 5 columns/);
  assert.throws(
    () => parseOrders(`${head}\no1\t1\t2\tnoon\tr1\t9`),
    /placement_time is "noon", not a number/,
  );
  assert.throws(() => parseOrders(`${head}\no1\t1\t2\t10\tr1\t9`), /o1 is placed at 10 and ready at 9/);
  assert.throws(
    () => parseOrders("order\tx\n"),
    /orders\.txt lacks the columns y, placement_time, ready_time/,
  );
  assert.throws(() => parseParameters("meters_per_minute\n320"), /lacks the columns/);
  assert.deepEqual(parseCouriers("courier\tx\ty\ton_time\toff_time\r\nc1\t1\t2\t0\t90\r\n"), [
    { name: "c1", x: 1, y: 2, onAt: 0, offAt: 90 },
  ]);
});

test("distances on the globe agree with those on the plane to better than one percent", async () => {
  const day = await readDay(exampleDay);
  const toGlobe = planeToGlobe(centerOf(day.restaurants));
  let worst = 0;
  for (const order of day.orders) {
    for (const restaurant of day.restaurants) {
      const plane = metersBetween(order, restaurant);
      if (plane < 50) continue;
      worst = Math.max(worst, Math.abs(haversineMeters(toGlobe(order), toGlobe(restaurant)) / plane - 1));
    }
  }
  assert.ok(worst < 0.01, `worst ${worst}`);
  // The widest published days span 36 km.
  const corner = haversineMeters(
    planeToGlobe({ x: 0, y: 0 })({ x: 18_000, y: 0 }),
    planeToGlobe({ x: 0, y: 0 })({ x: 0, y: 18_000 }),
  );
  assert.ok(Math.abs(corner / Math.hypot(18_000, 18_000) - 1) < 0.01);
});

test("the same seed gives the same kitchens, and every kitchen is the middle of its restaurants", async () => {
  const day = await readDay(exampleDay);
  const kitchens = clusterPlaces(day.restaurants, 8, 1);
  assert.equal(kitchens.length, 8);
  assert.deepEqual(kitchens, clusterPlaces(day.restaurants, 8, 1));
  kitchens.forEach((kitchen, index) => {
    const nearest = (place: { x: number; y: number }) =>
      kitchens.reduce(
        (best, other, at) =>
          metersBetween(other, place) < metersBetween(kitchens[best]!, place) ? at : best,
        0,
      );
    const members = day.restaurants.filter((restaurant) => nearest(restaurant) === index);
    assert.ok(members.length > 0);
    assert.ok(metersBetween(centerOf(members), kitchen) < 1);
  });
});

test("there are no more kitchens than distinct places", () => {
  const places = [1, 1, 1, 2, 2].map((x) => ({ x, y: 0 }));
  assert.deepEqual(clusterPlaces(places, 8, 1), [
    { x: 1, y: 0 },
    { x: 2, y: 0 },
  ]);
});

test("kitchens together take a quarter more than the busiest quarter hour asks", () => {
  const orders = [0, 1, 14, 14.9, 15, 30].map((placedAt, index) => ({
    name: `o${index}`,
    x: 0,
    y: 0,
    placedAt,
    readyAt: placedAt,
  }));
  assert.equal(peakOrders(orders), 4);
  assert.equal(kitchenCapacity(orders, 2), 3);
});
