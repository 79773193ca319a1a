import type { OfferOutcome } from "./api.ts";
import type { CallOutcome } from "./outcome.ts";

/** One order offered to several members: the first that holds it wins. */
export interface Auction<Member> {
  /** A member's answer. Returns the members whose hold is to be withdrawn now. */
  bid(member: Member, outcome: CallOutcome): readonly Member[];
  /** Resolves at the first acceptance, or when everyone has answered without one. */
  readonly outcome: Promise<OfferOutcome>;
}

export function createAuction<Member extends { id: string }>(members: readonly Member[]): Auction<Member> {
  const { promise, resolve } = Promise.withResolvers<OfferOutcome>();
  const others: CallOutcome[] = [];
  let mayHold: Member[] = [];
  let won = false;
  if (members.length === 0) resolve({ kind: "refused", reason: "the network has no members" });

  return {
    outcome: promise,
    bid(member, outcome) {
      const accepts = outcome.kind === "answered" && outcome.answer.status !== "refused";
      if (accepts && !won) {
        won = true;
        resolve({ kind: "accepted", partner: member.id });
        const losers = mayHold;
        mayHold = [];
        return losers;
      }
      // Whoever did not answer may hold it all the same: once somebody else has won it is told.
      if (accepts || outcome.kind === "unknown") {
        if (won) return [member];
        mayHold.push(member);
      }
      others.push(outcome);
      if (!won && others.length === members.length) resolve(nobody(others));
      return [];
    },
  };
}

/** No acceptance. Without a "no" from everyone the offer is not over: the same key is offered again. */
function nobody(outcomes: readonly CallOutcome[]): OfferOutcome {
  const unknown = outcomes.find((outcome) => outcome.kind === "unknown");
  if (unknown) return unknown;
  const retries = outcomes.filter((outcome) => outcome.kind === "retry");
  if (retries.length > 0)
    return retries.reduce((soonest, next) => (next.afterMs < soonest.afterMs ? next : soonest));
  const reasons = outcomes.map((outcome) =>
    outcome.kind === "answered" ? outcome.answer.reason : undefined,
  );
  return {
    kind: "refused",
    reason: reasons.find((reason) => reason !== undefined) ?? "every member said no",
  };
}
