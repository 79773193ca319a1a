import { type ChannelType, channelTypes } from "../src/capacity/api.ts";

/** A delivery window as the API takes it; all texts of one list are equally long. */
export interface BenchWindow {
  start: string;
  end: string;
}

/** Which orders the load is made of; plain data, handed to the load process. */
export interface Mix {
  seed: number;
  /** Parts of 100, by channel type. */
  shares: Readonly<Record<ChannelType, number>>;
  /** With room for all. */
  windows: readonly BenchWindow[];
  /** Windows whose slots fill up while the run goes on: each is used for `ordersPerWindow` orders, then the next. */
  contended?: { share: number; ordersPerWindow: number; windows: readonly BenchWindow[] };
}

export const defaultShares: Mix["shares"] = {
  internal_kitchen: 70,
  dark_store: 10,
  external_partner: 15,
  partner_network: 5,
};

const itemsPerOrder = 3;
/** Quantities are 1 or 2 alike. */
export const meanUnitsPerOrder = itemsPerOrder * 1.5;

/** The city: all places lie within this of its centre, in degrees. */
export const centre = { lat: 25.12, lng: 55.2 };
export const spread = 0.08;

/** An order as text, cut where its window goes. */
export interface Body {
  /** Index in `channelTypes`. */
  kind: number;
  before: string;
  after: string;
  /** Its window as JSON text; null: whichever contended window it is the turn of. */
  window: string | null;
}

/** Bodies that one load uses over and over, each time under another key. */
const bodiesInPool = 4_000;

const names = ["Aisha", "Omar", "Layla", "Yusuf", "Mariam", "Hassan", "Noor", "Khalid"];
const streets = ["Marina Walk", "Sheikh Zayed Road", "Al Wasl Road", "Jumeirah Street", "Creek Road"];

export const windowText = (window: BenchWindow): string => JSON.stringify(window);

/** The pool of bodies for a mix: exact shares, shuffled; the same seed makes the same pool. */
export function makeBodies(mix: Mix, count = bodiesInPool): readonly Body[] {
  const random = seeded(mix.seed);
  const kinds = channelTypes.flatMap((type, kind) =>
    new Array<number>(Math.round((mix.shares[type] / 100) * count)).fill(kind),
  );
  shuffle(kinds, random);
  const contended = mix.contended ? Math.round(kinds.length * mix.contended.share) : 0;
  const bodies = kinds.map((kind, index) =>
    makeBody(kind, index < contended ? null : pick(mix.windows, random), random),
  );
  shuffle(bodies, random);
  return bodies;
}

function makeBody(kind: number, window: BenchWindow | null, random: () => number): Body {
  const text = JSON.stringify({
    customerId: `cus_${Math.floor(random() * 50_000)}`,
    currency: "AED",
    items: Array.from({ length: itemsPerOrder }, () => ({
      sku: `meal-${Math.floor(random() * 400)}`,
      quantity: 1 + Math.floor(random() * 2),
      unitPriceMinor: 2_500 + Math.floor(random() * 4_000),
    })),
    delivery: {
      location: { lat: near(centre.lat, random), lng: near(centre.lng, random) },
      address: {
        line1: `${pick(streets, random)} ${Math.floor(random() * 300)}`,
        city: "Dubai",
        countryCode: "AE",
      },
      window: "@",
      contact: { name: pick(names, random), phone: `+97150${Math.floor(1e6 + random() * 9e6)}` },
      instructions: "leave at the desk",
    },
    priority: "standard",
    routing: { channelTypes: [channelTypes[kind]] },
  });
  const [before = "", after = ""] = text.split('"@"');
  return { kind, before, after, window: window && windowText(window) };
}

const near = (around: number, random: () => number): number =>
  Math.round((around + (random() * 2 - 1) * spread) * 1e6) / 1e6;

const pick = <T>(from: readonly T[], random: () => number): T => from[Math.floor(random() * from.length)]!;

function shuffle<T>(items: T[], random: () => number): void {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = Math.floor(random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
}

/** Numbers from 0 to 1 (mulberry32): quick, and the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
