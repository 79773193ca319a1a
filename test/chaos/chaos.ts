import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../src/channels/simulator/random.ts";
import type { DifferenceView } from "../../src/reconciliation/api.ts";
import { type Client, createClient } from "./client.ts";
import { startFleet } from "./fleet.ts";
import { makeNetwork } from "./network.ts";
import { planRound } from "./plan.ts";
import { processesOf } from "./process-tree.ts";
import { killEverything } from "./program.ts";
import { type CheckAnswer, type Platform, startSingle, startWorld } from "./programs.ts";
import { playRound, type RoundReport, type Scene } from "./round.ts";
import type { Victim } from "./victims.ts";
import { createWatcher } from "./watcher.ts";

export interface ChaosOptions {
  rounds: number;
  /** Orders of a round. */
  orders: number;
  /** Decides everything that is left to chance but the computer's own timing. */
  seed: number;
  /** Share of partner calls that are refused, fail or are never answered; 0 to 1. */
  trouble: number;
  /** 1: one, with its embedded PostgreSQL; more: so many on one that is the run's own. */
  processes: number;
  /** How far each of several processes' clocks is off at most. */
  skewSeconds: number;
  /** Whom the rounds hit, in turn. */
  victims: readonly Victim[];
  /** Data and logs are kept also when all is well. */
  keep?: boolean;
  /** Told after each round. */
  onRound(report: RoundReport): void;
}

export interface ChaosReport {
  rounds: readonly RoundReport[];
  check: CheckAnswer;
  /** Events that came again after a resumption: allowed, counted. */
  repeatedEvents: number;
  /** Bookings that channels had otherwise than the platform, for a moment. */
  differences: number;
  /** Everything that should not be; empty when all is well. */
  wrong: readonly string[];
  /** Where data and logs are, when something was wrong or they were to be kept; otherwise they are gone. */
  folder: string;
  kept: boolean;
}

/**
 * The real program on a folder of its own, killed in the middle of its work again and again, while the channels (a
 * process of their own) live on. Throws when the platform does not come back or orders come to a standstill, naming the folder
 * with data and logs; what is otherwise wrong is in the report.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const folder = await mkdtemp(join(tmpdir(), "uoop-chaos-"));
  try {
    const report = await play(folder, options);
    if (report.wrong.length === 0 && !options.keep) await rm(folder, { recursive: true, force: true });
    return report;
  } catch (error) {
    throw new Error(`${(error as Error).message} (data and logs are in ${folder})`, { cause: error });
  } finally {
    killEverything();
  }
}

async function play(folder: string, options: ChaosOptions): Promise<ChaosReport> {
  const random = seededRandom(String(options.seed));
  const recordFile = join(folder, "acknowledged.ndjson");
  const world = await startWorld({ folder, seed: options.seed });
  const platform = await startPlatform(folder, options);
  await using client = createClient(platform.urls, platform.keyFile);
  const network = await makeNetwork(client, world.url, {
    platformUrl: platform.url,
    channelsUrl: await platform.channelsAt(world.url),
    trouble: options.trouble,
    nowMs: Date.now(),
  });
  await using watcher = createWatcher(platform.urls, client.authorization);
  const scene: Scene = { network, platform, client, watcher, worldUrl: world.url, recordFile };

  const rounds: RoundReport[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    const report = await playRound(planRound(random, round, options, Date.now()), scene);
    rounds.push(report);
    options.onRound(report);
  }
  // Each round has seen that all of its orders ended; the check says so again.
  const check = await platform.check({ acknowledgedFile: recordFile, ledgerUrl: world.url, ended: true });
  const differences = await differencesOf(client);
  const codes = { ...(await platform.stop()), simulator: await world.stop() };
  const wrong = [
    ...rounds.flatMap((report) => report.wrong.map((what) => `round ${report.round}: ${what}`)),
    ...watcher.wrong.map((what) => `event stream: ${what}`),
    ...platform.wrong,
    ...violations(check),
    ...differences
      .filter(({ settledAt }) => settledAt === null)
      .map((one) => `differs: ${JSON.stringify(one)}`),
    ...Object.entries(codes).flatMap(([name, code]) =>
      code === 0 ? [] : [`the ${name} ended with code ${code}`],
    ),
    ...processesOf(folder).map((about) => `left running: ${about}`),
  ];
  return {
    rounds,
    check,
    repeatedEvents: watcher.repeats,
    differences: differences.length,
    wrong,
    folder,
    kept: options.keep === true || wrong.length > 0,
  };
}

const startPlatform = (folder: string, options: ChaosOptions): Promise<Platform> =>
  options.processes === 1
    ? startSingle(folder)
    : startFleet({
        folder,
        processes: options.processes,
        // Its own sequence: how much of it is used depends on the computer's timing, and must not change the plan.
        random: seededRandom(`${options.seed} fleet`),
        skewSeconds: options.skewSeconds,
        smallDisk: options.victims.includes("disk"),
      });

/** What reconciliation found; a channel that gave an order back and could not say so is put right, and nothing else may be left. */
async function differencesOf(client: Client): Promise<readonly DifferenceView[]> {
  const path = "/v1/differences?settled=true&limit=500";
  return (await client.must<{ items: DifferenceView[] }>("GET", path)).items;
}

const violations = ({ findings }: CheckAnswer): string[] =>
  findings
    .filter(({ violationCount }) => violationCount > 0)
    .map(
      ({ invariant, name, violationCount, violations: [first] }) =>
        `uoop check: ${invariant} ${name}: ${violationCount} times, the first: ${first?.subject} ${first?.what}`,
    );
