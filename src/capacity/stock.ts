import { type FieldError, UoopError } from "../platform/errors.ts";
import { digest } from "../platform/ids.ts";
import type { CapacityApi, StockChange, StockItem, StockNow, WhenReserved } from "./api.ts";
import * as store from "./stock-store.ts";
import { readChannel } from "./store.ts";
import { type ChangeDependencies, lockChannel, notFound, tell } from "./telling.ts";

/** Rows read into memory in one go: a few milliseconds. */
const pageRows = 5_000;
/** Rows read at each periodic reading at most: what other processes changed of a larger stock is seen some readings later. */
const maxRowsAtOnce = 10_000;

/** What channels have of each SKU: the table is the truth, what routing looks at is in memory. */
export function createStock(dependencies: ChangeDependencies): Pick<CapacityApi, "getStock" | "putStock"> & {
  /** Reads all of it into memory. */
  readAll(): Promise<void>;
  /** Reads the next part of it. */
  readOn(): Promise<void>;
} {
  const { database, network } = dependencies;
  const start = { channelId: "", sku: "" };
  let after = start;

  /** Reads until the end or so many rows; says whether it was the end. */
  async function read(maxRows: number): Promise<boolean> {
    for (let rows = 0; rows < maxRows; rows += pageRows) {
      const page = await store.readFree(database, after, pageRows);
      network.noteStock(page);
      after = page.at(-1) ?? start;
      if (page.length === pageRows) continue;
      after = start;
      return true;
    }
    return false;
  }

  return {
    async readAll() {
      after = start;
      await read(Number.POSITIVE_INFINITY);
    },
    readOn: async () => void (await read(maxRowsAtOnce)),
    async getStock(id, { afterSku, limit }) {
      if (!(await readChannel(database, id))) throw notFound(id);
      return store.listStock(database, id, afterSku ?? "", limit);
    },
    async putStock(id, changes, options, by) {
      const items = await change(id, changes, { ...options, by }, dependencies);
      network.noteStock(items.map((item) => toNow(id, item)));
      return items;
    },
  };
}

const toNow = (channelId: string, { sku, sellable, reserved }: StockItem): StockNow => ({
  channelId,
  sku,
  free: sellable - reserved,
});

async function change(
  id: string,
  changes: readonly StockChange[],
  { key, whenReserved, by }: Parameters<CapacityApi["putStock"]>[2] & { by: Parameters<typeof tell>[3] },
  { database, clock }: ChangeDependencies,
): Promise<readonly StockItem[]> {
  const skus = changes.map(({ sku }) => sku);
  return database.transaction(async (tx) => {
    const channel = await lockChannel(tx, id);
    if (key !== null) {
      const body = digest(JSON.stringify(changes));
      const noted = await store.noteAdjustment(tx, id, { key: digest(key), body, nowMs: clock.nowMs() });
      if (noted === "same") return store.readStock(tx, id, skus);
      if (noted === "other")
        throw new UoopError("idempotency_key_reused", "The key came with another adjustment before.");
    }
    const there = new Map((await store.lockStock(tx, id, skus)).map((item) => [item.sku, item]));
    const wanted = applied(changes, there, whenReserved);
    await store.writeStock(tx, id, wanted);
    await tell(tx, channel, { what: "stock set", items: wanted }, by);
    return store.readStock(tx, id, skus);
  });
}

/** The rows as they are to be, each SKU once; what can't be is refused whole, each row named. */
function applied(
  changes: readonly StockChange[],
  there: ReadonlyMap<string, StockItem>,
  whenReserved: WhenReserved,
): Pick<StockItem, "sku" | "quantity" | "safety">[] {
  const wrong: FieldError[] = [];
  const rows = new Map<string, Pick<StockItem, "sku" | "quantity" | "safety">>();
  changes.forEach((one, index) => {
    const { sku } = one;
    const before = there.get(sku) ?? { quantity: 0, safety: 0, reserved: 0 };
    const { safety = before.safety } = one;
    const quantity = "adjust" in one ? before.quantity + one.adjust : one.quantity;
    const pointer = `/items/${index}`;
    if (rows.has(sku)) wrong.push({ pointer: `${pointer}/sku`, message: `${sku} is in the list twice` });
    else if (quantity < 0 || quantity > maxQuantity)
      wrong.push({ pointer, message: `${sku} would be ${quantity}; it must be 0 to ${maxQuantity}` });
    else if (whenReserved === "refuse" && Math.max(0, quantity - safety) < before.reserved)
      wrong.push({ pointer, message: `${before.reserved} of ${sku} are reserved, which is more` });
    rows.set(sku, { sku, quantity, safety });
  });
  if (wrong.length > 0)
    throw new UoopError(
      "stock_refused",
      `${wrong.length} of ${changes.length} items can't be set; nothing was changed. ${wrong[0]!.message}.`,
      { fields: wrong },
    );
  return [...rows.values()];
}

const maxQuantity = 1_000_000_000;
