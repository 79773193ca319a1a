/**
 * Holds routes against the text of a Solomon file, by nothing of the solver's code: reads the file anew, drives each route
 * stop by stop and says all that is wrong.
 */
export function verify(
  text: string,
  answer: { vehicles: number; distance: number; routes: number[][] },
): string[] {
  const { fleet, capacity, depot, byId } = readRows(text);
  const wrong: string[] = [];
  const seen = new Set<number>();
  let distance = 0;
  for (const [index, route] of answer.routes.entries()) {
    let [time, load, from] = [depot[4]!, 0, depot];
    for (const id of route) {
      const stop = byId.get(id);
      if (!stop || seen.has(id)) {
        wrong.push(`customer ${id} ${stop ? "is served twice" : "is not in the file"}`);
        continue;
      }
      seen.add(id);
      distance += between(from, stop);
      time = Math.max(time + between(from, stop), stop[4]!);
      if (time > stop[5]! + 1e-7)
        wrong.push(`route ${index}: customer ${id} is served at ${time}, due at ${stop[5]}`);
      time += stop[6]!;
      load += stop[3]!;
      from = stop;
    }
    distance += between(from, depot);
    if (time + between(from, depot) > depot[5]! + 1e-7)
      wrong.push(`route ${index} is back after ${depot[5]}`);
    if (load > capacity) wrong.push(`route ${index} carries ${load} of ${capacity}`);
    if (route.length === 0) wrong.push(`route ${index} is empty`);
  }
  for (const id of byId.keys()) if (!seen.has(id)) wrong.push(`customer ${id} is not served`);
  if (answer.routes.length > fleet) wrong.push(`${answer.routes.length} routes for ${fleet} vehicles`);
  if (answer.vehicles !== answer.routes.length)
    wrong.push(`vehicles: ${answer.vehicles}, not ${answer.routes.length}`);
  if (Math.abs(distance - answer.distance) > 1e-6)
    wrong.push(`distance: ${answer.distance}, not ${distance}`);
  return wrong;
}

/** The length of routes by a Solomon file's text; NaN when they name a customer that is not in it. */
export function measureRoutes(text: string, routes: readonly (readonly number[])[]): number {
  const { depot, byId } = readRows(text);
  return routes.reduce((sum, route) => {
    const places = [depot, ...route.map((id) => byId.get(id) ?? [Number.NaN, Number.NaN, Number.NaN]), depot];
    return sum + places.slice(1).reduce((length, place, index) => length + between(places[index]!, place), 0);
  }, 0);
}

const between = (a: readonly number[], b: readonly number[]) => Math.hypot(a[1]! - b[1]!, a[2]! - b[2]!);

function readRows(text: string) {
  const numbers = text
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter((words) => words.length > 1 && words.every(Number.isFinite));
  const [fleet, capacity] = numbers.find((words) => words.length === 2) as [number, number];
  const rows = numbers.filter((words) => words.length === 7);
  return {
    fleet,
    capacity,
    depot: rows[0]!,
    byId: new Map(rows.slice(1).map((words) => [words[0]!, words])),
  };
}
