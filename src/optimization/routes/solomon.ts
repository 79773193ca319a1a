import type { RoutesProblem, Stop } from "./problem.ts";

/** The file can't be read as Solomon's format; the message says where and what. */
export class SolomonFormatError extends Error {}

/** A problem, and the number that the file gives each stop. */
export interface SolomonInstance {
  problem: RoutesProblem;
  customers: number[];
}

const maxCustomers = 2_000;

/**
 * Reads Solomon's format (1987): NUMBER and CAPACITY of the vehicles, then per line a customer's number, x, y, demand, ready time, due date and service
 * time; the first line is the depot. Distances are Euclidean and real-valued, and times equal distances.
 */
export function readSolomon(text: string): SolomonInstance {
  const lines = text.split(/\r?\n/);
  const capacityAt = lines.findIndex((line) => /^\s*NUMBER\s+CAPACITY/i.test(line));
  const tableAt = lines.findIndex((line) => /^\s*CUST\S*\s+NO/i.test(line));
  if (capacityAt < 0)
    throw new SolomonFormatError("there is no line NUMBER CAPACITY, so this is not Solomon's format");
  if (tableAt < capacityAt)
    throw new SolomonFormatError(
      "there is no line of column names (CUST NO. XCOORD. …) after NUMBER CAPACITY",
    );
  const [number, capacity] = numbersOf(
    firstFilled(lines, capacityAt + 1, tableAt),
    2,
    "the vehicles' NUMBER and CAPACITY",
  ) as [number, number];
  if (!Number.isInteger(number) || number < 1)
    throw new SolomonFormatError(
      `line ${capacityAt + 2}: NUMBER must be a whole number from 1, not ${number}`,
    );
  if (capacity < 0)
    throw new SolomonFormatError(`line ${capacityAt + 2}: CAPACITY must not be negative, but is ${capacity}`);
  const rows = lines
    .map((line, index) => ({ line, at: index + 1 }))
    .slice(tableAt + 1)
    .filter(({ line }) => line.trim() !== "")
    .map(toRow);
  const [depot, ...customers] = rows;
  if (!depot) throw new SolomonFormatError("there is no depot: the table of customers is empty");
  if (customers.length > maxCustomers)
    throw new SolomonFormatError(
      `it has ${customers.length} customers; ${maxCustomers} is the most that is taken`,
    );
  const seen = new Set<number>();
  for (const { id, at } of rows) {
    if (seen.has(id)) throw new SolomonFormatError(`line ${at}: customer ${id} is there twice`);
    seen.add(id);
  }
  return {
    problem: toProblem(depot, customers, Math.min(number, Math.max(1, customers.length)), capacity),
    customers: customers.map(({ id }) => id),
  };
}

interface Row {
  at: number;
  id: number;
  x: number;
  y: number;
  demand: number;
  ready: number;
  due: number;
  service: number;
}

function firstFilled(lines: readonly string[], from: number, to: number): { line: string; at: number } {
  const index = lines.findIndex((line, at) => at >= from && at < to && line.trim() !== "");
  return { line: lines[index] ?? "", at: index < 0 ? from + 1 : index + 1 };
}

function numbersOf({ line, at }: { line: string; at: number }, count: number, what: string): number[] {
  const words = line
    .trim()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.length !== count)
    throw new SolomonFormatError(`line ${at}: expected ${count} numbers (${what}), found ${words.length}`);
  return words.map((word) => {
    const value = Number(word);
    if (!Number.isFinite(value)) throw new SolomonFormatError(`line ${at}: “${word}” is not a number`);
    return value;
  });
}

function toRow(numbered: { line: string; at: number }): Row {
  const [id, x, y, demand, ready, due, service] = numbersOf(
    numbered,
    7,
    "customer, x, y, demand, ready time, due date, service time",
  ) as [number, number, number, number, number, number, number];
  const { at } = numbered;
  if (!Number.isInteger(id))
    throw new SolomonFormatError(`line ${at}: a customer's number must be whole, not ${id}`);
  if (demand < 0)
    throw new SolomonFormatError(`line ${at}: customer ${id} has a negative demand (${demand})`);
  if (service < 0)
    throw new SolomonFormatError(`line ${at}: customer ${id} has a negative service time (${service})`);
  if (due < ready)
    throw new SolomonFormatError(`line ${at}: customer ${id} is due (${due}) before it is ready (${ready})`);
  return { at, id, x, y, demand, ready, due, service };
}

function toProblem(depot: Row, customers: readonly Row[], number: number, capacity: number): RoutesProblem {
  const places = [...customers, depot];
  const lengths = new Float64Array(places.length ** 2);
  for (const [from, a] of places.entries()) {
    for (const [to, b] of places.entries())
      lengths[from * places.length + to] = Math.sqrt((a.x - b.x) ** 2 + (a.y - b.y) ** 2);
  }
  const stops: Stop[] = customers.map(({ demand, ready, due, service }) => ({
    pickup: 0,
    units: demand,
    release: depot.ready,
    ready,
    due,
    service,
  }));
  const vehicle = { capacity, pace: 1, shiftEnd: depot.due, leaves: [depot.ready], approaches: [0], kind: 0 };
  return {
    lengths,
    stops,
    pickups: 1,
    vehicles: Array.from({ length: number }, () => vehicle),
    returns: true,
    fewestVehicles: true,
  };
}
