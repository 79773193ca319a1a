import type { Command } from "commander";
import type { BenchOptions, BenchReport } from "../../bench/bench.ts";
import type { DayOptions } from "../../bench/day.ts";
import type { GapBenchOptions } from "../../bench/gap.ts";
import type { RoutesBenchOptions } from "../../bench/routes.ts";
import type { RoutingOptions } from "../../bench/routing.ts";
import type { SoakOptions } from "../../bench/soak.ts";
import type { StoredOptions } from "../../bench/stored.ts";
import type { WebhooksOptions } from "../../bench/webhooks.ts";

/** Parsers of options, and how a command's exit code is passed on: program.ts has them. */
interface Wiring {
  does: <Args extends readonly unknown[]>(
    action: (...args: Args) => Promise<number>,
  ) => (...args: Args) => Promise<void>;
  whole: (least: number, most: number) => (text: string) => number;
  positive: (text: string) => number;
}

interface CommonOptions {
  json?: boolean;
  seconds?: number;
  quick?: boolean;
  record?: boolean;
  folder?: string;
  seed?: number;
}

type Run<Extra> = (options: BenchOptions & Extra) => Promise<BenchReport>;

const quickSeconds = 2;
const defaultSeed = 1;

/** `uoop bench <name>`, orders when none is named; each bench's code is loaded when it is run. */
export function addBenchCommands(program: Command, { does, whole, positive }: Wiring): void {
  const bench = program
    .command("bench")
    .description("measure the platform: docs/performance.md says how to read it");

  /** `seconds`: default length of a measured phase. */
  const add: Add = (name, description, seconds, load) =>
    bench
      .command(name, { isDefault: name === "orders" })
      .description(description)
      .option("--json", "print one JSON object and nothing else")
      .option("--seconds <number>", `length of each measured phase (default ${seconds})`, positive)
      .option("--quick", "tiny numbers, to see that it runs")
      .option("--record", "add the result to bench/RESULTS.md")
      .option("--folder <path>", "where the data is made, so which disk is measured (default: temporary)")
      .option("--seed <number>", "of the orders' contents", whole(0, 2 ** 32 - 1))
      .action(
        does(async (options: CommonOptions & Parameters<Awaited<ReturnType<typeof load>>>[0]) => {
          const length = options.seconds ?? (options.quick ? quickSeconds : seconds);
          return runBench(name, options, await load(), length);
        }),
      );
  addLoadBenches(add, positive);
  addSolverBenches(add);
  addTroubleBenches(add, positive);
  addDayBench(bench, { does, whole });
}

/** No platform is started and nothing is timed, so it has options of its own. */
function addDayBench(bench: Command, { does, whole }: Pick<Wiring, "does" | "whole">): void {
  bench
    .command("day <folders...>")
    .description("published days of meal orders under round robin, nearest, greedy and ours")
    .option("--json", "print one JSON object and nothing else")
    .option("--quick", "a hundred orders of one day, to see that it runs")
    .option("--record", "add the result to bench/RESULTS.md")
    .option("--seed <number>", "of the kitchens' places and of what routing samples", whole(0, 2 ** 32 - 1))
    .action(
      does(async (folders: string[], options: CommonOptions) => {
        const { benchDay } = await import("../../bench/day.ts");
        return runBench<DayOptions>("day", { ...options, folders }, benchDay, 0);
      }),
    );
}

type Add = <Extra extends object>(
  name: string,
  description: string,
  seconds: number,
  load: () => Promise<Run<Extra>>,
) => Command;

