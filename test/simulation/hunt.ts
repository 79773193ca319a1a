import { execFile } from "node:child_process";
import { join } from "node:path";

/** What the simulation made of a planted bug. */
export interface Hunt {
  found: boolean;
  /** Worlds until then. */
  worlds: number;
  /** The first invariant that broke. */
  broke: string;
  output: string;
}

/** Plants mutant `number` in a process of its own and runs worlds from `seed` on until one breaks an invariant. */
export const hunt = (
  number: number,
  seeds: number,
  seed: number,
  env: NodeJS.ProcessEnv = {},
): Promise<Hunt> =>
  new Promise((resolve) => {
    const [plant, main] = ["plant.ts", "main.ts"].map((file) => join(import.meta.dirname, file)) as [
      string,
      string,
    ];
    execFile(
      process.execPath,
      ["--import", plant, main, "--seeds", String(seeds), "--seed", String(seed)],
      { env: { ...process.env, ...env, MUTANT: String(number) }, maxBuffer: 2 ** 28 },
      (error, stdout, stderr) => {
        const output = stdout + stderr;
        const broke = /^ {2}(\S.*)$/m.exec(output.slice(output.lastIndexOf("(replay")))?.[1] ?? "";
        const worlds = Number(/(\d+) worlds from/.exec(output)?.[1] ?? 0);
        resolve({ found: error?.code === 1 && broke !== "", worlds, broke, output });
      },
    );
  });
