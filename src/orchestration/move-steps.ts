import type { ChannelAdapter } from "../channels/api.ts";
import { kitchenBookingRef } from "../channels/kitchen.ts";
import { type AttemptRecord, attemptKey, type Carried } from "./carried.ts";
import { decideHeld, decideKept, decideMoved, newAttempt, oldAttempts } from "./decide-move.ts";
import { bookingRequest, cancelAttempt, type Do, type Outcome, perChannel, type World } from "./steps.ts";

/**
 * A confirmed order that is changed and can't stay where it is. At every moment one channel has it for sure, and at no moment do two
 * (I4): the new one keeps room (`hold`), the old booking is cancelled (`leave`), and then the order goes on as any that is reserved.
 */

/** Asks the new channel to keep room. Refused, or without holds: the order stays. */
export const holdNew: Do = (orders, world) =>
  perChannel(orders, world, async (channel, adapter, group) => {
    const answers = await adapter.hold(
      channel,
      group.map((order) => bookingRequest(asMoved(order), world.nowMs())),
    );
    return answers.map((answer, index): Outcome => {
      const order = group[index]!;
      if (answer.kind === "held") return { kind: "done", decision: decideHeld(order, answer.partner) };
      return answer.kind === "refused"
        ? { kind: "done", decision: decideKept(order, `${channel.name}: ${answer.reason}`, world.nowMs()) }
        : answer;
    });
  });

/** Cancels the old booking. Seen cancelled, the order is moved; refused, the new room is given back and the order stays. */
export const leaveOld: Do = (orders, world) => Promise.all(orders.map((order) => leave(order, world)));

async function leave(order: Carried, world: World): Promise<Outcome> {
  for (const attempt of oldAttempts(order)) {
    const answer = await cancelAttempt(order, attempt, world);
    if (answer.kind === "refused") return giveBack(order, answer.detail, world);
    if (answer.kind === "retry")
      return answer.uncertain ? { kind: "unknown", detail: answer.detail } : answer;
  }
  const to = newAttempt(order);
  const ref = adapterOf(to, world)?.local
    ? kitchenBookingRef(attemptKey(order.id, to.leg, to.attempt))
    : null;
  return { kind: "done", decision: decideMoved(order, ref, world.nowMs()) };
}

/** The new channel did not answer, or the old one can't be reached and was surely not cancelled: the order stays. */
export const withdrawNew: Do = (orders, world) =>
  Promise.all(orders.map((order) => giveBack(order, "A channel that it needs can't be reached.", world)));

async function giveBack(order: Carried, detail: string, world: World): Promise<Outcome> {
  const answer = await cancelAttempt(order, newAttempt(order), world);
  if (answer.kind === "undone") return { kind: "done", decision: decideKept(order, detail, world.nowMs()) };
  return answer.kind === "retry" ? answer : { kind: "retry", afterMs: 1_000, detail: answer.detail };
}

const adapterOf = ({ channelId }: AttemptRecord, world: World): ChannelAdapter | undefined => {
  const channel = world.channel(channelId);
  return channel && world.adapterFor(channel);
};

/** The order as it is once it is moved: what the new channel is asked for. */
function asMoved(order: Carried): Carried {
  const { doc, leg } = order.saga.move!;
  return { ...order, doc, state: { ...order.state, legs: [leg] } };
}
