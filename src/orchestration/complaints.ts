import { digest, idOfUuid } from "../platform/ids.ts";
import type { ComplaintRequest, OrderRefusal } from "./api.ts";
import { type Carried, type Decision, noUnits } from "./carried.ts";
import { type Decided, type IntentDependencies, intend } from "./intents.ts";
import { change, isInMotion } from "./moves.ts";
import type { Complaint } from "./order.ts";

/** Complaints that an order holds at most: who sends more is a loop, not a customer. */
const maxComplaints = 20;

/** What a complaint makes of an order: a version that adds it, nothing (it is there already), or a refusal. */
type ComplaintDecision =
  | { kind: "apply"; decision: Decision }
  | { kind: "as_is" }
  | { kind: "refuse"; code: "transition_refused" | "order_busy" | "idempotency_key_reused"; detail: string };

/**
 * Pure. The same key, or without one the same words, is the same complaint. It counts against the channel that has the order (of a split
 * one: the leg's that is named, else the first's). What was said goes beside the order's personal data.
 */
function decideComplaint(
  order: Carried,
  { kind, text, leg, key }: Pick<ComplaintRequest, "kind" | "text" | "leg" | "key">,
  nowMs: number,
): ComplaintDecision {
  const { state, complaintTexts = {} } = order;
  const { complaints = [], status } = state;
  const id = complaintId(order.id, key === null ? `words\n${kind}\n${text ?? ""}` : `key\n${key}`);
  const known = complaints.find((one) => one.id === id);
  if (known) {
    if (known.kind === kind && complaintTexts[id] === text) return { kind: "as_is" };
    const detail = "This key was used for another complaint about this order.";
    return { kind: "refuse", code: "idempotency_key_reused", detail };
  }
  if (isInMotion(status)) {
    return { kind: "refuse", code: "order_busy", detail: `The order is ${status}; try again in a moment.` };
  }
  const about = leg === undefined ? state.legs[0] : state.legs.find((one) => one.leg === leg);
  if (!about) {
    const detail = leg === undefined ? "No channel had this order." : `The order has no leg ${leg}.`;
    return { kind: "refuse", code: "transition_refused", detail };
  }
  if (complaints.length >= maxComplaints) {
    const detail = `The order has ${maxComplaints} complaints, which is as many as are kept.`;
    return { kind: "refuse", code: "transition_refused", detail };
  }
  const made: Complaint = { id, kind, at: new Date(nowMs).toISOString(), channelId: about.channel.id };
  const updated = { changed: ["complaints"], complaints: [...complaints, made] };
  const log = { channel: about.channel.id, complaint: kind };
  const base = change(order, [{ to: status, updated, log }], order.saga, nowMs);
  const texts = text === undefined ? {} : { complaintTexts: { ...complaintTexts, [id]: text } };
  return { kind: "apply", decision: { ...noUnits, base, ...texts } };
}

const complaintId = (orderId: string, what: string): string =>
  idOfUuid("cpl", digest(`${orderId}\n${what}`).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"));

/** Complaints: intents as cancels are. In input order. */
export async function complain(
  requests: readonly ComplaintRequest[],
  dependencies: IntentDependencies,
): Promise<readonly (OrderRefusal | { kind: "begun"; order: Carried })[]> {
  const decide = (order: Carried | null, index: number): Decided<OrderRefusal | null> => {
    const { id, clientId, by } = requests[index]!;
    if (!order || (clientId !== null && order.clientId !== clientId))
      return { answer: { kind: "refused", code: "order_not_found", detail: `There is no order ${id}.` } };
    const decided = decideComplaint(order, requests[index]!, dependencies.clock.nowMs());
    switch (decided.kind) {
      case "as_is":
        return { answer: null };
      case "refuse":
        return { answer: { kind: "refused", code: decided.code, detail: decided.detail } };
      case "apply":
        return { write: { decision: decided.decision, by }, answer: null };
    }
  };
  const results = await intend(
    requests.map(({ id }) => id),
    decide,
    dependencies,
  );
  return results.map(({ answer, order }) => answer ?? { kind: "begun", order: order! });
}
