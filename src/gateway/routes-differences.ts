import { type Static, Type } from "typebox";
import type { DifferenceView } from "../reconciliation/api.ts";
import type { App, GatewayWorld } from "./app.ts";
import { readCursor, writeCursor } from "./cursors.ts";
import { answers, cursorQuery, line, listOf, problemAnswers, strict } from "./schemas.ts";
import { difference } from "./schemas-channels.ts";

const query = strict({
  channelId: Type.Optional(line(64)),
  settled: Type.Boolean({
    default: false,
    description: "also those that were put right or are there no more",
  }),
  ...cursorQuery,
});

/** What reconciliation found, for operators. */
export function differenceRoutes(app: App, { reconciliation, requires }: GatewayWorld): void {
  const schema = {
    tags: ["operators"],
    operationId: "listDifferences",
    summary: "Bookings that differ from what their channel has, new to old",
    description:
      "Partners' bookings are compared with ours all the time. What can be put right by itself is; the rest is here.",
    querystring: query,
    ...answers(
      listOf(difference.ref),
      { 200: "Differences, new to old" },
      problemAnswers({ key: true, body: false }, "validation_failed", "cursor_invalid"),
    ),
  };
  app.get("/v1/differences", { schema, onRequest: requires("orders:operate") }, async (request, reply) => {
    const { cursor, limit, ...filter } = request.query as Static<typeof query>;
    const beforeId = cursor === undefined ? {} : { beforeId: readCursor(cursor, "dif", filter) };
    const found = await reconciliation.differences({ ...filter, ...beforeId, limit: limit + 1 });
    const items: readonly DifferenceView[] = found.slice(0, limit);
    const last = items.at(-1);
    return reply.send({
      items,
      nextCursor: found.length > limit && last ? writeCursor(last.id, filter) : null,
    });
  });
}
