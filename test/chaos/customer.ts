import { appendFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { Acknowledgement } from "../../src/check/acknowledged.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import type { Problem } from "../../src/platform/errors.ts";
import type { Client } from "./client.ts";
import type { PlannedOrder, RoundPlan } from "./plan.ts";

/** One order as its customer knows it. */
export interface Placed {
  planned: PlannedOrder;
  /** Its id, once an answer has told it. */
  id: string | null;
  /** Whether the answer said that the order could not be fulfilled. */
  unfulfillable: boolean;
  /** Its last answer's HTTP status; null: none came. */
  lastStatus: number | null;
  /** `accepted`: the platform said that the order is being or has been cancelled, so it must end so. */
  cancel: "none" | "unanswered" | "accepted" | "too_late";
}

/** Places orders, writes down every answer, and asks again where none came. What is wrong with an answer goes to `wrong`. */
export interface Customer {
  readonly placed: readonly Placed[];
  readonly wrong: readonly string[];
  /** Orders that have been answered so far. */
  readonly answered: number;
  /** Resolves when so many orders are answered, or all requests have come to their end. */
  answers(count: number): Promise<void>;
  /** All orders of the plan at once; resolves when each request was answered or cut off. */
  placeAll(): Promise<void>;
  /**
   * Everything again with the same keys: an answered order must be the same one. Resolves with how many of those that
   * had not been answered were there all the same.
   */
  placeAgain(): Promise<{ unanswered: number; replayed: number }>;
  /** Goes on placing what was answered, with the same keys, and reading it, until then: somebody is always asking. */
  askUntil(end: Promise<unknown>): Promise<void>;
  /** Cancels again what was not answered. */
  cancelAgain(): Promise<void>;
}

const batchOrders = 10;
/** A platform that is up but not quite there answers 503; then it is asked again, for so long. */
const patienceMs = 60_000;
const againAfterMs = 200;

type Result = {
  status: number;
  order?: OrderView;
  problem?: Problem & { order?: OrderView };
  replayed?: boolean;
};

export function createCustomer(client: Client, plan: RoundPlan, recordFile: string): Customer {
  const placed = plan.orders.map(
    (planned): Placed => ({ planned, id: null, unfulfillable: false, lastStatus: null, cancel: "none" }),
  );
  const wrong: string[] = [];
  const waiting = new Set<() => void>();
  const cancels: Promise<void>[] = [];
  let answered = 0;
  let settled = false;

  function note(one: Placed, result: Result): void {
    const order = result.order ?? result.problem?.order;
    record(recordFile, one, result.status, order);
    if (![200, 201, 202, 409].includes(result.status) || !order) {
      if (result.status !== 503)
        wrong.push(`${one.planned.key} was answered ${result.status} ${JSON.stringify(result.problem)}`);
      return;
    }
    if (one.id !== null && one.id !== order.id) wrong.push(`${one.planned.key} is ${one.id} and ${order.id}`);
    if (result.status === 409) one.unfulfillable = true;
    if (one.id !== null) return;
    one.id = order.id;
    answered += 1;
    for (const look of waiting) look();
    const { cancelAfterMs, rerouteAfterMs, changeAfterMs } = one.planned;
    if (cancelAfterMs !== null) cancels.push(pause(cancelAfterMs).then(() => cancel(one)));
    if (changeAfterMs !== null) cancels.push(pause(changeAfterMs).then(() => change(one)));
    if (rerouteAfterMs !== null) cancels.push(pause(rerouteAfterMs).then(() => reroute(one)));
  }

  /** Whatever comes of it: that the order then still has one booking and one end is seen with all others. */
  async function disturb(method: "POST" | "PATCH", path: string, body: object): Promise<void> {
    const answer = await client.send<OrderView & Problem>(method, path, body);
    if (answer !== null && ![200, 202, 409, 503].includes(answer.status))
      wrong.push(`${method} ${path} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  const reroute = (one: Placed) => disturb("POST", `/v1/orders/${one.id}/reroute`, { reason: "chaos" });
  const change = (one: Placed) =>
    disturb("PATCH", `/v1/orders/${one.id}`, { items: [{ sku: "changed", quantity: 4, unitPriceMinor: 1 }] });

  async function cancel(one: Placed): Promise<void> {
    one.cancel = "unanswered";
    const answer = await client.send<OrderView & Problem>("POST", `/v1/orders/${one.id}/cancel`);
    if (answer === null || answer.status === 503) return;
    if (answer.status === 200 || answer.status === 202) one.cancel = "accepted";
    else if (answer.status === 409) one.cancel = "too_late";
    else wrong.push(`cancelling ${one.id} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** Whether the request was answered (a 503 is no answer: nothing was promised). */
  async function place(one: Placed, mode = one.planned.mode): Promise<"new" | "replayed" | null> {
    const headers = { "idempotency-key": one.planned.key, ...preferring(mode) };
    const answer = await client.send<OrderView & Problem>("POST", "/v1/orders", one.planned.body, headers);
    one.lastStatus = answer?.status ?? null;
    if (answer === null) return null;
    const { status, body } = answer;
    note(one, status < 300 ? { status, order: body } : { status, problem: body });
    if (status === 503) return null;
    return answer.replayed ? "replayed" : "new";
  }

  async function placeBatch(some: readonly Placed[], mode: "sync" | "async"): Promise<void> {
    const orders = some.map(({ planned }) => ({ ...planned.body, idempotencyKey: planned.key }));
    const answer = await client.send<{ results: Result[] }>(
      "POST",
      "/v1/orders/batch",
      { orders },
      preferring(mode),
    );
    if (answer === null) return;
    if (answer.status !== 200)
      wrong.push(`a batch was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    else some.forEach((one, index) => void note(one, answer.body.results[index]!));
  }

  async function placeUntilAnswered(one: Placed): Promise<"new" | "replayed" | null> {
    const endMs = Date.now() + patienceMs;
    for (;;) {
      const answer = await place(one, "async");
      if (answer !== null || Date.now() > endMs) return answer;
      await pause(againAfterMs);
    }
  }

  return {
    placed,
    wrong,
    get answered() {
      return answered;
    },
    answers(count) {
      return new Promise((resolve) => {
        const look = () => {
          if (answered < count && !settled) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      });
    },
    async placeAll() {
      const single = placed.filter(({ planned }) => planned.mode !== "batch");
      const batches = chunk(
        placed.filter(({ planned }) => planned.mode === "batch"),
        batchOrders,
      );
      await Promise.all([
        ...single.map((one) => place(one)),
        ...batches.map((some, index) => placeBatch(some, index % 2 === 0 ? "sync" : "async")),
      ]);
      settled = true;
      for (const look of waiting) look();
    },
    async placeAgain() {
      const unanswered = placed.filter((one) => one.id === null);
      const answers = await Promise.all(unanswered.map((one) => placeUntilAnswered(one)));
      const rest = placed.filter((one) => !unanswered.includes(one));
      const again = await Promise.all(rest.map((one) => placeUntilAnswered(one)));
      rest.forEach((one, index) => {
        if (again[index] !== "replayed")
          wrong.push(`${one.planned.key} is ${one.id}, and was not known again: ${again[index]}`);
      });
      for (const one of placed) {
        if (one.id === null)
          wrong.push(`${one.planned.key} never got an order; its last answer: ${one.lastStatus}`);
      }
      return {
        unanswered: unanswered.length,
        replayed: answers.filter((answer) => answer === "replayed").length,
      };
    },
    async askUntil(end) {
      let over = false;
      void end.then(() => {
        over = true;
      });
      for (let turn = 0; !over; turn += 1) {
        const one = placed[turn % placed.length]!;
        if (one.id === null) await pause(1);
        else if (turn % 2 === 0) await place(one, "async");
        else await client.send("GET", `/v1/orders/${one.id}`);
      }
    },
    async cancelAgain() {
      await Promise.all(cancels);
      const endMs = Date.now() + patienceMs;
      for (;;) {
        const open = placed.filter((one) => one.cancel === "unanswered");
        if (open.length === 0) return;
        if (Date.now() > endMs) return void wrong.push(`${open.length} cancels were never answered`);
        await Promise.all(open.map(cancel));
        await pause(againAfterMs);
      }
    },
  };
}

const preferring = (mode: string): Record<string, string> =>
  mode === "async" ? { prefer: "respond-async" } : {};

/** As `uoop check --acknowledged` reads it; written at once, so that it holds whatever happens next. */
function record(file: string, { planned }: Placed, status: number, order: OrderView | undefined): void {
  const line: Acknowledgement = {
    idempotencyKey: planned.key,
    status,
    at: new Date().toISOString(),
    ...(order ? { id: order.id, orderStatus: order.status } : {}),
  };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
}

const chunk = <T>(items: readonly T[], size: number): readonly T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
