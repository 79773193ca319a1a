import { enableCompileCache } from "node:module";
import { CommanderError } from "commander";
import { buildProgram, UsageError } from "./cli/program.ts";
import { ConfigError } from "./platform/config.ts";

const leftoverGraceMs = 2_000;

/** Exit codes: 0 good, 1 refused or failed, 2 wrong usage. */
async function main(): Promise<number> {
  try {
    return await buildProgram().run(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has said why
    console.error((error as Error).message);
    if (error instanceof UsageError || error instanceof ConfigError) return 2;
    return 1;
  }
}

// What has been said to a pipe that was closed meanwhile (`uoop check | head`) is not worth a crash.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});
enableCompileCache(); // halves what loading our modules costs at every start but the first
process.exitCode = await main();
// Whatever still keeps the process alive now was forgotten by someone; it must not keep a stopped program running.
setTimeout(() => process.exit(), leftoverGraceMs).unref();
