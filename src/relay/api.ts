/** Event types, each with one JSON Schema file in src/relay/schemas/<type>.json. */
export const eventTypes = [
  "order.created",
  "order.status_changed",
  "order.updated",
  "channel.assigned",
  "capacity.updated",
  "channel.health_changed",
] as const;
export type EventType = (typeof eventTypes)[number];

/**
 * One event as packed into a row: what is its own (snapshot.ts packs and unpacks). The snapshot that it carries is its row's doc
 * and, over it, the patches of the row's events up to this one: the first patch holds the whole mutable half but version
 * and time, those after it what changed. So a row of five events holds the order once, which is most of what a commit writes.
 */
export interface PackedEvent {
  type: EventType;
  /** Version of the subject (order or channel) that this event tells of. */
  version: number;
  /** RFC 3339. */
  at: string;
  /** order.status_changed: from, to, reason. channel.assigned: leg. */
  data?: Readonly<Record<string, unknown>>;
  /** What this event changed of an order's OrderState; absent when nothing, as with channels, which are in `doc` whole. */
  patch?: Readonly<Record<string, unknown>>;
  /** It was a dead letter and is sent again: later versions may have gone before it. */
  replay?: true;
}

/** A row of the outbox or of the event log: the events of one subject in one commit, in version order. */
export interface EventRow {
  lane: number;
  /** `ord_…` or `chn_…`. */
  subject: string;
  clientId: string | null;
  doc: Readonly<Record<string, unknown>>;
  events: readonly PackedEvent[];
}

/** CloudEvents 1.0, JSON format. `id` is deterministic: subject + version + type. */
export interface PlatformEvent {
  specversion: "1.0";
  id: string;
  source: string;
  type: EventType;
  subject: string;
  time: string;
  datacontenttype: "application/json";
  dataschema: string;
  /** Extension attributes: the subject's version, and the lane as partition key. */
  subjectversion: number;
  partitionkey: string;
  /** Only on what is sent again after it was a dead letter. */
  replay?: true;
  data: Readonly<Record<string, unknown>>;
}
