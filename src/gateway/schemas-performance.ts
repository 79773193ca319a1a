import { Type } from "typebox";
import type { Channel } from "../capacity/api.ts";
import type { PerformanceView } from "../performance/api.ts";
import type { PartName } from "../performance/quality.ts";
import type { Report } from "../performance/report.ts";
import { component, instant, oneOf } from "./schemas.ts";

/** What an answer about a channel's performance says. */
export interface PerformanceAnswer {
  channelId: string;
  asOf: string;
  asked: Report["asked"];
  booking: { count: number; prompt: number; meanMs: number | null; p95Ms: number | null };
  preparation: Minutes & { promisedMinutes: number };
  way: Minutes;
  punctuality: { share: number | null; onTime: number; late: number; notReported: number; lateBy: Minutes };
  givenBack: number;
  doorShut: number;
  complaints: Readonly<Record<string, number>>;
  quality: {
    score: number;
    prior: number;
    priorOrders: number;
    parts: readonly { name: PartName; weight: number; good: number; of: number; share: number }[];
    how: string;
  };
  health: {
    is: Channel["health"] | "paused";
    setByOperator: boolean;
    reasons: readonly string[];
    recent: Report["recent"];
  };
}

interface Minutes {
  count: number;
  meanMinutes: number | null;
  p95Minutes: number | null;
}

const count = Type.Number({ description: "decayed, so no whole number" });
const share = Type.Unsafe<number | null>({
  type: ["number", "null"],
  description: "0 to 1; null: nothing measured",
});
const time = Type.Unsafe<number | null>({ type: ["number", "null"], description: "null: nothing measured" });
const minutes = { count, meanMinutes: time, p95Minutes: time };

export const performance = component<PerformanceAnswer>(
  "ChannelPerformance",
  Type.Object(
    {
      channelId: Type.String(),
      asOf: instant("RFC 3339 UTC"),
      asked: Type.Object(
        { accepted: count, refused: count, unanswered: count, acceptance: share },
        { description: "partners and networks; our own channels are not asked" },
      ),
      booking: Type.Object(
        { count, prompt: count, meanMs: time, p95Ms: time },
        { description: "calls that book, failed ones too; `prompt`: answered within a second" },
      ),
      preparation: Type.Object(
        { ...minutes, promisedMinutes: Type.Number() },
        { description: "from preparing to ready, beside what the channel says that it needs" },
      ),
      way: Type.Object(minutes, { description: "from dispatched to delivered" }),
      punctuality: Type.Object(
        { share, onTime: count, late: count, notReported: count, lateBy: Type.Object(minutes) },
        { description: "against the end of the promised window; `lateBy`: those that were late" },
      ),
      givenBack: Type.Number({ description: "after it had confirmed: reported, or gone from its ledger" }),
      doorShut: count,
      complaints: Type.Record(Type.String(), Type.Number(), { description: "by kind" }),
      quality: Type.Object({
        score: Type.Number({ description: "0 to 1: what routing weighs" }),
        prior: Type.Number({ description: "the channel's `quality`, as operations rate it" }),
        priorOrders: Type.Number({ description: "how many orders the prior counts as" }),
        parts: Type.Array(
          Type.Object({
            name: Type.Unsafe<PartName>({ type: "string" }),
            weight: Type.Number(),
            good: count,
            of: count,
            share: Type.Number({ description: "(good + priorOrders · prior) / (of + priorOrders)" }),
          }),
        ),
        how: Type.String(),
      }),
      health: Type.Object({
        is: oneOf(["up", "degraded", "down", "paused"] as const),
        setByOperator: Type.Boolean(),
        reasons: Type.Array(Type.String()),
        recent: Type.Object(
          { calls: count, failed: count, onTime: count, fellLate: count },
          { description: "forgotten within hours" },
        ),
      }),
    },
    { description: "All counts are decayed: what happened one half-life ago counts half" },
  ),
);

const round = (value: number): number => Math.round(value * 10_000) / 10_000;
const rounded = (value: number | null): number | null => (value === null ? null : round(value));
const all = <T extends object>(counts: T): T =>
  Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, rounded(value)])) as T;
const inMinutes = (one: Report["way"]): Minutes => ({
  count: round(one.count),
  meanMinutes: rounded(one.mean),
  p95Minutes: rounded(one.p95),
});

const how =
  "The product of each part's share to the power of its weight; docs/operating.md tells what the parts are.";

export function toAnswer({ channel, asOfMs, report, quality }: PerformanceView): PerformanceAnswer {
  const { asked, booking, orders, recent } = report;
  return {
    channelId: channel.id,
    asOf: new Date(asOfMs).toISOString(),
    asked: all(asked),
    booking: {
      count: round(booking.count),
      prompt: round(booking.prompt),
      meanMs: rounded(booking.mean),
      p95Ms: rounded(booking.p95),
    },
    preparation: { ...inMinutes(report.preparation), promisedMinutes: channel.preparationMinutes },
    way: inMinutes(report.way),
    punctuality: {
      share: rounded(report.punctuality),
      onTime: round(orders.onTime),
      late: round(orders.late),
      notReported: round(orders.notReported),
      lateBy: inMinutes(report.lateness),
    },
    givenBack: round(orders.givenBack),
    doorShut: round(orders.doorShut),
    complaints: all(report.complaints),
    quality: {
      ...quality,
      score: round(quality.score),
      parts: quality.parts.map((part) => ({
        ...part,
        good: round(part.good),
        of: round(part.of),
        share: round(part.share),
      })),
      how,
    },
    health: {
      is: channel.status === "paused" ? "paused" : channel.health,
      setByOperator: channel.healthSet === true,
      reasons: [...(channel.openCircuits ?? []), ...(channel.healthSigns ?? [])].map(({ detail }) => detail),
      recent: all(recent),
    },
  };
}
