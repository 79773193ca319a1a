import { hash, randomFillSync } from "node:crypto";
import { TypeID } from "typeid-js";

/** Lanes an order may have: the unit of sharding and of relay order. The lane is a hash of client + idempotency key. */
export const laneCount = 64;

export type IdPrefix =
  | "ord"
  | "chn"
  | "slt"
  | "evt"
  | "cli"
  | "key"
  | "own"
  | "cbk"
  | "dif"
  | "whk"
  | "dlt"
  | "cpl";

/** Source of random bytes; tests pass a seeded one. */
export type FillRandom = (bytes: Uint8Array) => void;

export interface Ids {
  /** A new TypeID (UUIDv7 inside, so ids sort by the time given). */
  create(prefix: IdPrefix, nowMs: number): string;
  /** A new order id that carries its lane. */
  order(lane: number, nowMs: number): string;
}

/** UUIDv7 bytes (RFC 9562 §5.7): 48 bits of time, version, random. */
function uuidV7(nowMs: number, fillRandom: FillRandom): Uint8Array {
  const bytes = new Uint8Array(16);
  fillRandom(bytes);
  let rest = nowMs;
  for (let index = 5; index >= 0; index -= 1) {
    bytes[index] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
  bytes[6] = 0x70 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return bytes;
}

/** The system's random bytes, drawn a page at a time: 16 at once cost 6 µs, from a page 0.1. */
function pooledRandom(): FillRandom {
  const pool = new Uint8Array(4_096);
  let used = pool.length;
  return (bytes) => {
    if (used + bytes.length > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    bytes.set(pool.subarray(used, used + bytes.length));
    used += bytes.length;
  };
}

export function createIds(fillRandom: FillRandom = pooledRandom()): Ids {
  return {
    create: (prefix, nowMs) => TypeID.fromUUIDBytes(prefix, uuidV7(nowMs, fillRandom)).toString(),
    order(lane, nowMs) {
      const bytes = uuidV7(nowMs, fillRandom);
      // The low 6 bits of the last byte: the last two characters of the id, so a person can't but a program can read it.
      bytes[15] = (bytes[15]! & 0xc0) | lane;
      return TypeID.fromUUIDBytes("ord", bytes).toString();
    },
  };
}

/** A TypeID of a UUID that the database made, and back. */
export const idOfUuid = (prefix: IdPrefix, uuid: string): string => TypeID.fromUUID(prefix, uuid).toString();
export const uuidOfId = (id: string): string => TypeID.fromString(id).toUUID();

const base32 = "0123456789abcdefghjkmnpqrstvwxyz";

/** The lane inside an order id: its last 6 bits. */
export function laneOf(orderId: string): number {
  const high = base32.indexOf(orderId.charAt(orderId.length - 2));
  const low = base32.indexOf(orderId.charAt(orderId.length - 1));
  return ((high & 1) << 5) | low;
}

/** The smallest order id that can be made at this time: a boundary for time ranges over ids. */
export function firstOrderIdAt(nowMs: number): string {
  const bytes = uuidV7(nowMs, (all) => all.fill(0));
  bytes[6] = 0;
  bytes[8] = 0;
  return TypeID.fromUUIDBytes("ord", bytes).toString();
}

const idShape = /^[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Whether `text` is an id of this kind (its shape; not whether it exists). */
export const isId = (prefix: IdPrefix, text: string): boolean =>
  text.startsWith(`${prefix}_`) && idShape.test(text);

/** First 128 bits of SHA-256 as 32 hex digits: enough that two keys never meet (2^64 keys for even odds). */
export const digest = (text: string): string => hash("sha256", text, "hex").slice(0, 32);

/** Lane of a key digest: its first byte modulo the lanes. */
export const laneOfDigest = (hex: string): number => Number.parseInt(hex.slice(0, 2), 16) % laneCount;
