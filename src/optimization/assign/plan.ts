import type { Options } from "./options.ts";

/** Who goes where while it is being worked on: kept within every capacity. */
export interface Plan {
  /** Option by order. */
  readonly choice: Int32Array;
  /** What each limit has left. */
  readonly room: Int32Array;
}

/** Nobody is served. */
export const emptyPlan = ({ start, capacity }: Options): Plan => ({
  choice: start.subarray(1).map((end) => end - 1),
  room: capacity.slice(),
});

export const copyPlan = (plan: Plan): Plan => ({ choice: plan.choice.slice(), room: plan.room.slice() });

/** Whether this option's channel has room for it. */
export function hasRoom({ problem, channel, use }: Options, room: Int32Array, option: number): boolean {
  const { resources } = problem;
  const base = channel[option]! * resources;
  for (let r = 0; r < resources; r += 1) {
    if (use[option * resources + r]! > room[base + r]!) return false;
  }
  return true;
}

/** Takes the option's units from the room (`times` 1) or gives them back (-1). */
export function take(
  { problem, channel, use }: Options,
  room: Int32Array,
  option: number,
  times: 1 | -1,
): void {
  const { resources } = problem;
  const base = channel[option]! * resources;
  for (let r = 0; r < resources; r += 1) {
    room[base + r] = room[base + r]! - times * use[option * resources + r]!;
  }
}

/** With the price of the unserved. */
export function costOf({ cost }: Options, { choice }: Plan): number {
  let sum = 0;
  for (const option of choice) sum += cost[option]!;
  return sum;
}

export function assignmentOf({ problem, channel }: Options, { choice }: Plan): Int32Array {
  return choice.map((option) => (channel[option]! < problem.channels ? channel[option]! : -1));
}
