import type { CallbackKind } from "../../orchestration/api.ts";
import { type Clock, toIso } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Entry } from "./judge.ts";
import type { Ledger } from "./ledger.ts";
import { pick } from "./random.ts";
import type { Reporter } from "./reporter.ts";
import type { KnownChannel, Settings } from "./settings.ts";

/** Kitchens, pickers and couriers: carries each booking from stage to stage and reports each, in order. */
export interface Cooking {
  /** Goes on with the booking where it is; nothing happens when it is being worked on, over, or not to be cooked. */
  begin(entry: Entry): void;
  /** Begins with the first stage at once; resolves when it is reported (or has not got through for a second). */
  beginEarly(entry: Entry): Promise<void>;
  /** Goes on with everything unfinished of this channel (it has become known, or was told to cook). */
  resume(channelId: string): void;
  readonly underWay: number;
  close(): void;
}

const stages = [
  { kind: "preparing", after: "prepMs" },
  { kind: "ready", after: "readyMs" },
  { kind: "dispatched", after: "dispatchMs" },
  { kind: "delivered", after: "deliverMs" },
] as const satisfies readonly { kind: CallbackKind; after: keyof Behaviour }[];

const earlyWaitMs = 1_000;

export function createCooking(world: {
  clock: Clock;
  log: Log;
  settings: Settings;
  ledger: Ledger;
  reporter: Reporter;
}): Cooking {
  const { clock, ledger, reporter, settings } = world;
  const working = new Set<Entry>();
  let closed = false;

  const cooks = (entry: Entry): KnownChannel | undefined => {
    const channel = settings.channel(entry.channelId);
    return channel?.behaviourOf(entry.partner).callbacks === "on" ? channel : undefined;
  };

  const hasMore = (entry: Entry): boolean =>
    !entry.over && (entry.state === "booked" || entry.stage === "refused");

  /** Waits for the next stage to happen, and then works on it. */
  function plan(entry: Entry, channel: KnownChannel): void {
    const next = nextStage(entry);
    const waitMs = next ? pick(channel.random, channel.behaviourOf(entry.partner)[next.after]) : 0;
    clock.after(waitMs, () => void work(entry));
  }

  async function work(entry: Entry): Promise<void> {
    const channel = cooks(entry);
    if (closed || !channel || !hasMore(entry)) return void working.delete(entry);
    try {
      const goesOn = await step(entry, channel);
      if (goesOn && hasMore(entry)) return plan(entry, channel);
    } catch (error) {
      world.log.error({ err: error, key: entry.key }, "a booking can't be carried on");
    }
    working.delete(entry);
  }

  /** Lets the next stage happen (unless one is still to be reported) and reports it. Answers whether to go on. */
  async function step(entry: Entry, channel: KnownChannel): Promise<boolean> {
    const next = nextStage(entry);
    if (next) {
      const kind = whatHappens(entry, channel, next.kind);
      const state = kind === "refused" ? { state: "refused" as const, reason: "given_back" } : {};
      await ledger.write(entry, entry.key, { stage: kind, ...state });
    }
    const kind = entry.stage!;
    const reason = kind === "refused" ? { reason: "given_back" } : {};
    const told = await reporter.tell({
      channelId: entry.channelId,
      attemptKey: entry.key,
      kind,
      at: entry.at || toIso(clock.nowMs()),
      ...reason,
    });
    if (told.kind === "given_up") return false;
    // A signature that does not verify may be put right (PUT /control/channels); nothing else that is final will.
    if (told.kind === "final" && (told.status === 401 || told.status === 0)) return false;
    const isEnd = kind === "delivered" || kind === "undelivered" || kind === "refused";
    const over = told.kind === "final" || isEnd;
    await ledger.write(entry, entry.key, { told: kind, ...(over ? { over } : {}) });
    return !over;
  }

  function begin(entry: Entry): void {
    const channel = cooks(entry);
    if (closed || !channel || working.has(entry) || !hasMore(entry)) return;
    working.add(entry);
    plan(entry, channel);
  }

  return {
    begin,
    async beginEarly(entry) {
      if (closed || !cooks(entry) || working.has(entry) || !hasMore(entry)) return;
      working.add(entry);
      await Promise.race([
        work(entry),
        new Promise<void>((resolve) => void clock.after(earlyWaitMs, resolve)),
      ]);
    },
    resume(channelId) {
      for (const entry of ledger.all()) if (entry.channelId === channelId) begin(entry);
    },
    get underWay() {
      return working.size;
    },
    close() {
      closed = true;
    },
  };
}

/** The stage that comes next; undefined while the last one is still to be reported, and at the end. */
function nextStage(entry: Entry): (typeof stages)[number] | undefined {
  if (entry.stage !== entry.told) return undefined;
  return stages[stages.findIndex((stage) => stage.kind === entry.stage) + 1];
}

function whatHappens(entry: Entry, channel: KnownChannel, next: CallbackKind): CallbackKind {
  if (givesBack(entry, channel)) return "refused";
  const { doorShutRate } = channel.behaviourOf(entry.partner);
  return next === "delivered" && doorShutRate > 0 && channel.random() < doorShutRate ? "undelivered" : next;
}

/** Three chances before it leaves; together they make the rate. */
function givesBack(entry: Entry, channel: KnownChannel): boolean {
  const rate = channel.behaviourOf(entry.partner).giveBackRate;
  const beforeLeaving = entry.stage === undefined || entry.stage === "preparing" || entry.stage === "ready";
  return beforeLeaving && channel.random() < 1 - (1 - rate) ** (1 / 3);
}
