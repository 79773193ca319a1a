import type { ChannelRoom } from "../capacity/api.ts";
import type { SlotPrices, Wish } from "../capacity/ranking.ts";
import type { Clock } from "../platform/clock.ts";
import { repeatEvery } from "../platform/repeat.ts";
import type { Service } from "../platform/service.ts";
import type { PriceSettings } from "./assign/shadow-prices.ts";
import { expectDemand, slotPrices, warmStart } from "./bid-prices.ts";
import { createRecentDemand } from "./demand.ts";
import type { AssignmentProblem } from "./problem.ts";

/** Finds shadow prices, best elsewhere than on the loop that answers HTTP. */
export type FindPrices = (
  problem: AssignmentProblem,
  settings: Omit<PriceSettings, "now">,
) => Promise<Float64Array>;

export interface SteererDependencies {
  clock: Clock;
  network(): readonly ChannelRoom[];
  findPrices: FindPrices;
  /** Ends what `findPrices` runs on. */
  stopFinding?: () => Promise<void>;
  random: () => number;
  onError(error: unknown): void;
  /** From the end of one solve to the next; 0: never. */
  everyMs: number;
  /** How long demand is remembered, hence how fast an estimate follows it. */
  memoryMs?: number;
}

/** Keeps the bid prices of slots up to date from what was routed lately (docs/routing.md, "Between solves"). */
export interface Steerer extends Service {
  /** Notes what was routed now. */
  note(wishes: readonly Wish[]): void;
  /** Penalty per unit by slot; undefined while nothing is expected to be short. */
  prices(): SlotPrices | undefined;
  /** Makes them anew now. When the solver fails, the last ones stay. */
  refresh(): Promise<void>;
}

const defaultMemoryMs = 30 * 60_000;
/** No farther than this many memories: an estimate of half an hour says nothing about tomorrow. */
const memoriesAhead = 4;
const maxSample = 300;
const maxRows = 1_000;
const maxSlots = 400;
const solveDeadlineMs = 300;

export function createSteerer(dependencies: SteererDependencies): Steerer {
  const {
    clock,
    network,
    findPrices,
    stopFinding,
    random,
    onError,
    everyMs,
    memoryMs = defaultMemoryMs,
  } = dependencies;
  const demand = createRecentDemand({ maxSample, memoryMs, random });
  let prices: SlotPrices | undefined;
  let stopRepeating: () => void = () => undefined;
  let underWay: Promise<void> = Promise.resolve();

  const refresh = async () => {
    const nowMs = clock.nowMs();
    const ahead = { nowMs, maxAheadMs: memoriesAhead * memoryMs, maxRows, maxSlots };
    const expected = expectDemand(demand.recent(nowMs), network(), ahead);
    if (expected === null) {
      prices = undefined;
      return;
    }
    const found = await findPrices(expected.problem, {
      deadlineMs: solveDeadlineMs,
      ...(prices === undefined ? {} : { prices: warmStart(expected, prices) }),
    });
    prices = slotPrices(expected, found);
  };

  return {
    name: "steerer",
    note: (wishes) => {
      if (everyMs > 0) demand.note(wishes, clock.nowMs());
    },
    prices: () => prices,
    refresh,
    async start() {
      if (everyMs === 0) return;
      stopRepeating = repeatEvery(
        clock,
        everyMs,
        () => {
          underWay = refresh();
          return underWay;
        },
        onError,
      );
    },
    async stop() {
      stopRepeating();
      await underWay.catch(() => undefined); // told already
      await stopFinding?.();
    },
  };
}
