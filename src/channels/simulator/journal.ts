import { existsSync, readFileSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { type Batcher, createBatcher } from "../../platform/batcher.ts";
import type { Log } from "../../platform/log.ts";

/** What the simulator remembers over a restart, one JSON line each; a later line replaces an earlier one of its kind. */
export interface Journal<Line> {
  /** Resolves once the line is written (to the operating system: it outlives a killed process). */
  append(line: Line): Promise<void>;
  close(): Promise<void>;
}

const maxLinesPerWrite = 10_000;
const maxLinesWaiting = 1_000_000;

/** The lines of the file, oldest first; a last line cut by a kill is left out. */
export function readJournal<Line>(file: string | undefined, log: Log): Line[] {
  if (file === undefined || !existsSync(file)) return [];
  const lines: Line[] = [];
  for (const text of readFileSync(file, "utf8").split("\n")) {
    if (text === "") continue;
    try {
      lines.push(JSON.parse(text) as Line);
    } catch {
      log.warn({ file, bytes: text.length }, "a line that was cut off is left out");
    }
  }
  return lines;
}

/**
 * Opens the file for appending, beginning it anew with `kept` (what the old lines came to), so that it does not grow
 * from restart to restart. Only its owner may read it: it holds secrets.
 */
export async function openJournal<Line>(
  file: string | undefined,
  kept: readonly Line[],
): Promise<Journal<Line>> {
  if (file === undefined) return { append: () => Promise.resolve(), close: () => Promise.resolve() };
  const fresh = await open(`${file}.new`, "w", 0o600);
  await fresh.writeFile(kept.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await fresh.sync();
  await fresh.close();
  await rename(`${file}.new`, file);
  return appendTo(await open(file, "a", 0o600));
}

function appendTo<Line>(handle: FileHandle): Journal<Line> {
  const writes: Batcher<string, undefined> = createBatcher({
    maxBatchItems: maxLinesPerWrite,
    maxRuns: 1,
    maxQueuedItems: maxLinesWaiting,
    async run(lines) {
      await handle.appendFile(lines.join(""));
      return lines.map(() => undefined);
    },
  });
  return {
    append: (line) => writes.submit(`${JSON.stringify(line)}\n`),
    async close() {
      await writes.drain();
      await handle.close();
    },
  };
}
