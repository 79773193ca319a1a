import { registerHooks } from "node:module";
import { mutants } from "./mutants.ts";

/** Loaded before everything else (`--import`): plants the mutant whose number is in MUTANT while its file is loaded. */
const mutant = mutants[Number(process.env.MUTANT)];
if (mutant === undefined) throw new Error("MUTANT must be the number of a mutant");

let planted = false;
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (!url.endsWith(`/${mutant.file}`)) return loaded;
    const parts = String(
      loaded.source instanceof Uint8Array ? new TextDecoder().decode(loaded.source) : loaded.source,
    ).split(mutant.find);
    if (parts.length !== 2)
      throw new Error(`"${mutant.name}": what to replace occurs ${parts.length - 1} times in ${mutant.file}`);
    planted = true;
    return { ...loaded, source: parts.join(mutant.replace) };
  },
});

process.on("exit", () => {
  if (!planted) {
    console.error(`"${mutant.name}": ${mutant.file} was never loaded`);
    process.exitCode = 2;
  }
});
