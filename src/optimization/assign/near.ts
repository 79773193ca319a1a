import type { Options } from "./options.ts";

/** Of each order the options that are worth a thought: order j's are `option[start[j] … start[j + 1] - 1]`. */
export interface Near {
  readonly start: Int32Array;
  readonly option: Int32Array;
}

/**
 * Options within `within` of the order's cheapest by charged cost, and the one that it has. (An option further from the cheapest than
 * a solution is from the bound can be in no better one; the distance used here is smaller, and a choice, not a proof.)
 */
export function listNear(
  { start }: Options,
  charged: Float64Array,
  choice: Int32Array,
  within: number,
): Near {
  const near = { start: new Int32Array(start.length), option: new Int32Array(charged.length) };
  let count = 0;
  for (let order = 0; order < choice.length; order += 1) {
    let least = Number.POSITIVE_INFINITY;
    for (let o = start[order]!; o < start[order + 1]!; o += 1) if (charged[o]! < least) least = charged[o]!;
    for (let o = start[order]!; o < start[order + 1]!; o += 1) {
      if (charged[o]! - least > within && o !== choice[order]) continue;
      near.option[count] = o;
      count += 1;
    }
    near.start[order + 1] = count;
  }
  return { start: near.start, option: near.option.subarray(0, count) };
}
