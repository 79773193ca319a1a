/**
 * Sums that forget: what was added weighs half as much after each half-life. Forward decay (Cormode, Shkapenyuk, Srivastava, Xu:
 * "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE 2009): an addition is weighed by 2^((t − since) / halfLife)
 * when it is made and the sum is divided by 2^((now − since) / halfLife) when it is read, so adding touches one number, and the same
 * additions in the same order give the same bits, however they were cut into chunks.
 */
export interface Decayed {
  /** Where weights are 1, ms. */
  sinceMs: number;
  sums: Record<string, number>;
}

/** Beyond 2^64 `since` moves up, long before numbers overflow. */
const maxHalfLives = 64;

export const noSums = (): Decayed => ({ sinceMs: 0, sums: {} });

/** Adds `value` to one of the sums, as of `atMs`. Changes `decayed`. */
export function add(decayed: Decayed, halfLifeMs: number, name: string, value: number, atMs: number): void {
  const { sums } = decayed;
  if (decayed.sinceMs === 0) decayed.sinceMs = atMs;
  if (atMs - decayed.sinceMs > maxHalfLives * halfLifeMs) {
    const factor = 2 ** ((decayed.sinceMs - atMs) / halfLifeMs);
    for (const each in sums) sums[each] = sums[each]! * factor;
    decayed.sinceMs = atMs;
  }
  sums[name] = (sums[name] ?? 0) + value * 2 ** ((atMs - decayed.sinceMs) / halfLifeMs);
}

/** The sums as they weigh at `nowMs`; what nothing was added to is 0. */
export function at(decayed: Decayed, halfLifeMs: number, nowMs: number): (name: string) => number {
  const factor = 2 ** ((decayed.sinceMs - nowMs) / halfLifeMs);
  return (name) => (decayed.sums[name] ?? 0) * factor;
}

/** Buckets grow by 2^(1/8), so a quantile that is read as its bucket's middle is off by 4.5 % at most. */
const bucketsPerOctave = 8;

/** Which bucket of a histogram a value ≥ 0 is in; values below 1 share the first. */
const bucketOf = (value: number): number =>
  value < 1 ? 0 : 1 + Math.floor(Math.log2(value) * bucketsPerOctave);

const middleOf = (bucket: number): number => (bucket === 0 ? 0 : 2 ** ((bucket - 0.5) / bucketsPerOctave));

/** Adds a value to a histogram: its count (`n`), its sum and its bucket. */
export function observe(
  decayed: Decayed,
  halfLifeMs: number,
  name: string,
  value: number,
  atMs: number,
  times = 1,
): void {
  add(decayed, halfLifeMs, `${name}.n`, times, atMs);
  add(decayed, halfLifeMs, `${name}.sum`, value * times, atMs);
  add(decayed, halfLifeMs, `${name}.${bucketOf(value)}`, times, atMs);
}

export interface Distribution {
  /** How many, as they weigh now. */
  count: number;
  /** null: nothing was observed. */
  mean: number | null;
  p95: number | null;
}

/** Weights below this are forgotten: a count that decays never gets to zero by itself. */
export const negligible = 1e-6;

export function distribution(
  decayed: Decayed,
  halfLifeMs: number,
  name: string,
  nowMs: number,
): Distribution {
  const sum = at(decayed, halfLifeMs, nowMs);
  const count = sum(`${name}.n`);
  if (count < negligible) return { count: 0, mean: null, p95: null };
  const prefix = `${name}.`;
  const buckets = Object.keys(decayed.sums)
    .filter((key) => key.startsWith(prefix) && /^\d+$/.test(key.slice(prefix.length)))
    .map((key) => ({ bucket: Number(key.slice(prefix.length)), weight: sum(key) }))
    .sort((a, b) => a.bucket - b.bucket);
  let left = 0.95 * count * (1 - 1e-12);
  const reached = buckets.find(({ weight }) => {
    left -= weight;
    return left <= 0;
  });
  return { count, mean: sum(`${name}.sum`) / count, p95: middleOf((reached ?? buckets.at(-1)!).bucket) };
}
