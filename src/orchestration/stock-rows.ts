import { type AttemptChange, type Carried, type Decision, unchanged } from "./carried.ts";
import { stockLeaves } from "./stock.ts";

/** How stock is written with orders (commit-sql.ts). */

interface Write {
  order: Pick<Carried, "id"> & Partial<Pick<Carried, "attempts">>;
  decision: Decision;
}

/** A decision's changes of attempts, with those whose stock leaves the shelf by it. */
export function changesOf({ order, decision }: Write): readonly AttemptChange[] {
  const leaving = order.attempts?.filter((attempt) => stockLeaves(attempt, decision)) ?? [];
  if (leaving.length === 0) return decision.attemptChanges;
  const changes = new Map(decision.attemptChanges.map((change) => [keyOf(change), change]));
  for (const attempt of leaving)
    changes.set(keyOf(attempt), { ...(changes.get(keyOf(attempt)) ?? unchanged(attempt)), used: true });
  return [...changes.values()];
}

const keyOf = ({ leg, attempt }: { leg: number; attempt: number }): string => `${leg}.${attempt}`;

/** What the statements with stock want to know of a batch; null where no order of it has to do with stock. */
export function stockInput(writes: readonly Write[]): string | null {
  const rows: object[] = [];
  let gives = false;
  for (const [i, { order, decision }] of writes.entries()) {
    for (const { leg, attempt, channelId: channel, stock } of decision.takes) {
      if (!stock) continue;
      const [takes, holds] = [JSON.stringify(stock.takes), JSON.stringify(stock.holds)];
      rows.push({ i, leg, attempt, channel, takes, holds });
    }
    if (!order.attempts?.some(({ held, stock }) => held && stock != null)) continue;
    for (const { leg, attempt, used, release } of changesOf({ order, decision })) {
      gives ||= release;
      if (used) rows.push({ i, leg, attempt, used });
    }
  }
  return gives || rows.length > 0 ? JSON.stringify(rows) : null;
}
