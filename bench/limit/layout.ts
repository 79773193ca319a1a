import { boolColumn, intColumn, textColumn, timeColumn, uuidColumn } from "../../src/platform/columns.ts";

/** Array parameters of a statement that are columns of the same rows. */
export interface Group {
  /** Index of its first parameter, from 0. */
  first: number;
  columns: readonly { name: string; type: string }[];
  /** Rows belong to the order at their own place; otherwise a column `i` says to which. */
  byPlace: boolean;
}

export type Value = string | null;

const unnested = /unnest\(((?:\$\d+::\w+\[\](?:,\s*)?)+)\)( with ordinality)? as \w+\(([^)]*)\)/g;

/** Which parameters of the statement are columns of what, read from its own text. */
export function layoutOf(text: string): readonly Group[] {
  return [...text.matchAll(unnested)].map(([, params = "", byPlace, names = ""]) => {
    const typed = [...params.matchAll(/\$(\d+)::(\w+)\[\]/g)];
    const named = names.split(",").map((name) => name.trim());
    return {
      first: Number(typed[0]![1]) - 1,
      columns: typed.map(([, , type = ""], index) => ({ name: named[index]!, type })),
      byPlace: byPlace !== undefined,
    };
  });
}

/** Elements of a PostgreSQL array as text: `{a,NULL,"b \"c\""}`. */
export function parseArray(text: string): readonly Value[] {
  const values: Value[] = [];
  for (let at = 1; at < text.length - 1; at += 1) {
    if (text[at] === '"') {
      const end = endOfElement(text, at + 1);
      values.push(unescaped(text.slice(at + 1, end)));
      at = end + 1;
      continue;
    }
    const comma = text.indexOf(",", at);
    const end = comma < 0 ? text.length - 1 : comma;
    const value = text.slice(at, end);
    values.push(value === "NULL" ? null : value);
    at = end;
  }
  return values;
}

function endOfElement(text: string, from: number): number {
  let at = from;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

const unescaped = (text: string): string => (text.includes("\\") ? text.replace(/\\(.)/gs, "$1") : text);

/** A column as the product sends it. Throws on a type that it does not send. */
export function encodeColumn(type: string, values: readonly Value[]): Buffer {
  const each = <T>(read: (value: string) => T) =>
    values.map((value) => (value === null ? null : read(value)));
  switch (type) {
    case "text":
      return textColumn(values);
    case "int":
      return intColumn(each(Number));
    case "boolean":
      return boolColumn(each((value) => value === "t"));
    case "timestamptz":
      return timeColumn(each((value) => new Date(value).getTime()));
    case "uuid":
      return uuidColumn(each((value) => value.replaceAll("-", "")));
    default:
      throw new Error(`The replay can't send a column of type ${type} yet; add it to bench/limit/layout.ts.`);
  }
}
