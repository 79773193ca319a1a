import type { Carried, Decision } from "./carried.ts";
import type { PersonalData } from "./order.ts";

/** What order_contacts holds of an order: all that is personal. `next` waits for a move; `complaints`: what was said in each. */
export type StoredPersonal = PersonalData & { next?: PersonalData; complaints?: Record<string, string> };

/**
 * What changes of what was asked. Personal data that waits for a move is kept beside that which holds, and goes when the move is
 * over, however it ended.
 */
export function newDoc(order: Carried, decision: Decision, i: number): object[] {
  const { doc, nextPersonal } = decision;
  const texts = decision.complaintTexts ?? order.complaintTexts;
  const became = decision.granted ?? decision.base;
  const isOver = order.nextPersonal !== undefined && became !== null && became.saga.move === undefined;
  const personal = decision.personal === undefined && isOver ? order.personal : decision.personal;
  const isSaid = decision.complaintTexts !== undefined;
  if (doc === undefined && personal === undefined && nextPersonal === undefined && !isSaid) return [];
  const holds = personal === undefined ? order.personal : personal;
  const isNew = nextPersonal !== undefined || personal !== undefined || isSaid;
  const next = nextPersonal ?? (isSaid ? order.nextPersonal : undefined);
  const contact = { ...holds, ...(next ? { next } : {}), ...(texts ? { complaints: texts } : {}) };
  return [
    {
      i,
      ...(doc === undefined ? {} : { doc: JSON.stringify(doc) }),
      ...(isNew ? { contact: JSON.stringify(contact) } : {}),
    },
  ];
}
