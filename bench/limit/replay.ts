import { randomBytes } from "node:crypto";
import { createEventLog } from "../../src/bus/event-log.ts";
import { createSealer } from "../../src/orchestration/sealer.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { type Database, openDatabase, statement } from "../../src/platform/database.ts";
import { createIds, laneOf } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import type { ViewRow } from "../../src/read-model/project.ts";
import { writeViews } from "../../src/read-model/store.ts";
import * as relay from "../../src/relay/store.ts";
import type { Books } from "../measure/database.ts";
import {
  firstValue,
  type Part,
  putTogether,
  type RecordedOrder,
  type RecordedStatement,
  type Recording,
  type Renaming,
  renamed,
} from "./rebatch.ts";

export interface ReplaySetting {
  /** Statements of the hot path under way at once. */
  concurrency: number;
  /** Orders in a batch. */
  batch: number;
}

export interface ReplayResult extends ReplaySetting {
  orders: number;
  ordersPerSecond: number;
  walBytesPerOrder: number;
  walImageBytesPerOrder: number;
  walPageImagesPerOrder: number;
  /** Writes that did not pass their guard; there should be none. */
  lost: number;
}

const consumer = "bench-limit";
const relayRows = 2_000;
const leaseMs = 600_000;

/**
 * Replays a recording straight over SQL, under fresh ids and keys: the inserts, what advanced the orders, the relay's
 * moves, the views and the seals, by the product's own statements; no HTTP, no routing, no logic. All texts are made before
 * the clock starts. The platform must not be running on the database.
 */
export async function replay(
  world: { databaseUrl: string; books: Books },
  recording: Recording,
  setting: ReplaySetting,
  orders: number,
): Promise<ReplayResult> {
  const database = openDatabase(world.databaseUrl, {
    connections: setting.concurrency + 2,
    application: "uoop-limit",
  });
  try {
    const ownerId = createIds().create("own", systemClock.nowMs());
    await database.run(
      statement(
        "limit_owner",
        "insert into owners (id, lease_until, process) values ($1, now() + interval '1 hour', 'limit')",
      ),
      [ownerId],
    );
    const round = prepare(recording, setting, orders);
    await warmUp(database, setting.concurrency);
    const before = await world.books.read();
    const startedAt = performance.now();
    const lost = await play(database, ownerId, recording, round, setting.concurrency);
    const seconds = (performance.now() - startedAt) / 1_000;
    const after = await world.books.read();
    return {
      ...setting,
      orders: round.orders,
      ordersPerSecond: round.orders / seconds,
      walBytesPerOrder: (after.walBytes - before.walBytes) / round.orders,
      walImageBytesPerOrder: (await world.books.imageBytes(before, after)) / round.orders,
      walPageImagesPerOrder: (after.walPageImages - before.walPageImages) / round.orders,
      lost,
    };
  } finally {
    await database.close();
  }
}

/** Connections are there before the clock starts. */
async function warmUp(database: Database, connections: number): Promise<void> {
  const hello = statement("limit_hello", "select pg_sleep(0.02)");
  await Promise.all(Array.from({ length: connections + 2 }, () => database.run(hello)));
}

/** A batch: one insert and the statements that advance what is in it, one after the other. */
interface Batch {
  insert: readonly unknown[];
  advances: readonly (readonly unknown[])[];
  /** Rows that it appends to the outbox. */
  rows: number;
}

interface Round {
  orders: number;
  batches: readonly Batch[];
  /** View rows by order's new id, in order. */
  views: Map<string, ViewRow[]>;
}

function prepare(recording: Recording, { batch }: ReplaySetting, orders: number): Round {
  const batches: Batch[] = [];
  const views: Round["views"] = new Map();
  for (let from = 0; from < orders; from += batch) {
    const some = Array.from(
      { length: Math.min(batch, orders - from) },
      (_, index) => recording.orders[(from + index) % recording.orders.length]!,
    );
    batches.push(...prepareBatch(recording, some, views));
  }
  return { orders, batches, views };
}

