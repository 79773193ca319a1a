import { execFile } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startTestPostgres } from "../support/postgres-server.ts";
import { mutants } from "./mutants.ts";

/**
 * `npm run simulate:mutants`: plants each bug by itself and lets the simulation look for it. Exit code 1 when one was not found.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
    only: { type: "string" },
  },
});

interface Hunt {
  code: number;
  output: string;
}

const hunt = (mutant: number, url: string): Promise<Hunt> =>
  new Promise((resolve) => {
    const script = join(import.meta.dirname, "main.ts");
    const plant = join(import.meta.dirname, "plant.ts");
    execFile(
      process.execPath,
      ["--import", plant, script, "--seeds", values.seeds, "--seed", values.seed],
      { env: { ...process.env, MUTANT: String(mutant), TEST_POSTGRES_URL: url }, maxBuffer: 2 ** 28 },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
    );
  });

const postgres = await startTestPostgres();
let missed = 0;
console.log(`${mutants.length} planted bugs, up to ${values.seeds} worlds each from seed ${values.seed}`);
for (const [number, { name }] of mutants.entries()) {
  if (values.only !== undefined && Number(values.only) !== number) continue;
  const { code, output } = await hunt(number, postgres.url);
  const worlds = /(\d+) worlds from/.exec(output)?.[1];
  const first = /^ {2}(\S.*)$/m.exec(output.slice(output.lastIndexOf("invariants (replay")))?.[1];
  if (code === 1 && first) console.log(`found after ${worlds} worlds: ${name}\n    ${first}`);
  else {
    missed += 1;
    console.log(`NOT FOUND (exit code ${code}, ${worlds ?? "no"} worlds): ${name}`);
    if (code !== 0) console.log(output.slice(-2_000));
  }
}
await postgres.stop();
console.log(missed === 0 ? "all were found" : `${missed} were not found`);
process.exit(missed === 0 ? 0 : 1);
