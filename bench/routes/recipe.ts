import { randomStream } from "../../src/optimization/routes/random.ts";

/**
 * A Solomon file of our own: customers in and around clusters, windows around the times at which a hidden plan of full vehicles
 * comes by, so that `vehicles` of them suffice.
 */
export function solomonText(seed: number, { vehicles = 5, perVehicle = 10, width = 60 } = {}): string {
  const random = randomStream(seed);
  const between = (low: number, high: number) => low + random() * (high - low);
  const depot = { x: 50, y: 50 };
  const rows: string[] = [];
  let latest = 0;
  for (let vehicle = 0; vehicle < vehicles; vehicle++) {
    let [time, at] = [0, depot];
    for (let index = 0; index < perVehicle; index++) {
      const next = {
        x: Math.round(Math.min(100, Math.max(0, at.x + between(-20, 20)))),
        y: Math.round(Math.min(100, Math.max(0, at.y + between(-20, 20)))),
      };
      time += Math.hypot(next.x - at.x, next.y - at.y);
      const ready = Math.max(0, Math.floor(time - between(0, width)));
      const due = Math.ceil(time + between(0, width));
      rows.push(`${next.x} ${next.y} 10 ${ready} ${due} 5`);
      time = Math.max(time, ready) + 5;
      at = next;
    }
    latest = Math.max(latest, time + Math.hypot(at.x - depot.x, at.y - depot.y));
  }
  return fileText(vehicles * 2, perVehicle * 10, [`50 50 0 0 ${Math.ceil(latest)} 0`, ...rows]);
}

/** The format around rows without their number: the depot's first. */
export const fileText = (vehicles: number, capacity: number, rows: readonly string[]): string =>
  [
    "OURS",
    "",
    "VEHICLE",
    "NUMBER     CAPACITY",
    `  ${vehicles}         ${capacity}`,
    "",
    "CUSTOMER",
    "CUST NO.   XCOORD.   YCOORD.    DEMAND   READY TIME   DUE DATE   SERVICE TIME",
    " ",
    ...rows.map((row, index) => `    ${index}   ${row}`),
    "",
  ].join("\n");