/** A recorded order may come again in a later batch, under another id; never twice in one. */
function prepareBatch(
  recording: Recording,
  orders: readonly RecordedOrder[],
  views: Round["views"],
): Batch[] {
  const different = [...new Set(orders)];
  const rest = orders.length - different.length;
  const renaming = createRenaming();
  const waves = Math.max(0, ...different.map((order) => order.advances.length));
  const advances = Array.from({ length: waves }, (_, wave) =>
    putTogether(
      recording.advance!,
      different.flatMap((order) => order.advances[wave] ?? []),
      renaming,
    ),
  );
  const insert = putTogether(
    recording.insert,
    different.map((order) => order.insert),
    renaming,
  );
  for (const order of different) {
    const rows = order.views.map((text) => JSON.parse(renamed(text, renaming)) as ViewRow);
    views.set(renaming.id(order.id), rows);
  }
  const rows = different.reduce(
    (sum, order) => sum + 1 + order.advances.filter((part) => tellsOf(recording.advance!, part)).length,
    0,
  );
  const whole: Batch = { insert, advances, rows };
  return rest === 0 ? [whole] : [whole, ...prepareBatch(recording, orders.slice(different.length), views)];
}

/** Whether this write of an order also appends to the outbox; asking another member of a network does not. */
const tellsOf = (statement: RecordedStatement, part: Part): boolean =>
  ["g_events", "b_events"].some((column) => firstValue(statement, part, 0, column) !== null);

function createRenaming(): Renaming {
  const ids = createIds();
  const given = new Map<string, string>();
  return {
    id(recorded) {
      let id = given.get(recorded);
      if (id === undefined) {
        // The lane stays: it is a column of its own beside the id.
        id = ids.order(laneOf(recorded), systemClock.nowMs());
        given.set(recorded, id);
      }
      return id;
    },
    key: () => randomBytes(16).toString("hex"),
  };
}

async function play(
  database: Database,
  ownerId: string,
  recording: Recording,
  round: Round,
  concurrency: number,
): Promise<number> {
  const insert = statement("orders_insert", recording.insert.text);
  const advance = statement("orders_advance", recording.advance?.text ?? "");
  const sealer = createSealer({ database, clock: systemClock, log: createLog("error") });
  let next = 0;
  let sent = 0;
  let working = true;

  const worker = async () => {
    for (let batch = round.batches[next++]; batch; batch = round.batches[next++]) {
      await database.run(insert, [ownerId, 1, ...batch.insert]);
      for (const arrays of batch.advances) await database.run(advance, [ownerId, 1, ...arrays]);
      sent += batch.rows;
    }
  };
  const mover = createMover(database, round, () => working);
  await sealer.start();
  const moving = mover.run(() => sent);
  await Promise.all(Array.from({ length: concurrency }, worker));
  working = false;
  const moved = await moving;
  await sealer.stop(); // seals what came last
  return sent - moved;
}

/** The relay's and the projector's SQL: full moves while there is enough, whatever is left at the end. */
function createMover(database: Database, round: Round, isWorking: () => boolean) {
  const bus = createEventLog({ database });
  const holder = createIds().create("own", systemClock.nowMs());
  let position = 0;
  let moved = 0;

  async function move(claim: relay.Claim): Promise<readonly string[]> {
    return database.transaction(async (tx) => {
      const rows = await relay.readClaimed(tx, holder, claim, relayRows);
      if (rows.length === 0) return [];
      await bus.publish(rows, tx);
      await relay.settle(tx, rows, []);
      return rows.map((row) => row.subject);
    });
  }

  async function project(subjects: readonly string[]): Promise<void> {
    // As the projector does: one row of an order in one write, its newest.
    const views = [...new Set(subjects)].flatMap((id) => round.views.get(id)?.shift() ?? []);
    if (views.length === 0) return;
    views.sort((a, b) => (a.id < b.id ? -1 : 1));
    const from = position;
    position = from + subjects.length;
    if (!(await writeViews(database, consumer, views, from, position)))
      throw new Error("The replay's own consumer was moved by someone else.");
  }

  return {
    /** Returns the rows that it moved: each write of an order that passed its guard appended one. */
    async run(sent: () => number): Promise<number> {
      await database.run(statement("limit_consumer", "delete from bus_consumers where name = $1"), [
        consumer,
      ]);
      const claim = await relay.claimLanes(database, holder, leaseMs, true);
      let projecting: Promise<void> = Promise.resolve();
      for (;;) {
        if (isWorking() && sent() - moved < relayRows) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        const last = !isWorking();
        const subjects = await move(claim);
        moved += subjects.length;
        await projecting;
        projecting = project(subjects);
        if (last && subjects.length === 0) break;
      }
      await projecting;
      await relay.releaseClaim(database, holder, claim);
      return moved;
    },
  };
}
