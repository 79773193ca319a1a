import { hash } from "node:crypto";

/** A number in [0, 1); the same seed gives the same sequence. */
export type Random = () => number;

/** mulberry32 (Tommy Ettinger, public domain), seeded by a hash of the text: each channel gets a sequence of its own. */
export function seededRandom(seed: string): Random {
  let state = Number.parseInt(hash("sha256", seed, "hex").slice(0, 8), 16);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number of the range, both ends included. */
export const pick = (random: Random, range: { min: number; max: number }): number =>
  Math.floor(range.min + random() * (range.max - range.min + 1));
