import type { Wish } from "../capacity/ranking.ts";

/** A wish that was routed lately, and what part of recent demand it stands for (all of a sample: 1). */
export interface SeenWish {
  wish: Wish;
  seenMs: number;
  share: number;
}

export interface RecentDemand {
  /** Notes what was routed; about 0.1 µs an order. */
  note(wishes: readonly Wish[], nowMs: number): void;
  /** A sample of recent wishes, and orders per millisecond, both decayed. */
  recent(nowMs: number): { seen: readonly SeenWish[]; perMs: number };
}

export interface DemandOptions {
  /** Wishes that are kept: they stand for all. */
  maxSample: number;
  /** After this time an order counts 1/e. */
  memoryMs: number;
  /** In [0, 1). */
  random: () => number;
}

interface Kept {
  wish: Wish;
  seenMs: number;
  key: number;
}

/** Less than this share of the memory says nothing about a rate. */
const leastShareOfMemory = 0.05;

/**
 * What was asked for lately, in bounded memory: the wishes with the greatest `seen / memory + Gumbel noise` are a sample without replacement
 * in which recent ones are more probable by e^(age / memory) (Efraimidis & Spirakis 2006 with weights that grow; the Gumbel form is
 * that of Kool, van Hoof & Welling 2019).
 */
export function createRecentDemand({ maxSample, memoryMs, random }: DemandOptions): RecentDemand {
  let kept: Kept[] = [];
  let leastKey = Number.NEGATIVE_INFINITY;
  let total = 0;
  let totalAtMs = 0;
  let firstMs: number | null = null;

  const trim = () => {
    if (kept.length <= maxSample) return;
    kept = kept.sort((a, b) => b.key - a.key).slice(0, maxSample);
    leastKey = kept.at(-1)!.key;
  };
  const decayedTo = (nowMs: number) => total * Math.exp(Math.min(0, totalAtMs - nowMs) / memoryMs);

  return {
    note(wishes, nowMs) {
      firstMs ??= nowMs;
      total = decayedTo(nowMs) + wishes.length;
      totalAtMs = nowMs;
      for (const wish of wishes) {
        const key = (nowMs - firstMs) / memoryMs - Math.log(-Math.log(random() || Number.MIN_VALUE));
        if (key > leastKey) kept.push({ wish, seenMs: nowMs, key });
      }
      if (kept.length >= 2 * maxSample) trim();
    },
    recent(nowMs) {
      if (firstMs === null) return { seen: [], perMs: 0 };
      trim();
      // All that ever came is here, and decays; a sample from more has decayed by being drawn.
      const complete = leastKey === Number.NEGATIVE_INFINITY;
      const weight = ({ seenMs }: Kept) => (complete ? Math.exp((seenMs - nowMs) / memoryMs) : 1);
      const sum = kept.reduce((all, one) => all + weight(one), 0);
      const known = Math.max(leastShareOfMemory, 1 - Math.exp((firstMs - nowMs) / memoryMs));
      return {
        seen: kept.map((one) => ({ wish: one.wish, seenMs: one.seenMs, share: weight(one) / sum })),
        perMs: decayedTo(nowMs) / (memoryMs * known),
      };
    },
  };
}
