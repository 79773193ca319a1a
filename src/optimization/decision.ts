import type { Channel } from "../capacity/api.ts";
import type { Candidate, Evaluation, Exclusion } from "../capacity/ranking.ts";

/**
 * Why an order went where it went: numbers, stored with each attempt (360 bytes). The words are made when it is shown
 * (explain.ts).
 */
export interface DecisionRecord {
  /** `<id>@<version>` */
  policy: string;
  method: DecisionMethod;
  /** Its place in `candidates`; null: nobody. */
  chosen: number | null;
  /** Best first, the best few and the chosen. */
  candidates: readonly CandidateRecord[];
  /** Channels that were not candidates, by reason. */
  excluded: Readonly<Partial<Record<Exclusion, number>>>;
  /** The nearest of them: channel, reason, metres. */
  near?: readonly (readonly [channelId: string, why: Exclusion, meters: number])[];
  /** Of the batch, where a solver was asked. */
  solver?: SolverRecord;
}

/** `best_each`: everybody had room at their best; `greedy`: one after another; `round_robin`: in turn, whatever it costs. */
export type DecisionMethod = "best_each" | "greedy" | "round_robin";

export interface SolverRecord {
  objective: number;
  bound: number;
  ms: number;
}

export type CandidateRecord = readonly [
  channelId: string,
  score: number,
  costMinor: number,
  etaMinutes: number,
  /** Percent of its slot, with this order in it. */
  used: number,
  /** Percent. */
  quality: number,
  /** What rules added to its penalty, in hundredths. */
  adjustment: number,
  /** What its units cost others who will need them (bid price · units), in hundredths; absent where nothing is short. */
  price?: number,
];

/** Candidates that a decision keeps. */
const maxKeptCandidates = 5;

export function recordDecision(
  { candidates, excluded, near }: Evaluation,
  chosen: Candidate | undefined,
  method: DecisionMethod,
  policy: string,
): DecisionRecord {
  const kept = candidates.slice(0, maxKeptCandidates).map(recordCandidate);
  let place = chosen === undefined ? -1 : candidates.indexOf(chosen);
  if (place >= kept.length) place = kept.push(recordCandidate(chosen!)) - 1;
  return {
    policy,
    method,
    chosen: place < 0 ? null : place,
    candidates: kept,
    excluded: Object.fromEntries(excluded),
    ...(near.length === 0
      ? {}
      : { near: near.map((one) => [one.channel.id, one.why, Math.round(one.distanceMeters)] as const) }),
  };
}

const recordCandidate = (candidate: Candidate): CandidateRecord => [
  candidate.channel.id,
  Math.round(candidate.score * 10_000) / 10_000,
  candidate.costMinor,
  Math.round(candidate.etaMinutes),
  Math.round(candidate.used * 100),
  Math.round(candidate.channel.quality * 100),
  Math.round(candidate.adjustment * 100),
  ...(candidate.price === 0 ? ([] as const) : ([Math.round(candidate.price * 100)] as const)),
];

/** A decision in words. */
export interface DecisionView {
  policy: string;
  method: DecisionMethod;
  /** For a support agent: who was chosen, and how. */
  summary: string;
  chosen: { channelId: string; name: string; score: number } | null;
  candidates: readonly CandidateView[];
  /** Channels that were not candidates, by reason. */
  excluded: readonly { reason: Exclusion; channels: number; text: string }[];
  nearestExcluded: readonly { channelId: string; name: string; distanceMeters: number; why: string }[];
  solver?: SolverRecord;
}

interface CandidateView {
  channelId: string;
  name: string;
  score: number;
  costMinor: number;
  etaMinutes: number;
  usedPercent: number;
  qualityPercent: number;
  adjustment: number;
  /** Absent where nothing is short. */
  price?: number;
  why: string;
}

const methodTexts: Readonly<Record<DecisionMethod, string>> = {
  best_each: "every order that was routed with it could have its best channel, so no other choice is better",
  greedy: "room was short, so orders that were routed together chose one after another",
  round_robin: "channels take turns",
};

const exclusionTexts: Readonly<Record<Exclude<Exclusion, `rule:${string}`>, string>> = {
  inactive: "is paused",
  channel_type: "is of a type that this order may not go to",
  asked_before: "was asked already, and said no or gave it back, or could not be reached",
  vehicle: "has no vehicle that fits",
  currency: "charges in another currency",
  radius: "does not deliver so far",
  cost: "costs more than is allowed",
  no_slot: "has no slot in the window",
  too_late: "could not be at the door before the window ends",
  full: "had no room left in the window",
  stock: "had not enough of an item left",
  not_carried: "does not carry all of the items",
  down: "could not be reached",
  distance: "is farther away than the routing policy allows",
  eta: "would take longer than the routing policy allows",
};

