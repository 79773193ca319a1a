import { execFile } from "node:child_process";
import { join } from "node:path";
import { type Mutant, plantedIn } from "../support/plant.ts";

/** What the simulation made of a planted bug. */
export interface Hunt {
  found: boolean;
  /** Worlds until then. */
  worlds: number;
  /** The first invariant that broke. */
  broke: string;
  output: string;
}

/** Plants a mutant in a process of its own and runs worlds from `seed` on until one breaks an invariant. */
export const hunt = (
  mutant: Mutant,
  seeds: number,
  seed: number,
  env: NodeJS.ProcessEnv = {},
): Promise<Hunt> =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(import.meta.dirname, "main.ts"), "--seeds", String(seeds), "--seed", String(seed)],
      { env: { ...process.env, ...env, ...plantedIn(mutant) }, maxBuffer: 2 ** 28 },
      (error, stdout, stderr) => {
        const output = stdout + stderr;
        const broke = /^ {2}(\S.*)$/m.exec(output.slice(output.lastIndexOf("(replay")))?.[1] ?? "";
        const worlds = Number(/(\d+) worlds from/.exec(output)?.[1] ?? 0);
        resolve({ found: error?.code === 1 && broke !== "", worlds, broke, output });
      },
    );
  });
