import type { Channel } from "../capacity/api.ts";
import type { ChannelAdapter, ChannelLedger } from "../channels/api.ts";
import type { OrchestrationApi } from "../orchestration/api.ts";
import type { Clock } from "../platform/clock.ts";
import type { Ids } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { repeatEvery } from "../platform/repeat.ts";
import type { Service } from "../platform/service.ts";
import { compare, type Difference, type OurAttempt, type TheirBooking } from "./compare.ts";
import type { Address, Place, ReconciliationStore } from "./store.ts";

export interface ReconcilerDependencies {
  store: ReconciliationStore;
  clock: Clock;
  ids: Ids;
  log: Log;
  metrics: Metrics;
  /** How often each address is looked at; 0: never. */
  everySeconds: number;
  channels: {
    adapterFor(channel: Channel): ChannelAdapter;
    /** What can be asked after its bookings; none of our own kitchens. */
    ledgersOf(channel: Channel): readonly ChannelLedger[];
  };
  known(): readonly Channel[];
  orchestration: Pick<OrchestrationApi, "callbacks">;
}

const lookEveryMs = 1_000;
const maxAddressesAtOnce = 4;
/** Of a channel's list in one round at most; the next round goes on from there. */
const pageEntries = 200;
const maxPages = 5;
/** Of our bookings in one round, each asked after by itself. */
const maxAsked = 50;
const askedAtOnce = 8;

const by = { actor: "reconciler", source: null };

/**
 * Compares the bookings that channels have with ours, address by address, a bounded part each round: what a channel lists with what we
 * made of it, and what we count on with what the channel says of it. A booking that we gave up is cancelled, one that the channel gave
 * up sends its order on; the rest is shown.
 */
export function createReconciler(dependencies: ReconcilerDependencies): Service {
  const { clock, log, store, metrics, everySeconds } = dependencies;
  let stop = (): void => undefined;

  async function look(): Promise<void> {
    const ledgers = new Map(
      dependencies
        .known()
        .flatMap((channel) =>
          dependencies.channels
            .ledgersOf(channel)
            .map((ledger) => [addressOf(channel, ledger), { channel, ledger }] as const),
        )
        .map(([address, both]) => [nameOf(address), { address, ...both }] as const),
    );
    if (ledgers.size === 0) return;
    const known = [...ledgers.values()].map(({ address }) => address);
    const due = await store.claim(known, everySeconds, maxAddressesAtOnce);
    await Promise.all(
      due.map((place) => {
        const { channel, ledger } = ledgers.get(nameOf(place))!;
        return reconcile(place, channel, ledger, dependencies);
      }),
    );
    if (due.length > 0) metrics.openDifferences.set(await store.open());
  }

  return {
    name: "reconciler",
    async start() {
      if (everySeconds === 0) return;
      stop = repeatEvery(clock, lookEveryMs, look, (error) =>
        log.warn({ error }, "bookings could not be compared; trying again"),
      );
    },
    async stop() {
      stop();
    },
  };
}

const addressOf = (channel: Channel, { partner = "" }: ChannelLedger): Address => ({
  channelId: channel.id,
  partner,
});
const nameOf = ({ channelId, partner }: Address): string => `${channelId}/${partner}`;

async function reconcile(
  place: Place,
  channel: Channel,
  ledger: ChannelLedger,
  dependencies: ReconcilerDependencies,
): Promise<void> {
  const { store } = dependencies;
  let { listCursor } = place;
  for (let pages = 0; pages < maxPages; pages += 1) {
    const page = await ledger.list(listCursor, pageEntries);
    if (page === null) {
      // It has no list, can't be reached now, or does not know this cursor any more.
      listCursor = null;
      break;
    }
    const ours = await store.ours(
      channel.id,
      page.items.map(({ key }) => key),
    );
    await settle(place, channel, ledger, page.items, ours, dependencies);
    listCursor = page.nextCursor;
    if (listCursor === null) break;
  }
  const asked = await store.booked(place, maxAsked);
  const theirs = await ask(ledger, asked);
  // Read again: what was asked about may have moved on meanwhile.
  const ours = await store.ours(
    channel.id,
    theirs.map(({ key }) => key),
  );
  await settle(place, channel, ledger, theirs, ours, dependencies);
  const orderCursor = asked.length < maxAsked ? "" : asked.at(-1)!.orderId;
  await store.save({ ...place, listCursor, orderCursor });
}

async function ask(ledger: ChannelLedger, asked: readonly OurAttempt[]): Promise<readonly TheirBooking[]> {
  const theirs: TheirBooking[] = [];
  for (let from = 0; from < asked.length; from += askedAtOnce) {
    const some = asked.slice(from, from + askedAtOnce);
    const answers = await Promise.all(some.map(({ key }) => ledger.status(key)));
    if (answers.every((answer) => answer === null)) break;
    theirs.push(...answers.filter((answer) => answer !== null));
  }
  return theirs;
}

/** Compares, puts right what can be, and notes what was found and what is there no more. */
async function settle(
  place: Place,
  channel: Channel,
  ledger: ChannelLedger,
  theirs: readonly TheirBooking[],
  ours: ReadonlyMap<string, OurAttempt>,
  dependencies: ReconcilerDependencies,
): Promise<void> {
  const { store, ids, clock, log, metrics } = dependencies;
  metrics.bookingsCompared.inc({ channel: channel.id }, theirs.length);
  const differences = theirs.flatMap((their) => compare(their, ours.get(their.key), ledger.partner) ?? []);
  const found = await Promise.all(
    differences.map(async (difference) => {
      const wrong = await repair(difference, channel, ledger, dependencies);
      const settled = wrong === null;
      metrics.differences.inc({ kind: difference.kind, repaired: String(settled) });
      log.warn(
        { channel: channel.id, ...difference, settled, wrong },
        "a channel's bookings differ from ours",
      );
      const detail = wrong ? `${difference.detail} ${wrong}` : difference.detail;
      return { ...difference, detail, id: ids.create("dif", clock.nowMs()), settled };
    }),
  );
  const wrongKeys = new Set(differences.map(({ key }) => key));
  const gone = theirs.map(({ key }) => key).filter((key) => !wrongKeys.has(key));
  await store.note(place, found, gone);
}

/** Null: it is right now. Else why it is not. */
async function repair(
  { key, orderId, detail, repair: how }: Difference,
  channel: Channel,
  { partner }: ChannelLedger,
  { channels, orchestration, clock }: ReconcilerDependencies,
): Promise<string | null> {
  if (how === null) return "Nothing is done by itself.";
  // Also before its order goes on: what is thought to be lost may not be there, for sure (I4).
  const request = { key, orderId, ...(partner === undefined ? {} : { partner }) };
  const [cancelled] = await channels.adapterFor(channel).cancel(channel, [request]);
  if (cancelled!.kind === "refused") return `Its cancellation is refused: ${cancelled!.reason}.`;
  if (cancelled!.kind !== "cancelled") return `Its cancellation has no answer: ${cancelled!.detail}.`;
  if (how === "cancel") return null;
  const at = new Date(clock.nowMs()).toISOString();
  const report = { channelId: channel.id, callbackId: `reconciled-${key}`, attemptKey: key, at, by };
  const [answer] = await orchestration.callbacks([{ ...report, kind: "refused", reason: detail }]);
  const done = answer!.kind === "applied" || answer!.kind === "duplicate";
  return done ? null : answer!.detail;
}
