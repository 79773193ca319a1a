import { setTimeout as pause } from "node:timers/promises";
import type { OrderView } from "../../src/orchestration/order.ts";
import { isEnd } from "../../src/orchestration/order-state.ts";
import type { Client } from "./client.ts";
import { createCustomer, type Placed } from "./customer.ts";
import { type BookingFault, judgeBookings, leftBeforeCancel, readLiveBookings } from "./ledger.ts";
import type { Network } from "./network.ts";
import type { RoundPlan } from "./plan.ts";
import type { Platform } from "./programs.ts";
import type { Blow, Victim } from "./victims.ts";
import type { Watcher } from "./watcher.ts";

/** What a round needs, and the platform that it leaves running. */
export interface Scene {
  platform: Platform;
  client: Client;
  watcher: Watcher;
  network: Network;
  worldUrl: string;
  recordFile: string;
}

export interface RoundReport {
  round: number;
  victim: Victim;
  /** Blows dealt; 0: this victim can't be hit on this machine, and `skipped` says why. */
  kills: number;
  skipped?: string;
  /** Orders that had been answered when the kill came. */
  acknowledged: number;
  /** Orders that were not answered (cut off, or 503), and how many of them were there all the same. */
  unanswered: number;
  replayed: number;
  /** From the (last) kill, or the end of the trouble, until the platform was ready again. */
  recoveryMs: number;
  /** From SIGKILL of an owner until its orders moved again, for each kill at which it had some. */
  takeoversMs: readonly number[];
  /** From then until every order had ended. */
  settledMs: number;
  ends: Readonly<Record<string, number>>;
  /** Cancelled orders that had left our own kitchen before its staff, cut off from the events, heard of it. */
  wasted: number;
  /** What should not be; each a sentence. */
  wrong: readonly string[];
}

/** An order whose channels are all being passed over waits half a minute for the first of them. */
const silenceMs = 60_000;
const readyTimeoutMs = 120_000;
const ledgerPatienceMs = 8_000;

/** Places orders, strikes in the middle, and follows every order to its end. */
export async function playRound(plan: RoundPlan, scene: Scene): Promise<RoundReport> {
  const customer = createCustomer(scene.client, plan, scene.recordFile);
  const cutOffBefore = scene.client.cutOff.length;
  const placing = customer.placeAll();
  await customer.answers(plan.killAfterAnswers);
  await pause(plan.killAfterMs);
  const acknowledged = customer.answered;
  const striking = strike(plan.blow, scene);
  const asking = customer.askUntil(striking.catch(() => undefined));
  const blows = [await striking];
  await Promise.all([placing, asking]);

  const again = customer.placeAgain();
  if (plan.killAgainAfterMs !== null) {
    await pause(plan.killAgainAfterMs);
    blows.push(await strike(plan.blow, scene));
  }
  const { unanswered, replayed } = await again;
  await customer.cancelAgain();
  const noticed = plan.blow.victim === "rolling" ? scene.client.cutOff.slice(cutOffBefore) : [];

  const readyMs = Date.now();
  const ids = customer.placed.flatMap(({ id }) => (id === null ? [] : [id]));
  await scene.watcher.ended(ids, silenceMs);
  const settledMs = Date.now() - readyMs;
  const { ends, wasted, wrong } = await judge(customer.placed, scene);
  const skipped = blows.find((one) => one.skipped !== undefined)?.skipped;
  return {
    round: plan.round,
    victim: plan.blow.victim,
    kills: blows.filter((one) => one.skipped === undefined).length,
    ...(skipped === undefined ? {} : { skipped }),
    acknowledged,
    unanswered,
    replayed,
    recoveryMs: blows.at(-1)!.recoveryMs,
    takeoversMs: blows.flatMap(({ takeoverMs }) => takeoverMs ?? []),
    settledMs,
    ends,
    wasted,
    wrong: [...customer.wrong, ...wrong, ...noticed.map((what) => `a rolling restart cut off ${what}`)],
  };
}

/** Hits, and waits until every process says that it is ready. */
async function strike(blow: Blow, { platform, client }: Scene) {
  const struck = await platform.strike(blow);
  const { recoversFromMs } = struck;
  for (const endMs = Date.now() + readyTimeoutMs; ; await pause(20)) {
    const answers = await client.each("/health/ready");
    if (answers.every((answer) => answer?.status === 200))
      return { ...struck, recoveryMs: Date.now() - recoversFromMs };
    if (Date.now() > endMs) throw new Error(`not ready ${readyTimeoutMs} ms after ${blow.victim} was hit`);
  }
}

/** Holds every order's end, as the API shows it, against what the customer was told, the stream said and the channels hold. */
async function judge(placed: readonly Placed[], scene: Scene) {
  const { client, watcher } = scene;
  const wrong: string[] = [];
  const ends: Record<string, number> = {};
  const orders: OrderView[] = [];
  for (const one of placed.filter(({ id }) => id !== null)) {
    const order = await client.must<OrderView>("GET", `/v1/orders/${one.id}`);
    orders.push(order);
    const end = order.status === "failed" ? `failed (${order.reason?.code})` : order.status;
    ends[end] = (ends[end] ?? 0) + 1;
    wrong.push(...judgeOrder(one, order, watcher));
  }
  const faults = await settledFaults(orders, scene);
  wrong.push(...faults.filter((fault) => !fault.wasted).map((fault) => fault.what));
  return { ends, wasted: faults.filter((fault) => fault.wasted).length, wrong };
}

/** What the channels hold is a moment behind: withdrawals are under way, and our own staff hears over the event stream. */
async function settledFaults(
  orders: readonly OrderView[],
  { network, worldUrl }: Scene,
): Promise<readonly BookingFault[]> {
  for (const endMs = Date.now() + ledgerPatienceMs; ; await pause(500)) {
    const live = await readLiveBookings(worldUrl);
    const faults = orders.flatMap((order) => judgeBookings(order, live, network.isOurs) ?? []);
    if (faults.length === 0 || Date.now() > endMs) return faults;
  }
}

function judgeOrder(one: Placed, order: OrderView, watcher: Watcher): string[] {
  const wrong: string[] = [];
  const heard = watcher.heard(order.id);
  const tooLate = leftBeforeCancel(order) && one.cancel === "accepted";
  if (!isEnd(order.status)) wrong.push(`${order.id} has not ended: ${order.status}`);
  if (heard?.version !== order.version || heard.status !== order.status) {
    wrong.push(
      `${order.id} is ${order.status} at version ${order.version}; the stream said ${heard?.status} at ${heard?.version}`,
    );
  }
  if (one.unfulfillable && order.status !== "failed") {
    wrong.push(`${order.id} was answered 409 and is ${order.status}`);
  }
  if (one.cancel === "accepted" && order.status !== "cancelled" && !tooLate) {
    wrong.push(`${order.id} was to be cancelled and is ${order.status}`);
  }
  if (order.status === "cancelled" && one.cancel !== "accepted") {
    wrong.push(`${order.id} is cancelled and nobody was told so`);
  }
  return wrong;
}
