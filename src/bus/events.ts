import type { EventRow, PackedEvent, PlatformEvent } from "../relay/api.ts";
import { dataOf, patched, type State, snapshotOf } from "../relay/snapshot.ts";

/** Where the schema of an event type is found: the address is its name, the file is src/relay/schemas/<type>.json. */
export const schemaOf = (type: string): string => `https://uoop.dev/schemas/${type}.json`;

/**
 * The same event has the same id wherever and however often it is made, so a consumer can drop repeats: subject, version
 * and type. Room changes without a new version: capacity.updated adds its sequence. When one version of a split order assigns several legs, those after the first add their number.
 */
export function eventId(subject: string, { version, type, data }: EventKey): string {
  if (type === "capacity.updated") return `${subject}.${version}.${type}.${data?.sequence}`;
  const leg = type === "channel.assigned" ? data?.leg : 1;
  return typeof leg === "number" && leg > 1
    ? `${subject}.${version}.${type}.${leg}`
    : `${subject}.${version}.${type}`;
}

type EventKey = Pick<PackedEvent, "version" | "type" | "data">;

/**
 * The events of a row, as consumers get them: CloudEvents 1.0 in version order, each with the whole order or channel as
 * it was at that version. The constructor of the cloudevents package costs 15 times this (it validates and freezes each
 * event), so it is not used here; a test holds that its strict validation accepts what comes out.
 */
export function unfold(row: EventRow): PlatformEvent[] {
  const partitionkey = String(row.lane);
  if (row.subject.startsWith("chn_"))
    return row.events.map((packed) =>
      unfoldOne(row, packed, { channel: row.doc, ...packed.data }, partitionkey),
    );
  let fields: State = {};
  return row.events.map((packed) => {
    fields = patched(fields, packed.patch);
    const order = snapshotOf(row.doc, fields, packed);
    return unfoldOne(row, packed, { order, ...dataOf(packed, fields) }, partitionkey);
  });
}

function unfoldOne(row: EventRow, packed: PackedEvent, data: State, partitionkey: string): PlatformEvent {
  return {
    specversion: "1.0",
    id: eventId(row.subject, packed),
    source: "/uoop",
    type: packed.type,
    subject: row.subject,
    time: packed.at,
    datacontenttype: "application/json",
    dataschema: schemaOf(packed.type),
    subjectversion: packed.version,
    partitionkey,
    ...(packed.replay ? { replay: true } : {}),
    data,
  };
}
