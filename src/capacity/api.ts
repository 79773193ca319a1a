import type { Schedule } from "./schedule.ts";

export const channelTypes = [
  "internal_kitchen",
  "dark_store",
  "external_partner",
  "partner_network",
] as const;
export type ChannelType = (typeof channelTypes)[number];

export const vehicles = ["bike", "scooter", "car", "van", "walk"] as const;
export type Vehicle = (typeof vehicles)[number];

/** What a delivery costs: base + distance + units, in minor units of the currency. */
export interface CostModel {
  currency: string;
  baseMinor: number;
  perKmMinor: number;
  perUnitMinor: number;
}

/** Until when a confirmed order can be cancelled at a channel, and what that costs. */
export interface CancellationRules {
  /** The last status in which it can be. */
  until: "confirmed" | "preparing" | "ready";
  /** What is charged, in minor units of the cost model's currency. */
  feeMinor: number;
  /** It costs nothing until so many minutes before the promised window; 0: until it begins. */
  freeMinutesBefore: number;
}

/** An address that is left alone after it failed repeatedly. */
export interface OpenCircuit {
  /** Which member of a network; absent: the channel itself. */
  partner?: string;
  /** RFC 3339. */
  since: string;
  /** What its last failure was. */
  detail: string;
}

/** What was measured of late and speaks against its health. */
export interface HealthSign {
  sign: "errors" | "lateness";
  /** RFC 3339. */
  since: string;
  detail: string;
}

/** The channel as the API shows it. */
export interface Channel {
  id: string;
  type: ChannelType;
  name: string;
  location: { lat: number; lng: number };
  serviceRadiusMeters: number;
  vehicles: readonly Vehicle[];
  /** Where its protocol is spoken (docs/channel-protocol.md); partners only. */
  endpoint?: string;
  /** Members of a partner network: each speaks the protocol at its own endpoint. */
  partners?: readonly { id: string; name: string; endpoint: string }[];
  costModel: CostModel;
  /** Absent: until it begins to prepare, for nothing. */
  cancellation?: CancellationRules;
  /** 0 (worst) to 1 (best), as operations rate it. */
  quality: number;
  /** From confirmation until the food can leave. */
  preparationMinutes: number;
  /** Its orders also take of its stock, SKU by SKU (dark stores); absent: it is not counted. */
  tracksStock?: boolean;
  /** Calls to the endpoint: how long to wait, and how many at once. */
  bookTimeoutMs: number;
  maxConcurrentCalls: number;
  status: "active" | "paused";
  health: "up" | "degraded" | "down";
  /** Absent when none is open. */
  openCircuits?: readonly OpenCircuit[];
  /** Absent when there is none. */
  healthSigns?: readonly HealthSign[];
  /** An operator has set its health otherwise than circuits and signs say: it stays so. */
  healthSet?: true;
  version: number;
  createdAt: string;
  updatedAt: string;
}

export type NewChannel = Omit<
  Channel,
  | "id"
  | "status"
  | "health"
  | "openCircuits"
  | "healthSigns"
  | "healthSet"
  | "version"
  | "createdAt"
  | "updatedAt"
>;

/** Capacity of a channel in a time window; units are meals (the sum of an order's item quantities). */
export interface Slot {
  start: string;
  end: string;
  capacity: number;
}

export interface SlotView extends Slot {
  id: string;
  /** What may be sold: the capacity with the schedule's overbooking margin and without its safety stock. */
  sellable: number;
  reserved: number;
}

export interface ScheduleView extends Schedule {
  version: number;
  updatedAt: string;
  /** The last local day that has its slots. */
  madeUntil: string;
}

/** A slot in which more is reserved than may be sold now: what is reserved stays, nothing more is sold. */
export interface KeptSlot {
  id: string;
  start: string;
  end: string;
  reserved: number;
  sellable: number;
}

/** What a channel has of a SKU. */
export interface StockItem {
  sku: string;
  /** On the shelf, what is reserved of it included. */
  quantity: number;
  /** Kept back. */
  safety: number;
  /** What may be sold: the quantity without the safety stock. */
  sellable: number;
  reserved: number;
}

/** Sets a quantity, or adds to it (or takes from it); the safety stock stays where it is not given. */
export type StockChange =
  | { sku: string; quantity: number; safety?: number }
  | { sku: string; adjust: number; safety?: number };

/** What reservations are worth when a slot's capacity, or a SKU's quantity, is cut below them. */
export type WhenReserved = "refuse" | "keep";

