import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Books } from "../measure/database.ts";

/** A statement as PostgreSQL executed it. */
export interface CapturedStatement {
  /** The session that ran it. */
  session: string;
  /** Its prepared name; `` for those without (begin, commit). */
  name: string;
  text: string;
  params: readonly (string | null)[];
}

/**
 * Has PostgreSQL write every statement with its parameters to its log while `work` runs, and reads them back. Nothing in the
 * product knows of it; the logging costs the run some of its speed, so a captured phase is not a measured one.
 */
export async function captureStatements(
  books: Books,
  logFile: string,
  work: () => Promise<void>,
): Promise<readonly CapturedStatement[]> {
  const from = await sizeOf(logFile);
  await logStatements(books, true);
  try {
    await work();
  } finally {
    await logStatements(books, false);
  }
  return readStatements(logFile, from);
}

async function logStatements(books: Books, on: boolean): Promise<void> {
  await books.query(on ? "alter system set log_statement = 'all'" : "alter system reset log_statement");
  await books.query("select pg_reload_conf()");
}

const sizeOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ size }) => size,
    () => 0,
  );

const firstLine = /^\d{4}-\d\d-\d\d \S+ \S+ \[(\d+)\] (LOG|DETAIL): {2}(.*)$/s;
const executed = /^execute ([^\s:]+|<unnamed>): (.*)$/s;
const plain = /^statement: (.*)$/s;
const withParameters = /^[Pp]arameters: /;

/** Reads PostgreSQL's log from this byte on. An entry's further lines begin with a tab. */
export async function readStatements(logFile: string, from: number): Promise<readonly CapturedStatement[]> {
  const found: CapturedStatement[] = [];
  const last = new Map<string, CapturedStatement>();
  let entry: string | undefined;

  const take = (whole: string) => {
    const [, session, kind, said] = firstLine.exec(whole) ?? [];
    if (session === undefined || said === undefined) return;
    if (kind === "DETAIL") {
      const statement = last.get(session);
      if (statement && withParameters.test(said))
        statement.params = parseParameters(said.replace(withParameters, ""));
      return;
    }
    const [, name, text] = executed.exec(said) ?? [undefined, "", plain.exec(said)?.[1]];
    if (text === undefined) return;
    const statement = { session, name: name === "<unnamed>" ? "" : name!, text, params: [] };
    last.set(session, statement);
    found.push(statement);
  };

  for await (const line of createInterface({ input: createReadStream(logFile, { start: from }) })) {
    if (line.startsWith("\t")) entry += `\n${line.slice(1)}`;
    else {
      if (entry !== undefined) take(entry);
      entry = line;
    }
  }
  if (entry !== undefined) take(entry);
  return found;
}

/** `$1 = 'own_…', $2 = '1', $3 = NULL`: values in quotes, quotes in them doubled. */
export function parseParameters(text: string): readonly (string | null)[] {
  const values: (string | null)[] = [];
  for (let at = 0; at < text.length; ) {
    const equals = text.indexOf(" = ", at);
    if (equals < 0) break;
    if (text[equals + 3] !== "'") {
      values.push(null);
      at = equals + 3 + "NULL, ".length;
      continue;
    }
    const end = endOfQuoted(text, equals + 4);
    values.push(text.slice(equals + 4, end).replaceAll("''", "'"));
    at = end + "', ".length;
  }
  return values;
}

function endOfQuoted(text: string, from: number): number {
  for (let at = text.indexOf("'", from); at >= 0; at = text.indexOf("'", at + 2)) {
    if (text[at + 1] !== "'") return at;
  }
  return text.length;
}
