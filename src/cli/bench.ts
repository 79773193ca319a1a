import type { Command } from "commander";
import type { BenchOptions, BenchReport } from "../../bench/bench.ts";

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

/** `uoop bench <name>`; each bench's code is loaded when it is run. */
export function addBenchCommands(program: Command, { does, whole, positive }: Wiring): void {
  const bench = program
    .command("bench")
    .description("measure the platform: docs/performance.md says how to read it");

  /** `seconds`: default length of a measured phase. */
  const add = <Extra extends object>(
    name: string,
    description: string,
    seconds: number,
    load: () => Promise<Run<Extra>>,
  ): Command =>
    bench
      .command(name)
      .description(description)
      .option("--json", "print one JSON object and nothing else")
      .option("--seconds <number>", `length of each measured phase (default ${seconds})`, positive)
      .option("--quick", "tiny numbers, to see that it runs")
      .option("--record", "add the result to bench/RESULTS.md")
      .option("--folder <path>", "where the data is made, so which disk is measured (default: temporary)")
      .option("--seed <number>", "of the orders' contents", whole(0, 2 ** 32 - 1))
      .action(
        does(async (options: CommonOptions & Extra) => {
          const length = options.seconds ?? (options.quick ? quickSeconds : seconds);
          return runBench(name, options, await load(), length);
        }),
      );

  add(
    "orders",
    "orders a second, latency, what an order costs, and the limit of the same SQL",
    10,
    async () => (await import("../../bench/orders.ts")).benchOrders,
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