/** One channel as routing sees it: plain data, in memory, may be stale (a stale one costs a re-route). */
export interface ChannelRoom {
  channel: Channel;
  /** By start. */
  slots: readonly SlotRoom[];
  /** Of its schedule; absent: it has none. */
  rules?: OrderRules;
  /** Units that are free of each SKU that it carries; absent: it does not track its stock. */
  stock?: { get(sku: string): number | undefined };
}

/** What is free of one SKU at a channel; less than none where it is overcommitted. */
export interface StockNow {
  channelId: string;
  sku: string;
  free: number;
}

/** Until when a channel takes orders, and how long it needs for them. */
export type OrderRules = Pick<Schedule, "cutOffMinutes" | "preparation">;

export interface SlotRoom {
  id: string;
  startMs: number;
  endMs: number;
  sellable: number;
  reserved: number;
}

export interface RankingQuery {
  lat: number;
  lng: number;
  /** An instant inside the wanted slot, ms. */
  slotMs: number;
  vehicle: Vehicle | null;
}

export interface RankedChannel {
  channelId: string;
  name: string;
  type: ChannelType;
  score: number;
  distanceMeters: number;
  costMinor: number;
  currency: string;
  slot: { id: string; start: string; end: string };
  remaining: number;
}

export interface CapacityApi {
  listChannels(options: { afterId: string | null; limit: number }): Promise<readonly Channel[]>;
  getChannel(id: string): Promise<Channel | null>;
  /** Returns the channel and the secret that signs its callbacks (shown this once). */
  createChannel(
    channel: NewChannel,
    by: { actor: string; source: string | null },
  ): Promise<{ channel: Channel; secret: string }>;
  /** Changes the given fields. `expectedVersion` null: whatever it is. Throws `channel_not_found`, `version_conflict`. */
  patchChannel(
    id: string,
    patch: Partial<NewChannel> & { status?: Channel["status"]; health?: Channel["health"] },
    expectedVersion: number | null,
    by: { actor: string; source: string | null },
  ): Promise<Channel>;
  /** A circuit opened (`detail`: what failed) or closed (null). Health follows, unless an operator has set it otherwise. */
  noteCircuit(
    id: string,
    partner: string | undefined,
    detail: string | null,
    by: { actor: string; source: string | null },
  ): Promise<void>;
  /** What `judge` says of the channel as it is now speaks against its health (until it says otherwise). */
  noteSigns(
    id: string,
    judge: (channel: Channel) => readonly Pick<HealthSign, "sign" | "detail">[],
    by: { actor: string; source: string | null },
  ): Promise<void>;
  /**
   * Sets the capacity of these slots (made when new; others stay). Throws `capacity_below_reserved`, naming the slot,
   * `slots_overlap`, `channel_not_found`; then nothing is changed.
   */
  putCapacity(
    id: string,
    slots: readonly Slot[],
    by: { actor: string; source: string | null },
  ): Promise<readonly SlotView[]>;
  /** Null: the channel has none. Throws `channel_not_found`. */
  getSchedule(id: string): Promise<ScheduleView | null>;
  /**
   * Sets the schedule and makes its slots. `expectedVersion` null: whatever it is; 0: there is none yet. The same again changes nothing. Throws
   * `validation_failed`, `channel_not_found`, `version_conflict` and, unless what is reserved is to be kept, `capacity_below_reserved`.
   */
  putSchedule(
    id: string,
    schedule: Schedule,
    options: { expectedVersion: number | null; whenReserved: WhenReserved },
    by: { actor: string; source: string | null },
  ): Promise<{ schedule: ScheduleView; kept: readonly KeptSlot[] }>;
  /** By SKU. Throws `channel_not_found`. */
  getStock(id: string, options: { afterSku: string | null; limit: number }): Promise<readonly StockItem[]>;
  /**
   * Changes what a channel has, all or nothing; with a key a repeat changes nothing. Returns these SKUs as they are then. Throws
   * `channel_not_found`, `stock_refused`, `idempotency_key_reused`.
   */
  putStock(
    id: string,
    changes: readonly StockChange[],
    options: { key: string | null; whenReserved: WhenReserved },
    by: { actor: string; source: string | null },
  ): Promise<readonly StockItem[]>;
  getCapacity(id: string, range: { fromMs: number; toMs: number }): Promise<readonly SlotView[]>;
  rankings(query: RankingQuery): Promise<readonly RankedChannel[]>;
  /** The network in memory, for routing. The array is stable between changes. */
  network(): readonly ChannelRoom[];
  channelInMemory(id: string): Channel | undefined;
  /** The secret that callbacks of this channel are signed with; null when there is no such channel. */
  callbackSecret(id: string): Promise<string | null>;
}
