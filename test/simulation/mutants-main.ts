import { parseArgs } from "node:util";
import { startTestPostgres } from "../support/postgres-server.ts";
import { hunt } from "./hunt.ts";
import { mutants } from "./mutants.ts";

/**
 * `npm run simulate:mutants -- [--seeds N] [--seed S] [--only K]`: plants each bug by itself and lets the simulation look for
 * it. Exit code 1 when one was not found.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
    only: { type: "string" },
  },
});

const postgres = await startTestPostgres();
let missed = 0;
console.log(`${mutants.length} planted bugs, up to ${values.seeds} worlds each from seed ${values.seed}`);
for (const [number, mutant] of mutants.entries()) {
  const { name } = mutant;
  if (values.only !== undefined && Number(values.only) !== number) continue;
  const env = { TEST_POSTGRES_URL: postgres.url };
  const { found, worlds, broke, output } = await hunt(mutant, Number(values.seeds), Number(values.seed), env);
  if (found) console.log(`found after ${worlds} worlds: ${name}\n    ${broke}`);
  else {
    missed += 1;
    console.log(`NOT FOUND in ${worlds} worlds: ${name}\n${output.slice(-1_000)}`);
  }
}
await postgres.stop();
console.log(missed === 0 ? "all were found" : `${missed} were not found`);
process.exit(missed === 0 ? 0 : 1);
