import { pick, type Random } from "../../src/channels/simulator/random.ts";

/** Of one process with its embedded PostgreSQL: who is killed, or (frozen) stopped for a while and woken up. */
const singleVictims = ["main", "group", "postgres", "frozen", "frozen-postgres"] as const;
/** Of several processes on one PostgreSQL that is the run's own. */
const fleetVictims = [
  ...["process", "two", "frozen", "postgres", "frozen-postgres"],
  ...["rolling", "cut", "slow", "disk", "clock"],
] as const as readonly Victim[];

/**
 * Whom a round hits. `main`: the main process alone (its PostgreSQL lives on); `group`: all that it started too; `postgres`: that alone;
 * `process`, `two`: so many of several; `frozen`, `frozen-postgres`: SIGSTOP, and SIGCONT seconds later; `rolling`: SIGTERM and a new
 * start, one process after the other; `cut`, `slow`: the network to the database and to the partners; `disk`: the database's is full;
 * `clock`: a process's clock jumps.
 */
export type Victim =
  | (typeof singleVictims)[number]
  | "process"
  | "two"
  | "rolling"
  | "cut"
  | "slow"
  | "disk"
  | "clock";

/** Everything that chance decides about one blow. */
export interface Blow {
  victim: Victim;
  /** How long who is frozen is so, and how long the network or the disk is in trouble: some beyond an owner's lease. */
  lastingMs: number;
  /** What was killed is started again so long after. */
  restartAfterMs: number;
  /** Which of several processes, in [0, 1). */
  choice: number;
  /** A full disk has no room for the write-ahead log either, so that PostgreSQL itself goes down. */
  alsoLog: boolean;
}

export const planBlow = (random: Random, victim: Victim): Blow => ({
  victim,
  lastingMs: pick(random, { min: 500, max: 9_000 }),
  restartAfterMs: pick(random, { min: 0, max: 6_000 }),
  choice: random(),
  alsoLog: random() < 0.5,
});

/** The kinds of a run with so many processes, and those that it hits unless told otherwise. */
export function victimsFor(processes: number, skewSeconds: number) {
  const all: readonly Victim[] = processes === 1 ? singleVictims : fleetVictims;
  const usual: readonly Victim[] =
    processes === 1 ? ["main", "group"] : all.filter((one) => one !== "clock" || skewSeconds > 0);
  return { all, usual };
}
