import type { CapacityApi, SlotView } from "../capacity/api.ts";
import { toProblem, UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { App, GatewayWorld } from "./app.ts";
import { byOf } from "./auth.ts";
import type { CsvForm } from "./csv.ts";
import { channelNotFound } from "./routes-channels.ts";
import { answers, problemAnswers } from "./schemas.ts";
import {
  type BulkResult,
  type BulkRow,
  bulkBody,
  bulkEnvelope,
  bulkResults,
  bulkRow,
  maxBulkRows,
} from "./schemas-bulk.ts";
import { reversed, toUtc } from "./submission.ts";

/** Channels whose slots are written at once: half of the connections that a process has. */
const channelsAtOnce = 4;

const csv: CsvForm = {
  columns: {
    channelId: { required: true, number: false },
    start: { required: true, number: false },
    end: { required: true, number: false },
    capacity: { required: true, number: true },
  },
  rowByRow: true,
  toBody: (rows) => ({ slots: rows.map(({ fields }) => fields), lines: rows.map(({ line }) => line) }),
};

/** The capacity of slots of many channels; each row is answered by itself. */
export function bulkRoutes(app: App, { capacity, requires, validation }: GatewayWorld): void {
  const checkRow = validation.validator(bulkRow.ref);
  const checkEnvelope = validation.validator(bulkEnvelope);
  const schema = {
    tags: ["channels"],
    operationId: "putCapacities",
    summary: "Set the capacity of slots of many channels",
    description:
      "Each row is answered by itself, in input order: one bad row never fails the others, and the same again changes nothing more. " +
      "Also as text/csv with a head: channelId,start,end,capacity.",
    body: bulkBody.ref,
    ...answers(bulkResults.ref, { 200: "One result per row" }, problemAnswers({ key: true, body: true })),
  };
  const options = {
    schema,
    config: { csv },
    onRequest: requires("channels:write"),
    validatorCompiler: validation.compilerWithBody(checkEnvelope),
  };
  app.post("/v1/capacity/bulk", options, async (request, reply) => {
    const { slots, lines } = request.body as { slots: readonly unknown[]; lines?: readonly number[] };
    if (slots.length > maxBulkRows)
      throw new UoopError(
        "payload_too_large",
        `There are ${slots.length} rows; send ${maxBulkRows} at most.`,
      );
    const rows = slots.map((row) => checkRow(row) ?? toRow(row as BulkRow));
    const results = await setAll(withoutRepeats(rows), capacity, byOf(request));
    return reply.send({
      results: results.map((result, index) => {
        const where = lines ? { line: lines[index]! } : {};
        return { ...toResult(result), ...where };
      }),
    });
  });
}

function toRow({ channelId, start, end, capacity }: BulkRow): BulkRow | UoopError {
  const row = { channelId, start: toUtc(start), end: toUtc(end), capacity };
  if (!isId("chn", channelId)) return channelNotFound(channelId);
  return row.end <= row.start ? reversed("/end") : row;
}

/** A slot that is there twice is the first; which of two capacities is meant nobody can know. */
function withoutRepeats(rows: readonly (BulkRow | UoopError)[]): readonly (BulkRow | UoopError)[] {
  const seen = new Set<string>();
  return rows.map((row) => {
    if (row instanceof UoopError) return row;
    const slot = `${row.channelId} ${row.start} ${row.end}`;
    if (seen.has(slot))
      return new UoopError("slots_overlap", "This slot is in the list twice; the first was taken.");
    seen.add(slot);
    return row;
  });
}

type By = Parameters<CapacityApi["putCapacity"]>[2];

async function setAll(
  rows: readonly (BulkRow | UoopError)[],
  capacity: CapacityApi,
  by: By,
): Promise<readonly (SlotView | UoopError)[]> {
  const results = rows.map((row): SlotView | UoopError | null => (row instanceof UoopError ? row : null));
  const indexes = rows.flatMap((row, index) => (row instanceof UoopError ? [] : [index]));
  const ofChannel = Map.groupBy(indexes, (index) => (rows[index] as BulkRow).channelId);
  const waiting = [...ofChannel];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [id, places] = next;
      const set = await setOfChannel(
        id,
        places.map((index) => rows[index] as BulkRow),
        capacity,
        by,
      );
      places.forEach((index, place) => {
        results[index] = set[place]!;
      });
    }
  };
  await Promise.all(Array.from({ length: channelsAtOnce }, work));
  return results as (SlotView | UoopError)[];
}

/** All of a channel's rows at once; if one of them can't be, by halves until it is alone. */
async function setOfChannel(
  id: string,
  rows: readonly BulkRow[],
  capacity: CapacityApi,
  by: By,
): Promise<readonly (SlotView | UoopError)[]> {
  try {
    const views = await capacity.putCapacity(
      id,
      rows.map(({ channelId: _id, ...slot }) => slot),
      by,
    );
    const byTimes = new Map(views.map((view) => [`${view.start} ${view.end}`, view]));
    return rows.map(({ start, end }) => byTimes.get(`${start} ${end}`)!);
  } catch (error) {
    if (!(error instanceof UoopError) || error.status >= 500) throw error;
    if (rows.length === 1) return [new UoopError(error.code, error.message)];
    if (error.code === "channel_not_found") return rows.map(() => error);
    const middle = Math.ceil(rows.length / 2);
    const first = await setOfChannel(id, rows.slice(0, middle), capacity, by);
    return [...first, ...(await setOfChannel(id, rows.slice(middle), capacity, by))];
  }
}

const toResult = (result: SlotView | UoopError): BulkResult =>
  result instanceof UoopError
    ? { status: result.status, problem: toProblem(result) }
    : { status: 200, slot: result };
