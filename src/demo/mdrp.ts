import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** A place on the instance's plane, metres. */
export interface Point {
  x: number;
  y: number;
}

/** Times are minutes from the day's start. */
export interface DayOrder extends Point {
  name: string;
  placedAt: number;
  readyAt: number;
}

export interface Restaurant extends Point {
  name: string;
}

/** Where a courier's shift starts, and from when to when it lasts. */
export interface Courier extends Point {
  name: string;
  onAt: number;
  offAt: number;
}

export interface DayParameters {
  metersPerMinute: number;
  pickupMinutes: number;
  dropoffMinutes: number;
  targetClickToDoorMinutes: number;
  maxClickToDoorMinutes: number;
}

/** One published day of the Meal Delivery Routing Problem (Reyes et al. 2018, github.com/grubhub/mdrplib). */
export interface Day {
  name: string;
  /** By placement time, then as published. */
  orders: readonly DayOrder[];
  restaurants: readonly Restaurant[];
  couriers: readonly Courier[];
  parameters: DayParameters;
}

type Row = Readonly<Record<string, string>>;

/** A table of tab-separated columns under one line of names. Throws a sentence naming the file and line that is wrong. */
function parseTable(text: string, file: string, columns: readonly string[]): Row[] {
  const lines = text.split(/\r?\n/);
  const names = (lines[0] ?? "").split("\t").map((name) => name.trim());
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) {
    throw new Error(`${file} lacks the column${missing.length > 1 ? "s" : ""} ${missing.join(", ")}`);
  }
  const rows: Row[] = [];
  lines.slice(1).forEach((line, index) => {
    if (line.trim() === "") return;
    const cells = line.split("\t");
    if (cells.length !== names.length) {
      throw new Error(
        `${file} line ${index + 2} has ${cells.length} columns, its first line ${names.length}`,
      );
    }
    rows.push(Object.fromEntries(names.map((name, column) => [name, cells[column]!.trim()])));
  });
  return rows;
}

function numberIn(row: Row, column: string, file: string): number {
  const value = Number(row[column]);
  if (row[column] === "" || !Number.isFinite(value)) {
    throw new Error(`${file}: ${column} is "${row[column]}", not a number (${Object.values(row).join(" ")})`);
  }
  return value;
}

const pointIn = (row: Row, file: string): Point => ({
  x: numberIn(row, "x", file),
  y: numberIn(row, "y", file),
});

export function parseOrders(text: string): DayOrder[] {
  const file = "orders.txt";
  const orders = parseTable(text, file, ["order", "x", "y", "placement_time", "ready_time"]).map((row) => ({
    name: row.order!,
    ...pointIn(row, file),
    placedAt: numberIn(row, "placement_time", file),
    readyAt: numberIn(row, "ready_time", file),
  }));
  for (const order of orders) {
    if (order.placedAt < 0 || order.readyAt < order.placedAt) {
      throw new Error(`${file}: ${order.name} is placed at ${order.placedAt} and ready at ${order.readyAt}`);
    }
  }
  return orders.sort((one, other) => one.placedAt - other.placedAt);
}

const parseRestaurants = (text: string): Restaurant[] =>
  parseTable(text, "restaurants.txt", ["restaurant", "x", "y"]).map((row) => ({
    name: row.restaurant!,
    ...pointIn(row, "restaurants.txt"),
  }));

export const parseCouriers = (text: string): Courier[] =>
  parseTable(text, "couriers.txt", ["courier", "x", "y", "on_time", "off_time"]).map((row) => ({
    name: row.courier!,
    ...pointIn(row, "couriers.txt"),
    onAt: numberIn(row, "on_time", "couriers.txt"),
    offAt: numberIn(row, "off_time", "couriers.txt"),
  }));

export function parseParameters(text: string): DayParameters {
  const file = "instance_parameters.txt";
  const columns = {
    metersPerMinute: "meters_per_minute",
    pickupMinutes: "pickup service minutes",
    dropoffMinutes: "dropoff service minutes",
    targetClickToDoorMinutes: "target click-to-door",
    maxClickToDoorMinutes: "maximum click-to-door",
  };
  const row = parseTable(text, file, Object.values(columns))[0];
  if (!row) throw new Error(`${file} has no line of values`);
  const value = (name: keyof typeof columns) => numberIn(row, columns[name], file);
  const parameters = {
    metersPerMinute: value("metersPerMinute"),
    pickupMinutes: value("pickupMinutes"),
    dropoffMinutes: value("dropoffMinutes"),
    targetClickToDoorMinutes: value("targetClickToDoorMinutes"),
    maxClickToDoorMinutes: value("maxClickToDoorMinutes"),
  };
  if (parameters.metersPerMinute <= 0 || parameters.maxClickToDoorMinutes <= 0) {
    throw new Error(`${file}: speed and maximum click-to-door must be above 0`);
  }
  return parameters;
}

/** Reads the four files of an instance. Throws a sentence saying which file or line can't be used, and why. */
export async function readDay(folder: string): Promise<Day> {
  const read = async (file: string) =>
    readFile(join(folder, file), "utf8").catch((error: NodeJS.ErrnoException) => {
      throw new Error(
        `${folder} is not a published day: ${file} can't be read (${error.code ?? error.message})`,
      );
    });
  const day = {
    name: folder.split("/").filter(Boolean).at(-1) ?? folder,
    orders: parseOrders(await read("orders.txt")),
    restaurants: parseRestaurants(await read("restaurants.txt")),
    couriers: parseCouriers(await read("couriers.txt")),
    parameters: parseParameters(await read("instance_parameters.txt")),
  };
  for (const list of ["orders", "restaurants", "couriers"] as const) {
    if (day[list].length === 0) throw new Error(`${folder}/${list}.txt has no line of values`);
  }
  return day;
}
