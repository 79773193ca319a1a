import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { addBenchCommands } from "./bench.ts";
import { addChaosCommand } from "./chaos.ts";
import { addSolveCommands } from "./solve.ts";

/** The command was used wrongly; the message says how. Exit code 2. */
export class UsageError extends Error {}

/** What a command answers: its exit code. */
type Action = Promise<number>;

const version = (): string =>
  (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string })
    .version;

const integerOption = (least: number, most: number) => (text: string) => {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  }
  return value;
};

const positiveNumber = (text: string) => {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("It must be a number above 0.");
  return value;
};

/** The command line. A command's code is loaded when it is used, so that `--help` is quick. */
export function buildProgram(): { run(argv: readonly string[]): Action } {
  let answer: Action = Promise.resolve(0);
  const does =
    <Args extends readonly unknown[]>(action: (...args: Args) => Action) =>
    async (...args: Args) => {
      answer = action(...args);
      await answer;
    };

  const program = new Command("uoop")
    .description(
      "UOOP, the Unified Order Orchestration Platform.\nSettings come from the environment: docs/operating.md.",
    )
    .version(version())
    .exitOverride()
    .showHelpAfterError("(uoop --help shows the commands, uoop <command> --help its options)");
  addPlatformCommands(program, does);
  addKeyCommands(program, does);
  addOtherCommands(program, does);
  addCertifyCommand(program, does);
  addSolveCommands(program, { does, whole: integerOption });
  addBenchCommands(program, { does, whole: integerOption, positive: positiveNumber });
  addChaosCommand(program, { does, whole: integerOption });
  return {
    async run(argv) {
      await program.parseAsync(argv as string[]);
      return answer;
    },
  };
}

type Does = <Args extends readonly unknown[]>(
  action: (...args: Args) => Action,
) => (...args: Args) => Promise<void>;

function addPlatformCommands(program: Command, does: Does): void {
  program
    .command("start")
    .description("start the platform: database, all roles and, on an empty database, an example network")
    .option("--roles <list>", "roles that this process plays, comma-separated (overrides ROLES)")
    .action(does(async (options: { roles?: string }) => (await import("./start.ts")).start(options)));
  program
    .command("simulator")
    .description("the channels' side of the network: kitchens that cook, partners that answer and report")
    .option(
      "--port <number>",
      "HTTP port; 0 takes a free one (default: SIMULATOR_PORT)",
      integerOption(0, 65_535),
    )
    .option("--data-file <path>", "its ledger, kept across restarts (default: in memory)")
    .option(
      "--seed <number>",
      "the same seed gives each channel the same sequence of accidents",
      integerOption(0, 2 ** 32 - 1),
    )
    .option("--any-port", "take a free port when the one asked for is in use")
    .action(
      does(async (options: SimulatorCommandOptions) => (await import("./simulator.ts")).simulator(options)),
    );
  program
    .command("migrate")
    .description("bring the database to this release")
    .action(does(async () => (await import("./migrate.ts")).migrateCommand()));
}

export interface SimulatorCommandOptions {
  port?: number;
  dataFile?: string;
  seed?: number;
  anyPort?: boolean;
}

function addKeyCommands(program: Command, does: Does): void {
  const keys = program.command("keys").description("API keys: create, list, revoke");
  keys
    .command("create <client>")
    .description("make a key for a client (made when new); the key is shown once")
    .requiredOption(
      "--scopes <list>",
      "comma-separated: orders:read, orders:write, orders:operate, channels:write, webhooks:write, admin",
    )
    .option(
      "--rate-limit <number>",
      "requests a minute; 0: not limited (default: 1000, with admin 0)",
      integerOption(0, 1_000_000),
    )
    .option("--json", "print one JSON object")
    .action(
      does(async (client: string, options: { scopes: string; rateLimit?: number; json?: boolean }) =>
        (await import("./keys.ts")).createKey(client, options),
      ),
    );
  keys
    .command("list")
    .description("all keys, without what is secret")
    .option("--json", "print one JSON array")
    .action(does(async (options: { json?: boolean }) => (await import("./keys.ts")).listKeys(options)));
  keys
    .command("revoke <id>")
    .description("take a key's rights away, within 5 s everywhere")
    .action(does(async (id: string) => (await import("./keys.ts")).revokeKey(id)));
}

export interface CheckCommandOptions {
  acknowledged?: string;
  ledger?: string;
  ended?: boolean;
  json?: boolean;
}

export interface DemoCommandOptions {
  speed?: number;
  json?: boolean;
}

function addOtherCommands(program: Command, does: Does): void {
  program
    .command("openapi")
    .description("print the API's OpenAPI 3.1 document")
    .action(does(async () => (await import("./openapi.ts")).openapi()));
  program
    .command("check")
    .description("assert the invariants on a database, also a live one; exit code 1 when one is violated")
    .option("--acknowledged <file>", "a client's record of answers, one JSON object a line")
    .option("--ended", "also assert that every acknowledged order has ended")
    .option("--ledger <url>", "the simulator, for the bookings as the channels saw them")
    .option("--json", "print one JSON object")
    .action(does(async (options: CheckCommandOptions) => (await import("./check.ts")).check(options)));
  program
    .command("demo [folder]")
    .description("play a published delivery day through the HTTP API of a fresh, temporary platform")
    .option("--speed <factor>", "how much faster than the day's own clock", positiveNumber)
    .option("--json", "print the report as one JSON object and nothing else")
    .action(
      does(async (folder: string | undefined, options: DemoCommandOptions) =>
        (await import("./demo.ts")).demo(folder, options),
      ),
    );
}

export interface CertifyCommandOptions {
  channel: string;
  secret: string;
  partner?: string;
  timeout?: number;
  listen?: number;
  wait?: number;
  json?: boolean;
}

function addCertifyCommand(program: Command, does: Does): void {
  program
    .command("certify <url>")
    .description("hold a partner's endpoint against the channel protocol; exit code 1 when a rule is broken")
    .requiredOption("--channel <id>", "the channel id that the endpoint answers to")
    .requiredOption("--secret <secret>", "the channel's secret, whsec_…, or @file that holds it")
    .option("--partner <id>", "the member's id in a network; holds are then a must")
    .option("--timeout <ms>", "answers must come within (default: 2000)", integerOption(1, 60_000))
    .option(
      "--listen <port>",
      "listen here for signed reports; 0 takes a free port (default: rules of reports are skipped)",
      integerOption(0, 65_535),
    )
    .option("--wait <seconds>", "how long a report is waited for (default: 60)", integerOption(1, 86_400))
    .option("--json", "print one JSON object")
    .action(
      does(async (url: string, options: CertifyCommandOptions) =>
        (await import("./certify.ts")).certifyCommand(url, options),
      ),
    );
}
