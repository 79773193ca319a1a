import { LRUCache } from "lru-cache";
import type { Clock } from "../platform/clock.ts";

/** How much of its limit a key has left. */
export interface Allowance {
  /** Whether this request may pass. */
  passes: boolean;
  /** Requests that may follow at once. */
  remaining: number;
  /** Seconds until all of the limit is there again. */
  resetSeconds: number;
  /** Seconds until the next request may pass; 0 when one may now. */
  retryAfterSeconds: number;
}

export interface RateLimiter {
  /** Takes one request of the key's limit; synchronous, as every request comes by here. */
  take(keyId: string, perMinute: number): Allowance;
}

const minuteMs = 60_000;
/** Keys remembered at most; the least used one is forgotten, and has its whole limit when it comes again. */
const maxBuckets = 20_000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * One token bucket per key, in this process: it holds a minute's requests and fills up evenly, so a burst may spend what was
 * saved, and no two bursts meet at the edge of a window. (Own code: rate-limiter-flexible counts fixed windows and answers
 * with promises, limiter reads a clock of its own.)
 */
export function createRateLimiter(clock: Clock): RateLimiter {
  const buckets = new LRUCache<string, Bucket>({ max: maxBuckets });
  return {
    take(keyId, perMinute) {
      const nowMs = clock.nowMs();
      const perMs = perMinute / minuteMs;
      const bucket = buckets.get(keyId) ?? { tokens: perMinute, atMs: nowMs };
      const sinceMs = Math.max(0, nowMs - bucket.atMs);
      const there = Math.min(perMinute, bucket.tokens + sinceMs * perMs);
      const passes = there >= 1;
      bucket.tokens = passes ? there - 1 : there;
      bucket.atMs = nowMs;
      buckets.set(keyId, bucket);
      return {
        passes,
        remaining: Math.floor(bucket.tokens),
        resetSeconds: Math.ceil((perMinute - bucket.tokens) / perMs / 1_000),
        retryAfterSeconds: passes ? 0 : Math.ceil((1 - there) / perMs / 1_000),
      };
    },
  };
}
