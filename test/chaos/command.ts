import { type ChaosOptions, runChaos } from "./chaos.ts";
import { recordRun } from "./record.ts";
import { reportLines, roundLine, summarise } from "./report.ts";
import { type Victim, victimsFor } from "./victims.ts";

export interface ChaosCommandOptions {
  rounds: number;
  orders: number;
  seed?: number;
  trouble: number;
  processes: number;
  skew: number;
  victims?: string;
  keep?: boolean;
  json?: boolean;
  record?: boolean;
}

/** The victims that a command line named. Throws a sentence for one that such a run can't hit. */
function readVictims({ processes, skew, victims }: ChaosCommandOptions): readonly Victim[] {
  const { all, usual } = victimsFor(processes, skew);
  if (victims === undefined) return usual;
  const named = victims.split(",").map((one) => one.trim());
  const unknown = named.find((one) => !(all as readonly string[]).includes(one));
  if (unknown !== undefined)
    throw new Error(
      `"${unknown}" can't be hit with ${processes === 1 ? "one process" : "several processes"}; the victims are ${all.join(", ")}.`,
    );
  if (named.includes("clock") && skew === 0)
    throw new Error("Clocks jump by --skew seconds: it must be above 0.");
  return named as Victim[];
}

export interface ChaosRun {
  /** Plays the rounds, saying each in a line; resolves with whether all held. */
  run(say: (line: string) => void): Promise<{ ok: boolean; json: object; lines: readonly string[] }>;
}

/** `uoop chaos`, its options read. Throws a sentence when they don't go together. */
export function prepareChaos(given: ChaosCommandOptions): ChaosRun {
  const options: Omit<ChaosOptions, "onRound"> = {
    rounds: given.rounds,
    orders: given.orders,
    seed: given.seed ?? Date.now() % 1_000_000,
    trouble: given.trouble,
    processes: given.processes,
    skewSeconds: given.skew,
    victims: readVictims(given),
    keep: given.keep ?? false,
  };
  return {
    async run(say) {
      say(
        `${options.rounds} rounds of ${options.orders} orders, ${options.processes} process(es), ${options.trouble * 100} % of partner calls in trouble, seed ${options.seed}`,
      );
      const report = await runChaos({ ...options, onRound: (round) => say(roundLine(round)) });
      const summary = summarise(report);
      if (given.record) recordRun(options, summary);
      const json = { ...summary, seed: options.seed };
      return { ok: report.wrong.length === 0, json, lines: reportLines(report) };
    },
  };
}
