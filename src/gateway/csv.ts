import { CsvError, parse } from "csv-parse/sync";
import type { FieldError } from "../platform/errors.ts";
import { UoopError } from "../platform/errors.ts";
import type { App } from "./app.ts";
import { wrongFields } from "./validation.ts";

/** A table that may be sent in place of JSON: its columns, and the body that its rows are. */
export interface CsvForm {
  /** `required`: must be in the head of the table. `number`: its cells are whole numbers. */
  columns: Readonly<Record<string, { required: boolean; number: boolean }>>;
  /** Each row is answered by itself: what is no number stays text, for its own answer to tell. */
  rowByRow: boolean;
  /** Each row with the line on which it is, from 1. */
  toBody(rows: readonly CsvRow[]): unknown;
}

export interface CsvRow {
  line: number;
  fields: Readonly<Record<string, string | number>>;
}

declare module "fastify" {
  interface FastifyContextConfig {
    csv?: CsvForm;
  }
}

/** Bodies in text/csv, for the routes that have a form for it (`config.csv`); to others it is a media type like any they don't take. */
export function acceptCsv(app: App): void {
  app.addContentTypeParser("text/csv", { parseAs: "string" }, (request, body: string, done) => {
    const { csv } = request.routeOptions.config;
    if (!csv)
      return done(
        new UoopError("media_type_unsupported", "Send the body as JSON; this address takes no CSV."),
      );
    try {
      done(null, csv.toBody(readCsv(body, csv)));
    } catch (error) {
      done(error as Error);
    }
  });
}

/** Rows of a table with a head (RFC 4180). Throws `validation_failed`, naming the line. */
function readCsv(text: string, { columns, rowByRow }: Omit<CsvForm, "toBody">): CsvRow[] {
  const wrong: FieldError[] = [];
  let head: readonly string[] = [];
  const rows = parsed(text, (names) => {
    head = names;
    for (const [name, { required }] of Object.entries(columns))
      if (required && !names.includes(name)) wrong.push(atLine(1, `the column ${name} is missing`));
    for (const name of names)
      if (!(name in columns))
        wrong.push(
          atLine(1, `there is no column ${name.slice(0, 40)}; use ${Object.keys(columns).join(", ")}`),
        );
    if (new Set(names).size < names.length) wrong.push(atLine(1, "a column is there twice"));
    return wrong.length === 0;
  });
  if (wrong.length > 0) throw wrongFields(wrong);
  const read = rows.map(({ cells, line }) => {
    const given = head.flatMap((name, index) => {
      const cell = cells[index]!;
      if (cell === "") return [];
      const isNumber = columns[name]!.number && /^-?\d{1,15}$/.test(cell);
      if (columns[name]!.number && !isNumber)
        wrong.push(atLine(line, `${name} must be a whole number, not ${cell.slice(0, 40)}`));
      return [[name, isNumber ? Number(cell) : cell] as const];
    });
    return { line, fields: Object.fromEntries(given) };
  });
  if (wrong.length > 0 && !rowByRow) throw wrongFields(wrong.slice(0, 50));
  return read;
}

const atLine = (line: number, message: string): FieldError => ({
  pointer: "",
  message: `is wrong in line ${line}: ${message}`,
});

function parsed(
  text: string,
  isHead: (names: readonly string[]) => boolean,
): { cells: readonly string[]; line: number }[] {
  try {
    const rows = parse(text, { bom: true, info: true, trim: true, skip_empty_lines: true }) as unknown as {
      record: string[];
      info: { lines: number };
    }[];
    const [head, ...rest] = rows;
    if (!isHead(head?.record ?? [])) return [];
    return rest.map(({ record, info }) => ({ cells: record, line: info.lines }));
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw wrongFields([{ pointer: "", message: `is no CSV: ${error.message}` }]);
  }
}
