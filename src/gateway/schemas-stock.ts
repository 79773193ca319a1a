import { type Static, Type } from "typebox";
import type { StockItem, WhenReserved } from "../capacity/api.ts";
import { component, cursorQuery, line, listOf, oneOf, strict } from "./schemas.ts";
import { idempotencyKeyPattern } from "./schemas-orders.ts";

/** Items in one PUT of stock at most. */
export const maxStockItems = 5_000;

const units = (description: string) => Type.Integer({ minimum: 0, maximum: 1_000_000_000, description });

const stockChange = strict(
  {
    sku: line(128),
    quantity: Type.Optional(units("on the shelf, what is reserved of it included")),
    adjust: Type.Optional(
      Type.Integer({
        minimum: -1_000_000_000,
        maximum: 1_000_000_000,
        description: "in place of quantity: so many more, or fewer",
      }),
    ),
    safety: Type.Optional(units("kept back; absent: as it is")),
  },
  { description: "`quantity` sets, `adjust` adds to what is there: one of them" },
);
const stockShape = strict({ items: Type.Array(stockChange, { minItems: 1, maxItems: maxStockItems }) });
export type StockBody = Static<typeof stockShape>;
export const stockBody = component<StockBody>("Stock", stockShape);

export const stockItem = component<StockItem>(
  "StockItem",
  Type.Object({
    sku: Type.String(),
    quantity: Type.Integer({ description: "on the shelf, what is reserved of it included" }),
    safety: Type.Integer({ description: "kept back" }),
    sellable: Type.Integer({ description: "the quantity without the safety stock" }),
    reserved: Type.Integer({ description: "of it, by orders that have not left yet" }),
  }),
);
export const stockList = listOf(stockItem.ref);
export const stockView = component<{ items: readonly StockItem[] }>(
  "StockView",
  Type.Object({ items: Type.Array(stockItem.ref) }),
);

export const stockListQuery = strict(cursorQuery);
export const stockQuery = strict({
  whenReserved: oneOf<WhenReserved>(["refuse", "keep"], {
    default: "refuse",
    description:
      "where more is reserved than is there then (a count found less): refuse the change, or keep what is reserved and sell no more",
  }),
});

export const stockHeaders = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      pattern: idempotencyKeyPattern,
      description: "needed where something is adjusted: the same again changes nothing",
    }),
  ),
});
