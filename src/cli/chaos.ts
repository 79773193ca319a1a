import { type Command, InvalidArgumentError } from "commander";
import type { ChaosCommandOptions } from "../../test/chaos/command.ts";

/** Parsers of options, and how a command's exit code is passed on: program.ts has them. */
interface Wiring {
  does: <Args extends readonly unknown[]>(
    action: (...args: Args) => Promise<number>,
  ) => (...args: Args) => Promise<void>;
  whole: (least: number, most: number) => (text: string) => number;
}

const share = (text: string): number => {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError("It must be a number from 0 to 1.");
  return value;
};

/** `uoop chaos`; its code, which is of the tests, is loaded when it is used. */
export function addChaosCommand(program: Command, { does, whole }: Wiring): void {
  program
    .command("chaos")
    .description("kill, freeze and starve the platform under load, and see what becomes of the orders")
    .option("--rounds <number>", "blows, at least", whole(1, 100_000), 50)
    .option("--orders <number>", "orders in flight at each", whole(1, 5_000), 200)
    .option("--seed <number>", "repeats the circumstances of an earlier run", whole(0, 2 ** 32 - 1))
    .option(
      "--trouble <share>",
      "of the partner calls that are refused, fail or are never answered",
      share,
      0.2,
    )
    .option("--processes <number>", "of the platform, on one database", whole(1, 20), 1)
    .option(
      "--skew <seconds>",
      "each of several processes' clocks is off by so much at most",
      whole(0, 86_400),
      0,
    )
    .option(
      "--victims <list>",
      "whom the rounds hit, in turn (docs/chaos.md). One process: main, group, postgres, frozen, frozen-postgres; several: process, two, frozen, postgres, frozen-postgres, rolling, cut, slow, disk, clock",
    )
    .option("--keep", "keep data and logs also when all is well")
    .option("--json", "print one JSON object and nothing else")
    .option("--record", "add a line to bench/RELIABILITY.md")
    .action(does(chaos));
}

async function chaos(options: ChaosCommandOptions): Promise<number> {
  const { prepareChaos } = await import("../../test/chaos/command.ts");
  const { UsageError } = await import("./program.ts");
  let prepared: ReturnType<typeof prepareChaos>;
  try {
    prepared = prepareChaos(options);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  // Whatever was started is ended by handlers of `exit`.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
  const { ok, json, lines } = await prepared.run((line) => (options.json ? undefined : console.log(line)));
  if (options.json) console.log(JSON.stringify(json));
  else for (const line of lines) console.log(line);
  return ok ? 0 : 1;
}
