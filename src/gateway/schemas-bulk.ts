import { type Static, Type } from "typebox";
import type { SlotView } from "../capacity/api.ts";
import type { Problem } from "../platform/errors.ts";
import { component, line, problem, strict } from "./schemas.ts";
import { capacitySlot, shownSlot } from "./schemas-channels.ts";

/** Rows in one bulk request at most; more are refused as a whole. */
export const maxBulkRows = 10_000;

const rowShape = strict({ channelId: line(64), ...capacitySlot.properties });
export type BulkRow = Static<typeof rowShape>;
export const bulkRow = component<BulkRow>("BulkCapacityRow", rowShape);
export const bulkBody = component<{ slots: readonly unknown[] }>(
  "BulkCapacity",
  strict({ slots: Type.Array(bulkRow.ref, { minItems: 1, maxItems: maxBulkRows }) }),
);

/** What the route itself insists on; each row is validated by itself, so that a bad one fails alone. */
export const bulkEnvelope = strict({
  slots: Type.Array(Type.Unknown(), { minItems: 1 }),
  lines: Type.Optional(Type.Array(Type.Integer())),
});

/** A row's answer. */
export interface BulkResult {
  status: number;
  line?: number;
  slot?: SlotView;
  problem?: Problem;
}
export const bulkResults = component<{ results: readonly BulkResult[] }>(
  "BulkCapacityResults",
  Type.Object({
    results: Type.Array(
      Type.Object({
        status: Type.Integer({ description: "what PUT …/capacity would have answered to this row alone" }),
        line: Type.Optional(Type.Integer({ description: "of a table: where the row is, from 1" })),
        slot: Type.Optional(shownSlot),
        problem: Type.Optional(problem.ref),
      }),
    ),
  }),
);
