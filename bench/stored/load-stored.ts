import { randomBytes } from "node:crypto";
import { createSealer } from "../../src/orchestration/sealer.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { createIds, laneCount } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { type Books, openBooks } from "../measure/database.ts";
import { seeded } from "../mix.ts";
import * as sql from "./copy-sql.ts";

/** How far back the stored orders reach. */
const daysBack = 14;
const dayMs = 86_400_000;
const ordersPerCopy = 10_000;
const customers = 500_000;
/** Statements of the copy under way at once. */
const lanesOfWork = 2;

interface TemplateRow {
  t: number;
  events: number;
  channelId: string;
  units: number;
}

export interface StoredLoad {
  databaseUrl: string;
  /** Ids of delivered orders to be copied. */
  templates: readonly string[];
  orders: number;
  onProgress(text: string): void;
}

/**
 * Stores copies of delivered orders by SQL, as if they had come in over the last two weeks: orders, contacts, attempts and the
 * slots that they used, journal with its seals, events, views and idempotency keys. The platform must not be running.
 */
export async function loadStored({ databaseUrl, templates, orders, onProgress }: StoredLoad): Promise<void> {
  const nowMs = systemClock.nowMs();
  const database = openDatabase(databaseUrl, { connections: 2, application: "uoop-bench-load" });
  const books = await Promise.all(Array.from({ length: lanesOfWork }, () => openBooks(databaseUrl)));
  const [first] = books;
  try {
    await ensurePartitions(database, nowMs - daysBack * dayMs);
    await first!.query(sql.prepareTemplates, [templates]);
    for (const each of books) await each.query("set synchronous_commit = off");
    const rows = await first!.query<TemplateRow>(sql.templateEvents);
    const slots = await addSlots(first!, rows, orders);
    const [head] = await first!.query<{ next: number }>(sql.readHead);
    const next = await copyAll(books, { rows, slots, orders, nowMs, position: head!.next }, onProgress);
    await first!.query(sql.moveHead, [next]);
    await first!.query(sql.dropTemplates);
    await ensurePartitions(database, nowMs);
    onProgress("sealing the journal");
    const sealer = createSealer({ database, clock: systemClock, log: createLog("error") });
    await sealer.start();
    await sealer.stop();
    onProgress("vacuum");
    await first!.query("vacuum (analyze)");
    await first!.query("checkpoint");
  } finally {
    for (const each of books) await each.close();
    await database.close();
  }
}

/** A slot of long ago per template, which holds what its copies used. */
async function addSlots(
  books: Books,
  rows: readonly TemplateRow[],
  orders: number,
): Promise<readonly string[]> {
  const ids = createIds();
  const ofChannel = new Map<string, { id: string; units: number }>();
  const slots = rows.map(({ t, channelId, units }) => {
    const slot = ofChannel.get(channelId) ?? { id: ids.create("slt", systemClock.nowMs()), units: 0 };
    ofChannel.set(channelId, slot);
    slot.units += units * copiesOf(t, rows.length, orders);
    return slot.id;
  });
  const channels = [...ofChannel.keys()];
  const made = [...ofChannel.values()];
  await books.query(sql.addSoldSlots, [made.map(({ id }) => id), channels, made.map(({ units }) => units)]);
  return slots;
}

/** Order n is a copy of template n modulo their number. */
const copiesOf = (t: number, templates: number, orders: number): number =>
  Math.floor((orders - t - 1) / templates) + 1;

interface Copy {
  rows: readonly TemplateRow[];
  slots: readonly string[];
  orders: number;
  nowMs: number;
  position: number;
}

async function copyAll(
  books: readonly Books[],
  copy: Copy,
  onProgress: (text: string) => void,
): Promise<number> {
  const random = seeded(copy.orders);
  let next = 0;
  let position = copy.position;
  const ids = createIds();
  const worker = async (to: Books) => {
    while (next < copy.orders) {
      const from = next;
      next = Math.min(copy.orders, next + ordersPerCopy);
      const columns = makeColumns(copy, { from, until: next, position, ids, random });
      position = columns.position;
      await to.query(sql.copyOrders, [...columns.arrays, copy.slots]);
      onProgress(`${next.toLocaleString("en-US")} of ${copy.orders.toLocaleString("en-US")} orders stored`);
    }
  };
  await Promise.all(books.map(worker));
  return position;
}

function makeColumns(
  { rows, orders, nowMs }: Copy,
  part: {
    from: number;
    until: number;
    position: number;
    ids: ReturnType<typeof createIds>;
    random: () => number;
  },
): { arrays: readonly (readonly unknown[])[]; position: number } {
  const arrays: unknown[][] = [[], [], [], [], [], [], []];
  let { position } = part;
  for (let index = part.from; index < part.until; index += 1) {
    // In the order of time, as they would have come; the last one a minute ago.
    const atMs = Math.floor(nowMs - 60_000 - (daysBack * dayMs * (orders - index)) / orders);
    const lane = Math.floor(part.random() * laneCount);
    const template = rows[index % rows.length]!;
    const values = [
      part.ids.order(lane, atMs),
      lane,
      new Date(atMs).toISOString(),
      randomBytes(16).toString("hex"),
      `cus_${Math.floor(part.random() * customers)}`,
      template.t,
      position,
    ];
    values.forEach((value, column) => {
      arrays[column]!.push(value);
    });
    position += template.events;
  }
  return { arrays, position };
}
