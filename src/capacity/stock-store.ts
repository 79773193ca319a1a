import { type Executor, statement } from "../platform/database.ts";
import type { StockItem, StockNow } from "./api.ts";

/** Owns stock_adjustments, and stock but for what orders reserve and use, which moves with them (slots-sql.ts). */

const columns = `sku, quantity, safety, greatest(quantity - safety, 0) as sellable, reserved`;

const selectPage = statement(
  "stock_page",
  `select ${columns} from stock where channel_id = $1 and sku > $2 order by sku limit $3`,
);
const selectSome = statement(
  "stock_some",
  `select ${columns} from stock where channel_id = $1 and sku = any ($2) order by sku`,
);
const lockSome = statement(
  "stock_lock",
  `select ${columns} from stock where channel_id = $1 and sku = any ($2) order by sku for update`,
);
const upsert = statement(
  "stock_upsert",
  `insert into stock (channel_id, sku, quantity, safety)
   select $1, r.sku, r.quantity, r.safety from json_to_recordset($2::json) as r(sku text, quantity int, safety int)
   on conflict (channel_id, sku) do update set quantity = excluded.quantity, safety = excluded.safety,
     overcommitted = greatest(0, stock.reserved - greatest(excluded.quantity - excluded.safety, 0))`,
);
const selectFree = statement(
  "stock_free",
  `select channel_id as "channelId", sku, greatest(quantity - safety, 0) - reserved as free
   from stock where (channel_id, sku) > ($1, $2) order by channel_id, sku limit $3`,
);
const insertAdjustment = statement(
  "stock_adjustments_insert",
  `insert into stock_adjustments (channel_id, key_hash, body_hash, made_at) values ($1, $2, $3, $4)
   on conflict do nothing returning 1 as made`,
);
const selectAdjustment = statement(
  "stock_adjustments_one",
  "select body_hash as body from stock_adjustments where channel_id = $1 and key_hash = $2",
);
const deleteAdjustments = statement(
  "stock_adjustments_delete",
  "delete from stock_adjustments where channel_id = $1 and made_at < $2",
);

export const listStock = (
  db: Executor,
  channelId: string,
  afterSku: string,
  limit: number,
): Promise<StockItem[]> => db.run(selectPage, [channelId, afterSku, limit]);

/** By SKU; those that are not there are left out. */
export const readStock = (db: Executor, channelId: string, skus: readonly string[]): Promise<StockItem[]> =>
  db.run(selectSome, [channelId, skus]);

export const lockStock = (tx: Executor, channelId: string, skus: readonly string[]): Promise<StockItem[]> =>
  tx.run(lockSome, [channelId, skus]);

/** Their rows must be locked. */
export async function writeStock(
  tx: Executor,
  channelId: string,
  items: readonly Pick<StockItem, "sku" | "quantity" | "safety">[],
): Promise<void> {
  await tx.run(upsert, [channelId, JSON.stringify(items)]);
}

/** What is free, in pages by channel and SKU. */
export const readFree = (
  db: Executor,
  after: { channelId: string; sku: string },
  limit: number,
): Promise<StockNow[]> => db.run(selectFree, [after.channelId, after.sku, limit]);

/** `made`: it is new. `same`: it was made before. `other`: its key was used with another body. */
export async function noteAdjustment(
  tx: Executor,
  channelId: string,
  { key, body, nowMs }: { key: string; body: string; nowMs: number },
): Promise<"made" | "same" | "other"> {
  await tx.run(deleteAdjustments, [channelId, new Date(nowMs - keptMs)]);
  const made = await tx.run(insertAdjustment, [channelId, key, body, new Date(nowMs)]);
  if (made.length > 0) return "made";
  const [known] = await tx.run<{ body: string }>(selectAdjustment, [channelId, key]);
  return known?.body.replaceAll("-", "") === body ? "same" : "other";
}

const keptMs = 7 * 86_400_000;