function addLoadBenches(add: Add, positive: Wiring["positive"]): void {
  add(
    "orders",
    "orders a second, latency, what an order costs, and the limit of the same SQL",
    10,
    async () => (await import("../../bench/orders.ts")).benchOrders,
  );
  add(
    "batch",
    "orders a second over POST /v1/orders/batch",
    8,
    async () => (await import("../../bench/batch.ts")).benchBatch,
  );
  add(
    "gateway",
    "what the gateway adds to a request",
    8,
    async () => (await import("../../bench/gateway.ts")).benchGateway,
  );
  add(
    "quotes",
    "quotes a second, and what routing costs an order",
    8,
    async () => (await import("../../bench/quotes.ts")).benchQuotes,
  );
  add(
    "reads",
    "orders by id, alone and beside writes",
    10,
    async () => (await import("../../bench/reads.ts")).benchReads,
  );
  add(
    "start",
    "from the command to the first order confirmed",
    1,
    async () => (await import("../../bench/start.ts")).benchStart,
  );
  add(
    "overload",
    "three times the rate that it can take, and what comes after",
    60,
    async () => (await import("../../bench/overload.ts")).benchOverload,
  );
  add<SoakOptions>(
    "soak",
    "minutes at a steady rate: memory, lag, cost and growth must stay flat",
    300,
    async () => (await import("../../bench/soak.ts")).benchSoak,
  )
    .option("--minutes <number>", "how long, instead of --seconds", positive)
    .option("--rate <number>", "orders a second (default: 60 % of what it can take)", positive);
  add<StoredOptions>(
    "stored",
    "the same load on an empty platform and with millions of orders stored",
    10,
    async () => (await import("../../bench/stored.ts")).benchStored,
  ).option("--millions <number>", "orders that are stored, in millions (default 5)", positive);
}

/** Solvers beside their bounds and their peers. */
function addSolverBenches(add: Add): void {
  add<RoutingOptions>(
    "routing",
    "orders to channels: distance from the bound by deadline, as a stream, and by OR-Tools",
    1,
    async () => (await import("../../bench/routing.ts")).benchRouting,
  )
    .option("--files <paths...>", "instances in the format of `uoop solve channels`, instead of its own")
    .option("--python <path>", "the Python that OR-Tools is looked for in (default: python3)");
  add<GapBenchOptions>(
    "gap",
    "generalised assignment problems beside native CP-SAT (PyPI ortools, when there); --seconds is each one's deadline",
    5,
    async () => (await import("../../bench/gap.ts")).benchGap,
  )
    .option("--files <files...>", "OR-Library format (default: some of each class are made)")
    .option("--optima <file>", "a text that names their optima: d05100 6353, …")
    .option("--python <path>", "the Python that has OR-Tools (default: python3)");
  add<RoutesBenchOptions>(
    "routes",
    "vehicle routes with time windows, for each file, beside PyVRP",
    10,
    async () => (await import("../../bench/routes.ts")).benchRoutes,
  )
    .option("--files <files...>", "Solomon files (default: some are made)")
    .option("--python <command>", "a Python that has PyVRP (default: python3)");
}

/** How it fares when others fail. */
function addTroubleBenches(add: Add, positive: Wiring["positive"]): void {
  add<WebhooksOptions>(
    "webhooks",
    "ten subscribers to every event: beside the load, and when they fail",
    10,
    async () => (await import("../../bench/webhooks.ts")).benchWebhooks,
  ).option("--rate <number>", "orders a second (default 2,000)", positive);
  add(
    "partners",
    "what becomes of orders when channels are dead and others fail",
    20,
    async () => (await import("../../bench/partners.ts")).benchPartners,
  );
}

async function runBench<Extra extends object>(
  name: string,
  options: CommonOptions & Extra,
  run: Run<Extra>,
  seconds: number,
): Promise<number> {
  // Whatever was started is ended by handlers of `exit`.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
  const { json, record, quick, seed } = options;
  const report = await run({
    ...options,
    seconds,
    quick: quick ?? false,
    seed: seed ?? defaultSeed,
    out: process.stderr,
  });
  if (json) console.log(JSON.stringify(report.json));
  else for (const line of report.lines) console.log(line);
  for (const what of report.wrong) console.error(`uoop bench ${name}: ${what}`);
  if (record) {
    const { recordEntry } = await import("../../bench/report/record.ts");
    recordEntry({ ...report, options: `--seconds ${seconds}${quick ? " --quick" : ""}` });
  }
  return report.ok ? 0 : 1;
}
