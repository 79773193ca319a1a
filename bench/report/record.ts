import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "./machine.ts";
import { machineLine } from "./machine.ts";

const file = join(import.meta.dirname, "..", "RESULTS.md");

export interface Entry {
  /** `orders`, `reads`… */
  bench: string;
  commit: string | null;
  /** RFC 3339. */
  date: string;
  machine: Machine;
  /** How it was called. */
  options: string;
  ok: boolean;
  /** The table that the terminal showed. */
  lines: readonly string[];
}

/** An entry as Markdown, the newest on top of the others of the file. */
function formatEntry({ bench, commit, date, machine, options, ok, lines }: Entry): string {
  return [
    `## ${bench}, ${date.slice(0, 16).replace("T", " ")} UTC, ${commit ?? "no commit"}${ok ? "" : " (failed)"}`,
    "",
    `${machineLine(machine)}. \`uoop bench ${bench}${options === "" ? "" : ` ${options}`}\``,
    "",
    "```",
    ...lines,
    "```",
    "",
  ].join("\n");
}

/** Adds the entry to bench/RESULTS.md, below the head and above what was there. */
export function recordEntry(entry: Entry, path = file): void {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const first = text.indexOf("\n## ");
  const head = first < 0 ? text.trimEnd() : text.slice(0, first).trimEnd();
  const rest = first < 0 ? "" : text.slice(first + 1);
  writeFileSync(path, `${head}\n\n${formatEntry(entry)}${rest === "" ? "" : `\n${rest}`}`);
}
