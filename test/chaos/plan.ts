import type { ChannelType } from "../../src/capacity/api.ts";
import { pick, type Random } from "../../src/channels/simulator/random.ts";
import type { NewOrder } from "../../src/gateway/schemas-orders.ts";
import { centre } from "./network.ts";
import { type Blow, planBlow, type Victim } from "./victims.ts";

/** How an order is placed: waiting for its confirmation, not waiting, or in a batch (of either kind). */
export type Mode = "sync" | "async" | "batch";

export interface PlannedOrder {
  /** Its Idempotency-Key. */
  key: string;
  body: NewOrder;
  mode: Mode;
  /** So long after its first answer it is cancelled; null: never. */
  cancelAfterMs: number | null;
  /** So long after its first answer an operator gives it to another channel; null: never. */
  rerouteAfterMs: number | null;
  /** So long after its first answer its items are changed; null: never. */
  changeAfterMs: number | null;
}

export interface RoundPlan {
  round: number;
  orders: readonly PlannedOrder[];
  blow: Blow;
  /** The blow comes when so many orders have been answered, and so long after that. */
  killAfterAnswers: number;
  killAfterMs: number;
  /** The same again so long after the platform was ready; null: not. */
  killAgainAfterMs: number | null;
}

const hourMs = 3_600_000;
const cancelShare = 0.15;
const rerouteShare = 0.1;
const changeShare = 0.15;
/** Of the rounds, so many are killed a second time while they recover. */
const killAgainShare = 0.25;

/** A round: the same random sequence gives the same plan (but for the time of day in it). */
export function planRound(
  random: Random,
  round: number,
  { orders, victims }: { orders: number; victims: readonly Victim[] },
  nowMs: number,
): RoundPlan {
  return {
    round,
    orders: Array.from({ length: orders }, (_, index) =>
      planOrder(random, `r${round}-${index}`, index, nowMs),
    ),
    blow: planBlow(random, victims[(round - 1) % victims.length]!),
    killAfterAnswers: pick(random, { min: 0, max: Math.floor(orders * 0.9) }),
    killAfterMs: pick(random, { min: 0, max: 600 }),
    killAgainAfterMs: random() < killAgainShare ? pick(random, { min: 0, max: 2_500 }) : null,
  };
}

/** A fifth of the orders for each type of channel alone, and a fifth for whichever is best. */
const wishes: readonly (ChannelType | null)[] = [
  "internal_kitchen",
  "dark_store",
  "external_partner",
  "partner_network",
  null,
];
const modes: readonly Mode[] = ["sync", "async", "batch"];

function planOrder(random: Random, key: string, index: number, nowMs: number): PlannedOrder {
  const type = wishes[index % wishes.length]!;
  const near = (middle: number) => middle + (random() - 0.5) * 0.06;
  return {
    key,
    body: {
      customerId: `cus_${pick(random, { min: 1, max: 40 })}`,
      currency: "AED",
      items: [
        {
          sku: `meal-${pick(random, { min: 1, max: 9 })}`,
          quantity: pick(random, { min: 1, max: 3 }),
          unitPriceMinor: 4_500,
        },
      ],
      delivery: {
        location: { lat: near(centre.lat), lng: near(centre.lng) },
        address: { line1: `Tower ${key}`, city: "Dubai", countryCode: "AE" },
        window: { start: new Date(nowMs).toISOString(), end: new Date(nowMs + 3 * hourMs).toISOString() },
      },
      ...(type === null ? {} : { routing: { channelTypes: [type] } }),
    },
    mode: modes[pick(random, { min: 0, max: modes.length - 1 })]!,
    cancelAfterMs: random() < cancelShare ? pick(random, { min: 0, max: 800 }) : null,
    changeAfterMs: random() < changeShare ? pick(random, { min: 0, max: 800 }) : null,
    rerouteAfterMs: random() < rerouteShare ? pick(random, { min: 0, max: 800 }) : null,
  };
}
