import { type Columns, none, type Plan } from "./plan.ts";

/** Stops taken out at a time, on average, and of one route at most (values of the paper). */
const averageRemoved = 10;
const maxStringLength = 10;
/** Chance that a string is taken around some stops that stay, and that one more stays. */
const splitChance = 0.5;
const keepMoreChance = 0.99;
/** A stop's neighbours that are looked at. */
const maxNeighbours = 200;

/** Takes neighbouring strings of stops out of their routes: what is close in place can change places. */
export interface Ruin {
  /** Stops that the last call took out, `count` of them. */
  readonly removed: Int32Array;
  run(plan: Plan): number;
}

/** Adjacent string removal (Christiaens & Vanden Berghe, Slack Induction by String Removals, 2020). */
export function stringRemoval(columns: Columns, random: () => number): Ruin {
  const { stops } = columns;
  const neighbours = nearest(columns, Math.min(stops, maxNeighbours));
  const width = Math.min(stops, maxNeighbours);
  const removed = new Int32Array(stops);
  const touched = new Int32Array(columns.vehicles);
  const isTouched = new Uint8Array(columns.vehicles);
  let count = 0;

  const take = (plan: Plan, stop: number, length: number, kept: number): void => {
    const route = plan.vehicle[stop]!;
    const span = length + kept;
    const position = plan.position[stop]!;
    const lowest = Math.max(0, position - span + 1);
    const highest = Math.min(position, plan.size[route]! - span);
    const start = lowest + Math.floor(random() * (highest - lowest + 1));
    let current = stop;
    for (let at = position; at > start; at--) current = plan.previous[current]!;
    const keptFrom = kept === 0 ? span : Math.floor(random() * (length + 1));
    for (let offset = 0; offset < span; offset++) {
      const after = plan.next[current]!;
      if (offset < keptFrom || offset >= keptFrom + kept) {
        plan.unlink(current);
        removed[count++] = current;
      }
      current = after;
    }
  };

  const run = (plan: Plan): number => {
    count = 0;
    let routes = 0;
    const served = Math.max(1, stops);
    const longest = Math.max(1, Math.min(maxStringLength, served / Math.max(1, plan.usedVehicles())));
    const mostStrings = (4 * averageRemoved) / (1 + longest) - 1;
    const strings = Math.floor(1 + random() * mostStrings);
    const seed = Math.floor(random() * stops);
    for (let rank = 0; rank < width && routes < strings; rank++) {
      const stop = neighbours[seed * width + rank]!;
      const route = plan.vehicle[stop]!;
      if (route === none || isTouched[route] === 1) continue;
      isTouched[route] = 1;
      touched[routes++] = route;
      const size = plan.size[route]!;
      const length = Math.floor(1 + random() * Math.min(size, longest));
      let kept = 0;
      if (length > 1 && length < size && random() < splitChance) {
        kept = 1;
        while (length + kept < size && random() > keepMoreChance) kept += 1;
      }
      take(plan, stop, length, kept);
    }
    for (let index = 0; index < routes; index++) {
      isTouched[touched[index]!] = 0;
      plan.refresh(touched[index]!);
    }
    return count;
  };
  return { removed, run };
}

/** Per stop, itself and the stops that are next to it, nearest first. */
function nearest({ stops, places, lengths }: Columns, width: number): Int32Array {
  const all = new Int32Array(stops * width);
  const order = Array.from({ length: stops }, (_, stop) => stop);
  for (let stop = 0; stop < stops; stop++) {
    const row = stop * places;
    const sorted = order.toSorted((a, b) =>
      a === stop ? -1 : b === stop ? 1 : lengths[row + a]! - lengths[row + b]!,
    );
    for (let rank = 0; rank < width; rank++) all[stop * width + rank] = sorted[rank]!;
  }
  return all;
}
