import type { Clock } from "../platform/clock.ts";
import type { OrderView } from "./order.ts";

/** Who waits for an order's answer, and what clients were last told of it. */
export interface Waiters {
  /** The order once `done` holds of it, or as it is after `waitMs`; `latest` is what is known now. */
  wait(latest: OrderView, done: (view: OrderView) => boolean, waitMs: number): Promise<OrderView>;
  /** Tells that an order has become this. */
  note(view: OrderView): void;
  toldVersion(id: string): number | undefined;
}

/** Orders whose told version is remembered; older ones are behind what the read model has passed anyway. */
const maxRemembered = 200_000;

interface Waiter {
  latest: OrderView;
  done: (view: OrderView) => boolean;
  answer: (view: OrderView) => void;
}

export function createWaiters(clock: Clock): Waiters {
  const waiting = new Map<string, Set<Waiter>>();
  const told = new Map<string, number>(); // (an LRUCache of that size takes 20 ms to make)

  return {
    wait(latest, done, waitMs) {
      if (waitMs <= 0 || done(latest)) return Promise.resolve(latest);
      return new Promise((resolve) => {
        const ofOrder = waiting.get(latest.id) ?? new Set();
        waiting.set(latest.id, ofOrder);
        const waiter: Waiter = {
          latest,
          done,
          answer(view) {
            forget();
            ofOrder.delete(waiter);
            if (ofOrder.size === 0) waiting.delete(latest.id);
            resolve(view);
          },
        };
        const forget = clock.after(waitMs, () => waiter.answer(waiter.latest));
        ofOrder.add(waiter);
      });
    },
    note(view) {
      if ((told.get(view.id) ?? 0) < view.version) told.set(view.id, view.version);
      if (told.size > maxRemembered) told.delete(told.keys().next().value!);
      for (const waiter of waiting.get(view.id) ?? []) {
        if (view.version >= waiter.latest.version) waiter.latest = view;
        if (waiter.done(waiter.latest)) waiter.answer(waiter.latest);
      }
    },
    toldVersion: (id) => told.get(id),
  };
}
