import type { StockChange } from "../capacity/api.ts";
import { UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf } from "./auth.ts";
import type { CsvForm } from "./csv.ts";
import { channelNotFound } from "./routes-channels.ts";
import { answers, idParams, problemAnswers } from "./schemas.ts";
import {
  type StockBody,
  stockBody,
  stockHeaders,
  stockList,
  stockListQuery,
  stockQuery,
  stockView,
} from "./schemas-stock.ts";
import { wrongFields } from "./validation.ts";

export function stockRoutes(app: App, world: GatewayWorld): void {
  getStock(app, world);
  putStock(app, world);
}

function getStock(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "getStock",
    summary: "What a channel has of each SKU",
    params: idParams,
    querystring: stockListQuery,
    ...answers(
      stockList,
      { 200: "By SKU" },
      problemAnswers({ key: true, body: false }, "validation_failed", "cursor_invalid", "channel_not_found"),
    ),
  };
  const onRequest = requires("orders:read", "channels:write");
  app.get("/v1/channels/:id/stock", { schema, onRequest }, async (request, reply) => {
    const { id } = request.params;
    if (!isId("chn", id)) throw channelNotFound(id);
    const { cursor, limit } = request.query;
    const afterSku = cursor === undefined ? null : skuOf(cursor, id);
    const found = await capacity.getStock(id, { afterSku, limit: limit + 1 });
    const items = found.slice(0, limit);
    const last = items.at(-1);
    const nextCursor = found.length > limit && last ? cursorOf(id, last.sku) : null;
    return reply.send({ items, nextCursor });
  });
}

const cursorOf = (id: string, sku: string): string =>
  Buffer.from(JSON.stringify([id, sku])).toString("base64url");

function skuOf(cursor: string, id: string): string {
  try {
    const [channelId, sku] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as unknown[];
    // PostgreSQL's text holds no zero character.
    if (channelId === id && typeof sku === "string" && !sku.includes("\0")) return sku;
  } catch {
    // Not one of ours: said below.
  }
  throw new UoopError("cursor_invalid", "Take the cursor from nextCursor of the same list, or leave it out.");
}

const csv: CsvForm = {
  columns: {
    sku: { required: true, number: false },
    quantity: { required: false, number: true },
    adjust: { required: false, number: true },
    safety: { required: false, number: true },
  },
  rowByRow: false,
  toBody: (rows) => ({ items: rows.map(({ fields }) => fields) }),
};

function putStock(app: App, { capacity, requires }: GatewayWorld): void {
  const schema = {
    tags: ["channels"],
    operationId: "putStock",
    summary: "Set or adjust what a channel has",
    description:
      "All or nothing; SKUs that are not named stay as they are. Also as text/csv with a head: sku,quantity,safety or sku,adjust.",
    params: idParams,
    querystring: stockQuery,
    headers: stockHeaders,
    body: stockBody.ref,
    ...answers(
      stockView.ref,
      { 200: "These SKUs as they are now" },
      problemAnswers(
        { key: true, body: true },
        ...(["channel_not_found", "stock_refused", "idempotency_key_reused"] as const),
      ),
    ),
  };
  const options = { schema, config: { csv }, onRequest: requires("channels:write") };
  app.put("/v1/channels/:id/stock", options, async (request, reply) => {
    const { id } = request.params;
    if (!isId("chn", id)) throw channelNotFound(id);
    const changes = request.body.items.map(toChange);
    const adjusts = changes.some((change) => "adjust" in change);
    const key = request.headers["idempotency-key"] ?? null;
    if (adjusts && key === null)
      throw wrongFields([
        {
          pointer: "/headers/idempotency-key",
          message: "is missing: an adjustment that is sent again must not count twice",
        },
      ]);
    const options = { key: adjusts ? key : null, whenReserved: request.query.whenReserved };
    return reply.send({ items: await capacity.putStock(id, changes, options, byOf(request)) });
  });
}

function toChange({ sku, quantity, adjust, safety }: StockBody["items"][number], index: number): StockChange {
  const kept = safety === undefined ? {} : { safety };
  if (quantity !== undefined && adjust === undefined) return { sku, quantity, ...kept };
  if (quantity === undefined && adjust !== undefined) return { sku, adjust, ...kept };
  throw wrongFields([{ pointer: `/items/${index}`, message: "must have quantity or adjust, one of them" }]);
}
