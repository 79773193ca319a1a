import type { Plan } from "./plan.ts";
import { absenteesOf, type Search, Walk } from "./walk.ts";

/** How a walk goes: temperatures at its start and end, in mean lengths of a leg; whether it may leave more out than the plan it began with. */
interface Manner {
  hot: number;
  cold: number;
  mayLeaveOut: boolean;
}

/** Goes far, past plans that are too full to be changed. */
export const roaming: Manner = { hot: 10, cold: 0.05, mayLeaveOut: true };
/** Stays near what was found. */
export const settling: Manner = { hot: 1, cold: 0.01, mayLeaveOut: false };
/** What a stop left out costs, in mean lengths of a leg: at first, and at least. */
const firstPenalty = 20;
const leastPenalty = 1;
/** The penalty follows the share of steps at plans that leave out no more than the best does. */
const wantedShare = 0.5;
const stepsPerPenalty = 128;
const penaltyFactor = 1.1;
const noise = 1e-9;

/**
 * Shortens a plan by ruin and recreate under simulated annealing until the time is up; leaves the best in `plan`: fewest
 * left out, then shortest. Roaming, it may leave stops out at a price.
 * Answers the steps that it made.
 */
export function shorten(
  plan: Plan,
  search: Search,
  stops: readonly number[],
  vehicles: number,
  endsAt: number,
  { hot, cold, mayLeaveOut }: Manner,
): number {
  const startedAt = search.now();
  if (startedAt >= endsAt || stops.length === 0) return 0;
  const walk = new Walk(search, plan, absenteesOf(plan, stops));
  const best = { absent: walk.absent, length: walk.length };
  const mean = walk.length / stops.length;
  let temperature = mean;
  let penalty = firstPenalty * mean;
  let near = 0;
  for (;;) {
    const time = walk.look();
    if (time !== null) {
      if (time >= endsAt) return walk.iterations;
      temperature = mean * hot * (cold / hot) ** ((time - startedAt) / (endsAt - startedAt));
    }
    walk.step(vehicles);
    const loss = walk.trialLength - walk.length + penalty * (walk.failed - walk.absent);
    if ((mayLeaveOut || walk.failed <= best.absent) && walk.passes(loss, temperature)) walk.keep();
    else walk.drop();
    if (walk.absent < best.absent || (walk.absent === best.absent && walk.length < best.length - noise)) {
      [best.absent, best.length] = [walk.absent, walk.length];
      plan.copyFrom(walk.current);
    }
    if (walk.absent <= best.absent) near += 1;
    if (walk.iterations % stepsPerPenalty === 0) {
      const factor = near < wantedShare * stepsPerPenalty ? penaltyFactor : 1 / penaltyFactor;
      penalty = Math.max(leastPenalty * mean, penalty * factor);
      near = 0;
    }
  }
}