/** What this reason says, after a channel's name. */
export const exclusionText = (why: Exclusion): string =>
  why.startsWith("rule:")
    ? `is excluded by the rule "${why.slice(5)}" of the routing policy`
    : exclusionTexts[why as keyof typeof exclusionTexts];

/** Puts a stored decision into words, with the names that channels have now. */
export function explain(
  { policy, method, chosen, candidates, excluded, near = [], solver }: DecisionRecord,
  channel: (id: string) => Pick<Channel, "name"> | undefined,
): DecisionView {
  const nameOf = (id: string) => channel(id)?.name ?? id;
  const winner = chosen === null ? undefined : candidates[chosen];
  const views = candidates.map((one): CandidateView => {
    const [channelId, score, costMinor, etaMinutes, usedPercent, qualityPercent, adjustment, price] = one;
    const shown = {
      channelId,
      name: nameOf(channelId),
      score,
      costMinor,
      etaMinutes,
      usedPercent,
      qualityPercent,
    };
    const paid = price === undefined ? {} : { price: price / 100 };
    return { ...shown, adjustment: adjustment / 100, ...paid, why: whyNot(one, winner, method) };
  });
  const total = Object.values(excluded).reduce<number>((sum, count) => sum + (count ?? 0), 0);
  const considered = `${candidates.length} channel${candidates.length === 1 ? "" : "s"} could serve it`;
  const others = total === 0 ? "" : `, ${total} could not`;
  return {
    policy,
    method,
    summary: winner
      ? `${nameOf(winner[0])} was chosen by the routing policy ${policy}: ${methodTexts[method]}. ${considered}${others}.`
      : `No channel was chosen (routing policy ${policy}): ${candidates.length === 0 ? "none could serve it" : considered}${others}.`,
    chosen: winner ? { channelId: winner[0], name: nameOf(winner[0]), score: winner[1] } : null,
    candidates: views,
    excluded: (Object.entries(excluded) as [Exclusion, number][]).map(([reason, channels]) => ({
      reason,
      channels,
      text: exclusionText(reason),
    })),
    nearestExcluded: near.map(([channelId, why, distanceMeters]) => ({
      channelId,
      name: nameOf(channelId),
      distanceMeters,
      why: exclusionText(why),
    })),
    ...(solver ? { solver } : {}),
  };
}

function whyNot(one: CandidateRecord, winner: CandidateRecord | undefined, method: DecisionMethod): string {
  if (one === winner) return "chosen";
  if (winner === undefined) return "its room went to other orders that were routed with it";
  if (method === "round_robin") return "it was not its turn";
  const differences = differ(one, winner);
  if (one[1] > winner[1])
    return "it scores higher, but its room went to other orders that were routed with it";
  if (differences.worse.length === 0) return "it scores about the same";
  const but = differences.better.length > 0 ? ` (though ${differences.better.join(", ")})` : "";
  return `it scores lower: ${differences.worse.join(", ")}${but}`;
}

/** How a candidate compares with the one chosen: what speaks against it, and for it. */
function differ(one: CandidateRecord, winner: CandidateRecord): { worse: string[]; better: string[] } {
  const worse: string[] = [];
  const better: string[] = [];
  const compare = (
    place: 2 | 3 | 4 | 5 | 6,
    text: (by: number) => [higher: string, lower: string],
    higherIsWorse = true,
  ) => {
    const by = one[place] - winner[place];
    if (by === 0) return;
    const [higher, lower] = text(Math.abs(by));
    (by > 0 === higherIsWorse ? worse : better).push(by > 0 ? higher : lower);
  };
  compare(2, (by) => [`dearer by ${money(by)}`, `cheaper by ${money(by)}`]);
  compare(3, (by) => [`later by ${by} min`, `sooner by ${by} min`]);
  compare(4, () => [
    `its slot is fuller (${one[4]} % against ${winner[4]} %)`,
    `its slot is emptier (${one[4]} % against ${winner[4]} %)`,
  ]);
  compare(
    5,
    () => [
      `rated better (${one[5]} % against ${winner[5]} %)`,
      `rated lower (${one[5]} % against ${winner[5]} %)`,
    ],
    false,
  );
  const [price, winners] = [one[7] ?? 0, winner[7] ?? 0];
  if (price > winners) worse.push("its room is needed more by orders that are expected");
  if (price < winners) better.push("its room is needed less by orders that are expected");
  compare(6, () => ["less preferred by the policy's rules", "preferred by the policy's rules"]);
  return { worse, better };
}

const money = (minor: number): string => `${minor} minor units`;
