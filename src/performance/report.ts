import { at, type Distribution, distribution, negligible } from "./decay.ts";
import type { PartName, Share } from "./quality.ts";
import type { HalfLives, Tally } from "./tally.ts";

/** Everything measured of a channel, as it weighs at a moment. Counts are decayed, so they are no whole numbers. */
export interface Report {
  asked: { accepted: number; refused: number; unanswered: number; acceptance: number | null };
  /** Milliseconds. */
  booking: Distribution & { prompt: number };
  /** Minutes from preparing to ready. */
  preparation: Distribution;
  /** Minutes from dispatched to delivered. */
  way: Distribution;
  /** Minutes after the promised window, of those that were late. */
  lateness: Distribution;
  orders: Record<"onTime" | "late" | "notReported" | "doorShut" | "givenBack", number>;
  /** Of those delivered or not reported. */
  punctuality: number | null;
  complaints: Readonly<Record<string, number>>;
  recent: Record<"calls" | "failed" | "onTime" | "fellLate", number>;
}

/** What the two writers stored of a channel: the consumer of events, and the processes that call. */
export interface Stored {
  orders: Tally;
  calls: Tally;
}

export function reportAt(
  { orders, calls }: Stored,
  { lastingMs, recentMs }: HalfLives,
  nowMs: number,
): Report {
  const counted = (sum: (name: string) => number) => (name: string) => {
    const weight = sum(name);
    return weight < negligible ? 0 : weight;
  };
  const of = counted(at(orders.lasting, lastingMs, nowMs));
  const ofCalls = counted(at(calls.lasting, lastingMs, nowMs));
  const recent = counted(at(orders.recent, recentMs, nowMs));
  const recentCalls = counted(at(calls.recent, recentMs, nowMs));
  const [accepted, refused, unanswered] = [of("accepted"), of("refused"), of("unanswered")];
  const lateness = distribution(orders.lasting, lastingMs, "late", nowMs);
  const [onTime, notReported] = [of("on_time"), of("not_reported")];
  const kinds = Object.keys(orders.lasting.sums).filter((name) => name.startsWith(complaint));
  return {
    asked: { accepted, refused, unanswered, acceptance: ratio(accepted, accepted + refused + unanswered) },
    booking: { ...distribution(calls.lasting, lastingMs, "booking", nowMs), prompt: ofCalls("prompt") },
    preparation: distribution(orders.lasting, lastingMs, "prepared", nowMs),
    way: distribution(orders.lasting, lastingMs, "brought", nowMs),
    lateness,
    orders: {
      onTime,
      late: lateness.count,
      notReported,
      doorShut: of("door_shut"),
      givenBack: of("given_back"),
    },
    punctuality: ratio(onTime, onTime + lateness.count + notReported),
    complaints: Object.fromEntries(kinds.map((name) => [name.slice(complaint.length), of(name)])),
    recent: {
      calls: recentCalls("calls"),
      failed: recentCalls("failed"),
      onTime: recent("on_time"),
      fellLate: recent("fell_late"),
    },
  };
}

const complaint = "complaint.";

const ratio = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

/** What quality is made of. `preparationMinutes`: what the channel says that it needs. */
export function sharesOf(report: Report, preparationMinutes: number): Record<PartName, Share> {
  const { accepted, refused, unanswered } = report.asked;
  const { onTime, late, notReported, doorShut, givenBack } = report.orders;
  const { booking, preparation } = report;
  const delivered = onTime + late;
  const kept = preparation.mean ? Math.min(1, preparationMinutes / preparation.mean) : 1;
  const complaints = Object.values(report.complaints).reduce((sum, count) => sum + count, 0);
  const ended = Math.max(delivered + notReported + doorShut, complaints);
  return {
    acceptance: { good: accepted, of: accepted + refused + unanswered },
    booking: { good: Math.min(booking.prompt, booking.count), of: booking.count },
    preparation: { good: preparation.count * kept, of: preparation.count },
    punctuality: { good: onTime, of: delivered + notReported },
    // Nobody knows whether the customer did not open or nobody rang: a shut door counts half.
    fulfilment: { good: delivered + doorShut / 2, of: delivered + notReported + doorShut + givenBack },
    complaints: { good: ended - complaints, of: ended },
  };
}
