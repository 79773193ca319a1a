import type { AssignmentProblem } from "../problem.ts";
import { listOptions } from "./options.ts";
import { findPrices } from "./prices.ts";
import type { SolveSettings } from "./solve.ts";

export type PriceSettings = Pick<SolveSettings, "deadlineMs" | "now" | "prices">;

/** The shadow prices alone, by channel, then resource: what the Lagrangian dual ends with, without a plan. */
export function shadowPrices(problem: AssignmentProblem, settings: PriceSettings): Float64Array {
  const end = settings.now() + settings.deadlineMs;
  const { prices } = findPrices(listOptions(problem), settings.prices, () => end - settings.now());
  return prices.slice(0, problem.channels * problem.resources);
}
