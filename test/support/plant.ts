import { registerHooks } from "node:module";

/** One planted bug: a place in the shipped source and what stands there instead. */
export interface Mutant {
  name: string;
  file: string;
  /** Occurs in the file exactly once. */
  find: string;
  replace: string;
}

/** The environment of processes that are to have the bug: it is planted while its file is loaded. */
export const plantedIn = (mutant: Mutant): Record<string, string> => ({
  NODE_OPTIONS: `--import ${import.meta.filename}`,
  MUTANT: JSON.stringify(mutant),
});

if (process.env.MUTANT) plant(JSON.parse(process.env.MUTANT) as Mutant);

function plant({ name, file, find, replace }: Mutant): void {
  registerHooks({
    load(url, context, next) {
      const loaded = next(url, context);
      if (!url.endsWith(`/${file}`)) return loaded;
      const parts = String(
        loaded.source instanceof Uint8Array ? new TextDecoder().decode(loaded.source) : loaded.source,
      ).split(find);
      if (parts.length !== 2)
        throw new Error(`"${name}": what to replace occurs ${parts.length - 1} times in ${file}`);
      return { ...loaded, source: parts.join(replace) };
    },
  });
}
