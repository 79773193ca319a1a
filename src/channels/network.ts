import type { Channel } from "../capacity/api.ts";
import { type Clock, sleep, toIso } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import type {
  BookingRequest,
  CancelOutcome,
  CancelRequest,
  ChannelAdapter,
  HoldOutcome,
  OfferOutcome,
} from "./api.ts";
import { type Auction, createAuction } from "./auction.ts";
import type { Endpoint } from "./endpoint.ts";
import { settingsOf } from "./http.ts";
import { type CallOutcome, toBookingOutcome, toCancelOutcome } from "./outcome.ts";
import { type AttemptCall, bookCall, cancelCall, holdCall, holdForMs, withdrawCall } from "./protocol.ts";

type Member = NonNullable<Channel["partners"]>[number];

export interface NetworkAdapter extends ChannelAdapter {
  /** Resolves once no withdrawal of a losing offer is under way. */
  drain(): Promise<void>;
}

const withdrawTries = 3;
const withdrawAgainMs = 500;
const unknownMemberRetryMs = 5_000;

/**
 * A partner network: an offer is held at every member at once, the first acceptance wins and the others are withdrawn;
 * once the award is recorded, booking and cancelling go to the awarded member. A withdrawal that does not get through
 * is not chased for long: the hold expires by itself.
 */
export function createNetworkAdapter(
  world: { clock: Clock; log: Log },
  endpointOf: (partner: string) => Endpoint,
): NetworkAdapter {
  const withdrawals = new Set<Promise<void>>();
  let stopped = new AbortController();
  let allBatch = false;

  const ask = (channel: Channel, member: Member, calls: readonly AttemptCall[]) =>
    endpointOf(member.id).ask(settingsOf(channel, member.endpoint), calls);

  async function withdraw(channel: Channel, member: Member, lost: readonly BookingRequest[]): Promise<void> {
    let left = lost;
    for (let tried = 1; left.length > 0 && tried <= withdrawTries; tried += 1) {
      if (tried > 1) await sleep(world.clock, withdrawAgainMs * tried, stopped.signal);
      const calls = left.map((request) =>
        withdrawCall({ channelId: channel.id, partner: member.id }, request),
      );
      const outcomes = await ask(channel, member, calls);
      left = left.filter((_, index) => outcomes[index]?.kind !== "answered");
    }
    if (left.length > 0) {
      world.log.info(
        { channel: channel.id, partner: member.id, offers: left.length },
        "losing offers left to expire",
      );
    }
  }

  const withdrawInBackground = (channel: Channel, lost: ReadonlyMap<Member, readonly BookingRequest[]>) => {
    for (const [member, requests] of lost) {
      const task = withdraw(channel, member, requests).finally(() => withdrawals.delete(task));
      withdrawals.add(task);
    }
  };

  async function holdAt(
    channel: Channel,
    member: Member,
    requests: readonly BookingRequest[],
    auctions: readonly Auction<Member>[],
  ): Promise<void> {
    const to = { channelId: channel.id, partner: member.id };
    const expiresAt = toIso(world.clock.nowMs() + holdForMs);
    const outcomes = await ask(
      channel,
      member,
      requests.map((request) => holdCall(to, request, expiresAt)),
    );
    const lost = new Map<Member, BookingRequest[]>();
    requests.forEach((request, index) => {
      for (const loser of auctions[index]!.bid(member, outcomes[index]!)) {
        lost.set(loser, [...(lost.get(loser) ?? []), request]);
      }
    });
    withdrawInBackground(channel, lost);
  }

  /** At every member at once; the first that keeps room wins. */
  async function offer(
    channel: Channel,
    requests: readonly BookingRequest[],
  ): Promise<readonly OfferOutcome[]> {
    const members = channel.partners ?? [];
    const auctions = requests.map(() => createAuction(members));
    for (const member of members) void holdAt(channel, member, requests, auctions);
    const outcomes = await Promise.all(auctions.map((auction) => auction.outcome));
    allBatch = members.length > 0 && members.every((member) => endpointOf(member.id).batches);
    return outcomes;
  }

  return {
    local: false,
    get batches() {
      return allBatch;
    },
    offer,
    async hold(channel, requests) {
      const offers = await offer(channel, requests);
      return offers.map(
        (one): HoldOutcome => (one.kind === "accepted" ? { kind: "held", partner: one.partner } : one),
      );
    },
    async book(channel, requests) {
      const outcomes = await askAwarded(channel, requests, ask, (member, request) =>
        bookCall({ channelId: channel.id, partner: member.id }, request),
      );
      return outcomes.map(toBookingOutcome);
    },
    async cancel(channel, requests) {
      const members = channel.partners ?? [];
      const cancelAt = (member: Member, request: CancelRequest) =>
        cancelCall({ channelId: channel.id, partner: member.id }, request);
      const awarded = requests.filter((request) => request.partner !== undefined);
      const open = requests.filter((request) => request.partner === undefined);
      const [one, ...every] = await Promise.all([
        askAwarded(channel, awarded, ask, cancelAt),
        ...members.map((member) =>
          ask(
            channel,
            member,
            open.map((request) => cancelAt(member, request)),
          ),
        ),
      ]);
      const answers = new Map<CancelRequest, CancelOutcome>();
      awarded.forEach((request, index) => void answers.set(request, toCancelOutcome(one[index]!)));
      open.forEach((request, index) => {
        answers.set(request, jointCancel(every.map((outcomes) => toCancelOutcome(outcomes[index]!))));
      });
      return requests.map((request) => answers.get(request)!);
    },
    async drain() {
      stopped.abort();
      await Promise.allSettled(withdrawals);
      stopped = new AbortController();
    },
  };
}

/** Asks each request's awarded member, one round per member; outcomes in input order. */
async function askAwarded<Request extends { partner?: string }>(
  channel: Channel,
  requests: readonly Request[],
  ask: (channel: Channel, member: Member, calls: readonly AttemptCall[]) => Promise<readonly CallOutcome[]>,
  toCall: (member: Member, request: Request) => AttemptCall,
): Promise<readonly CallOutcome[]> {
  const outcomes = new Array<CallOutcome>(requests.length);
  const byPartner = Map.groupBy(requests.keys(), (index) => requests[index]!.partner);
  await Promise.all(
    [...byPartner].map(async ([partner, indexes]) => {
      const member = channel.partners?.find((candidate) => candidate.id === partner);
      const answers = member
        ? await ask(
            channel,
            member,
            indexes.map((index) => toCall(member, requests[index]!)),
          )
        : indexes.map(() => memberUnknown(partner));
      indexes.forEach((index, at) => {
        outcomes[index] = answers[at]!;
      });
    }),
  );
  return outcomes;
}

// Not a refusal: an earlier call may have reached the member before it left the network.
const memberUnknown = (partner: string | undefined): CallOutcome => ({
  kind: "retry",
  afterMs: unknownMemberRetryMs,
  detail: partner ? `${partner} is not in the network` : "the order has no award",
});

/** Cancelled when every member says so; what is still open comes before a refusal, as it may change. */
function jointCancel(outcomes: readonly CancelOutcome[]): CancelOutcome {
  const first = (kind: CancelOutcome["kind"]) => outcomes.find((outcome) => outcome.kind === kind);
  return first("unknown") ?? first("retry") ?? first("refused") ?? { kind: "cancelled" };
}
