/** Aligns rows in columns: the first to the left, the others to the right. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}

export const whole = (value: number): string => Math.round(value).toLocaleString("en-US");

/** Milliseconds, with as many digits as say something. */
export const millis = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** A number as JSON should show it: three digits after the point at most. */
const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;

/** An object with all its numbers rounded. */
export function roundedAll<T>(value: T): T {
  if (typeof value === "number") return rounded(value) as T;
  if (Array.isArray(value)) return value.map(roundedAll) as T;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, roundedAll(inner)])) as T;
}
