import type { OrchestrationApi } from "../orchestration/api.ts";
import type { OrderView, PersonalData } from "../orchestration/order.ts";
import { type Batcher, createBatcher } from "../platform/batcher.ts";
import { UoopError } from "../platform/errors.ts";
import { isId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { ReadModel } from "../read-model/api.ts";
import { visibleTo } from "./auth.ts";
import type { Principal } from "./keys.ts";

interface Found {
  clientId: string;
  order: OrderView;
}

export interface OrderReads {
  /**
   * The order as this caller may see it, never older than what this process told anyone of it. Throws
   * `order_not_found`, also for another client's order.
   */
  find(id: string, principal: Principal): Promise<OrderView>;
  personalOf(id: string): Promise<PersonalData | null>;
}

/** Reads that are under way at once are one statement; more than this are waiting: 503. */
const maxQueuedReads = 20_000;

/**
 * Order reads: from the read model; where that has nothing or lags behind what clients were told, from the truth.
 * Requests that arrive while a read is under way share the next statement.
 */
export function createOrderReads(deps: {
  orchestration: OrchestrationApi;
  readModel: ReadModel;
  log: Log;
}): OrderReads {
  const { orchestration, readModel, log } = deps;
  const views = inBatches((ids) => readModel.get(ids));
  const truth = inBatches((ids) => orchestration.read(ids));
  const contacts = inBatches((ids) => orchestration.contacts(ids));

  async function viewOf(id: string): Promise<Found | null> {
    return views.submit(id).catch((error: unknown) => {
      log.warn({ error }, "the read model did not answer; the truth is read");
      return null;
    });
  }

  return {
    async find(id, principal) {
      if (!isId("ord", id)) throw notFound(id);
      const seen = await viewOf(id);
      const told = orchestration.toldVersion(id);
      const fresh = seen !== null && (told === undefined || seen.order.version >= told);
      const found = fresh ? seen : await truth.submit(id);
      const clientId = visibleTo(principal);
      if (found === null || (clientId !== null && found.clientId !== clientId)) throw notFound(id);
      return found.order;
    },
    personalOf: (id) => contacts.submit(id),
  };
}

const inBatches = <T>(run: (ids: readonly string[]) => Promise<readonly T[]>): Batcher<string, T> =>
  createBatcher<string, T>({ run, maxBatchItems: 500, maxRuns: 2, maxQueuedItems: maxQueuedReads });

export const notFound = (id: string): UoopError =>
  new UoopError("order_not_found", `There is no order ${id.slice(0, 64)} that this key may see.`);
