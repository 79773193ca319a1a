import { sleep } from "../platform/clock.ts";
import type { CancelResult, ChangeRequest, OrderRefusal } from "./api.ts";
import type { Carried } from "./carried.ts";
import type { RoutedFor } from "./decide.ts";
import { decideChange } from "./decide-change.ts";
import { type Decided, type IntentDependencies, intend } from "./intents.ts";

export interface ChangeDependencies extends IntentDependencies {
  /** Where an order may go: at its own channel alone, with the room that it has there; or anywhere. */
  routeChange(order: Carried, where: "stay" | "anywhere"): RoutedFor;
  isOurs(type: string): boolean;
}

export type ChangeOutcome = OrderRefusal | { kind: "begun"; order: Carried };

/** How often an order that is in motion is looked at again: another process may carry it. */
const againMs = 50;

/** Clients' changes, in input order. One of an order in motion waits for it to be at rest, until `untilMs`. */
export async function changeOrders(
  requests: readonly ChangeRequest[],
  untilMs: number,
  dependencies: ChangeDependencies,
): Promise<readonly ChangeOutcome[]> {
  const { clock } = dependencies;
  const outcomes = new Map<ChangeRequest, ChangeOutcome>();
  for (let open = requests; open.length > 0; ) {
    const answers = await changeOnce(open, dependencies);
    const late = clock.nowMs() + againMs >= untilMs;
    open = open.filter((request, index) => {
      const answer = answers[index]!;
      const again = answer.kind === "refused" && answer.code === "order_busy" && !late;
      if (!again) outcomes.set(request, answer);
      return again;
    });
    if (open.length > 0) await sleep(clock, againMs);
  }
  return requests.map((request) => outcomes.get(request)!);
}

/** A change that was begun and could not be done is a refusal, in the words of the order that stands as it was. */
export function whetherChanged(begun: ChangeOutcome, settled: CancelResult): CancelResult {
  if (begun.kind === "refused" || settled.kind === "refused") return settled;
  const { version, reason } = settled.order;
  const kept = version > begun.order.state.version && reason?.code === "change_refused";
  return kept ? { kind: "refused", code: "change_refused", detail: reason.detail } : settled;
}

async function changeOnce(
  requests: readonly ChangeRequest[],
  dependencies: ChangeDependencies,
): Promise<readonly ChangeOutcome[]> {
  const results = await intend(
    requests.map(({ id }) => id),
    (order, index) => decideOne(order, requests[index]!, dependencies),
    dependencies,
  );
  return results.map(({ answer, order }) => answer ?? { kind: "begun", order: order! });
}

function decideOne(
  order: Carried | null,
  { id, clientId, expectedVersion, change, by }: ChangeRequest,
  { clock, routeChange, isOurs }: ChangeDependencies,
): Decided<OrderRefusal | null> {
  const refuse = (code: OrderRefusal["code"], detail: string) => ({
    answer: { kind: "refused", code, detail } as const,
  });
  if (!order || (clientId !== null && order.clientId !== clientId))
    return refuse("order_not_found", `There is no order ${id}.`);
  const { version } = order.state;
  const conflict = expectedVersion !== null && expectedVersion !== version;
  const changed = decideChange(order, change, { nowMs: clock.nowMs(), route: routeChange, isOurs });
  switch (changed.kind) {
    case "as_is":
      return { answer: null };
    case "busy":
      return refuse("order_busy", `${changed.detail} Try again in a moment.`);
    case "refuse":
      return refuse(changed.code, changed.detail);
    case "apply": {
      if (conflict)
        return refuse("version_conflict", `Order ${id} is at version ${version}, not ${expectedVersion}.`);
      const full = "The room that was found is taken by now. The order stays as it was.";
      return {
        write: { decision: changed.decision, by },
        answer: null,
        ungranted: { kind: "refused", code: "change_refused", detail: full },
      };
    }
  }
}
