import { none, Plan } from "./plan.ts";
import type { Recreate } from "./recreate.ts";
import type { Ruin } from "./ruin.ts";

/** What a search works with. */
export interface Search {
  random: () => number;
  ruin: Ruin;
  recreate: Recreate;
  now: () => number;
}

/** Iterations between two looks at the clock. */
const iterationsPerLook = 8;

/** A walk through plans: from the current one a step leads to a trial, which is then kept or dropped. */
export class Walk {
  readonly current: Plan;
  readonly trial: Plan;
  /** Stops that the current plan serves by no vehicle, `absent` of them; the trial's lie in `out`. */
  readonly absentees: Int32Array;
  absent = 0;
  readonly out: Int32Array;
  failed = 0;
  length: number;
  trialLength: number;
  iterations = 0;
  private readonly search: Search;

  constructor(search: Search, plan: Plan, absentees: readonly number[]) {
    this.search = search;
    this.current = new Plan(plan.columns);
    this.trial = new Plan(plan.columns);
    this.absentees = new Int32Array(plan.columns.stops);
    this.out = new Int32Array(plan.columns.stops);
    this.length = plan.totalLength();
    this.trialLength = this.length;
    this.startFrom(plan, absentees);
  }

  startFrom(plan: Plan, absentees: readonly number[]): void {
    this.current.copyFrom(plan);
    this.trial.copyFrom(plan);
    this.absentees.set(absentees);
    this.absent = absentees.length;
    this.length = plan.totalLength();
  }

  /** The time, at every few steps; null at the others. */
  look(): number | null {
    return this.iterations % iterationsPerLook === 0 ? this.search.now() : null;
  }

  /** Takes stops out of the trial and puts them and the absent ones back, over the first `vehicles` vehicles. */
  step(vehicles: number): void {
    const { ruin, recreate } = this.search;
    this.iterations += 1;
    let count = ruin.run(this.trial);
    this.out.set(ruin.removed.subarray(0, count));
    for (let index = 0; index < this.absent; index++) this.out[count++] = this.absentees[index]!;
    this.failed = recreate(this.trial, this.out, count, vehicles);
    this.trialLength = this.trial.totalLength();
  }

  keep(): void {
    this.current.copyFrom(this.trial);
    this.absentees.set(this.out.subarray(0, this.failed));
    this.absent = this.failed;
    this.length = this.trialLength;
  }

  drop(): void {
    this.trial.copyFrom(this.current);
  }

  /** Whether a loss passes at a temperature (Metropolis). */
  passes(loss: number, temperature: number): boolean {
    return loss < -temperature * Math.log(this.search.random());
  }
}

/** Stops of a list that no vehicle serves. */
export const absenteesOf = (plan: Plan, stops: readonly number[]): number[] =>
  stops.filter((stop) => plan.vehicle[stop] === none);
