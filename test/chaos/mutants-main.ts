import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { plantedIn } from "../support/plant.ts";
import { mutants } from "./mutants.ts";
import { main } from "./program.ts";

/**
 * `npm run chaos:mutants -- [--rounds N] [--seed S] [--only K]`: plants each bug by itself in every process and lets chaos with
 * three of them look for it. Exit code 1 when one was not found.
 */
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
    only: { type: "string" },
  },
});

/** What chaos says when a rule is broken: not, when it could not be played. */
const broken = /WRONG.*|nothing has happened for .*/;

interface Hunt {
  found: boolean;
  output: string;
}

const hunt = (number: number): Promise<Hunt> =>
  new Promise((resolve) => {
    const { rounds, seed } = values;
    const args = ["chaos", "--processes", "3", "--rounds", rounds, "--seed", seed];
    // A run that finds something keeps its data; these are of no use to anybody.
    const folder = mkdtempSync(join(tmpdir(), "uoop-mutant-"));
    const env = { ...process.env, ...plantedIn(mutants[number]!), TMPDIR: folder };
    execFile(process.execPath, [main, ...args], { env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
      const output = stdout + stderr;
      resolve({ found: error?.code === 1 && broken.test(output), output });
    });
  });

let missed = 0;
console.log(`${mutants.length} planted bugs, up to ${values.rounds} rounds each, seed ${values.seed}`);
for (const [number, { name }] of mutants.entries()) {
  if (values.only !== undefined && Number(values.only) !== number) continue;
  const { found, output } = await hunt(number);
  if (found) console.log(`found: ${name}\n    ${broken.exec(output)?.[0].slice(0, 300)}`);
  else {
    missed += 1;
    console.log(`NOT FOUND: ${name}\n${output.slice(-1_000)}`);
  }
}
console.log(missed === 0 ? "all were found" : `${missed} were not found`);
process.exit(missed === 0 ? 0 : 1);
