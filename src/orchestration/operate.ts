import { digest } from "../platform/ids.ts";
import type { OperatorRequest, OrderRefusal } from "./api.ts";
import type { Carried } from "./carried.ts";
import type { RoutedFor } from "./decide.ts";
import { decideOperate } from "./decide-operate.ts";
import { type Decided, type IntentDependencies, intend, rulesOf } from "./intents.ts";

/** Operators' actions: intents as cancels are, with the operator's reason in the audit trail. In input order. */
export async function operateOrders(
  requests: readonly OperatorRequest[],
  dependencies: IntentDependencies & { route(orders: readonly Carried[]): readonly RoutedFor[] },
): Promise<readonly (OrderRefusal | { kind: "begun"; order: Carried })[]> {
  const { clock, route } = dependencies;
  const decide = (order: Carried | null, index: number): Decided<OrderRefusal | null> => {
    const { id, action, note, key, by } = requests[index]!;
    const { lost = false } = requests[index]!;
    if (!order) {
      return { answer: { kind: "refused", code: "order_not_found", detail: `There is no order ${id}.` } };
    }
    const operated = decideOperate(order, action, {
      note,
      lost,
      act: key === null ? null : digest(`${action}\n${key}`),
      nowMs: clock.nowMs(),
      rules: rulesOf(order, dependencies),
      elsewhere: (passing) => route([passing])[0]!,
    });
    switch (operated.kind) {
      case "as_is":
        return { answer: null };
      case "refuse":
        return { answer: { kind: "refused", code: operated.code, detail: operated.detail } };
      case "apply":
        return { write: { decision: operated.decision, by }, answer: null };
    }
  };
  const results = await intend(
    requests.map(({ id }) => id),
    decide,
    dependencies,
  );
  return results.map(({ answer, order }) => answer ?? { kind: "begun", order: order! });
}
