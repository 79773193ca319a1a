import type { StockChange } from "../../src/capacity/api.ts";
import type { CallbackKind } from "../../src/orchestration/api.ts";
import { attemptKey } from "../../src/orchestration/carried.ts";
import type { OrderView } from "../../src/orchestration/order.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import { busyMs, by, laterWindow, skus, submissionOf } from "./scene.ts";
import type { Schedule } from "./schedule.ts";

export interface CustomersWorld {
  seed: number;
  schedule: Schedule;
  random: Random;
  serving(): readonly Process[];
  note(what: string): void;
  /** The platform told somebody what can't be. */
  broken(what: string): void;
}

/** Everybody who asks the platform for something, and asks again until there is an answer: clients, kitchens, partners. */
export class Customers {
  readonly #world: CustomersWorld;
  /** What clients were told: the newest version of each order. */
  readonly #told = new Map<string, OrderView>();
  /** The order that each key made. */
  readonly #orderOf = new Map<string, string>();
  /** Orders that an operator forced or moved: then the operator answers for it that the channel that had it will not fulfil it. */
  readonly answeredFor = new Set<string>();
  #gone = false;
  /** Questions that are not answered yet. */
  #asking = 0;

  constructor(world: CustomersWorld) {
    this.#world = world;
  }

  get asking(): number {
    return this.#asking;
  }

  /** Nobody asks any more. */
  leave(): void {
    this.#gone = true;
  }

  /** So many of them come, each with an order. */
  come(customers: number): void {
    for (let number = 0; number < customers; number += 1) {
      const key = `key-${number}`;
      this.#world.schedule.in(this.#world.random.between(0, busyMs * 0.8), () => this.#order(key));
      // The same client sends it twice, to whichever processes.
      if (this.#world.random.chance(0.2))
        this.#world.schedule.in(this.#world.random.between(0, busyMs), () => this.#order(key));
    }
  }

  /** A store's first stock; now and then somebody brings some, or counts what is there. */
  async fill({ capacity }: Process["app"], id: string): Promise<void> {
    const { random, schedule } = this.#world;
    const items = skus.map((sku) => ({ sku, quantity: random.between(0, 6), safety: random.between(0, 1) }));
    await capacity.putStock(id, items, { key: null, whenReserved: "refuse" }, by);
    for (let time = random.between(0, 3); time > 0; time -= 1) {
      const sku = random.pick(skus);
      const change = random.pick([
        { sku, adjust: random.between(1, 4) },
        { sku, quantity: random.between(0, 4) },
      ]);
      schedule.in(random.between(0, busyMs), () => this.#restock(id, change, `${id}-${time}`));
    }
  }

  #restock(id: string, change: StockChange, key: string): void {
    const options = { key: "adjust" in change ? key : null, whenReserved: "keep" as const };
    this.#ask(
      `stock ${JSON.stringify(change)}`,
      ({ app }) => app.capacity.putStock(id, [change], options, by),
      () => undefined,
    );
  }

  /** Sends the order until it is answered; clients give up waiting after a while and ask again with the same key. */
  #order(key: string): void {
    this.#ask(
      `order ${key}`,
      async ({ app }) => {
        const [result] = await app.orchestration.submit([submissionOf(key, this.#world.seed)], {
          waitMs: 2_000,
        });
        if (result?.kind === "refused" && (result.code === "unavailable" || result.code === "overloaded"))
          return null;
        if (result?.kind === "refused")
          this.#world.broken(`${key} was refused: ${result.code} ${result.detail}`);
        return result ?? null;
      },
      (result) => {
        if (result.kind !== "order") return;
        this.#hear(key, result.order);
        const { id } = result.order;
        if ((this.#orderOf.get(key) ?? id) !== id)
          this.#world.broken(`I6: ${key} made ${this.#orderOf.get(key)} and ${id}`);
        this.#orderOf.set(key, id);
        if (this.#world.random.chance(0.2))
          this.#world.schedule.in(this.#world.random.between(0, 6_000), () => this.#change(id));
        if (this.#world.random.chance(0.1))
          this.#world.schedule.in(this.#world.random.between(0, 6_000), () => this.#operate(id));
        if (this.#world.random.chance(0.25))
          this.#world.schedule.in(this.#world.random.between(0, 6_000), () => this.#cancel(id));
        this.#cook(result.order);
      },
    );
  }

  #cancel(id: string): void {
    this.#ask(
      `cancel ${id}`,
      async ({ app }) =>
        (await app.orchestration.cancel([{ id, clientId: null, by }], { waitMs: 1_000 }))[0] ?? null,
      (result) => {
        if (result.kind === "order") this.#hear(`cancel of ${id}`, result.order);
      },
    );
  }

  /** More or fewer meals, another place or a later window: in place, or by a move to another channel. */
  #change(id: string): void {
    const { random } = this.#world;
    const items = [{ sku: random.pick(skus), quantity: random.between(1, 4), unitPriceMinor: 4_500 }];
    const change = random.pick([
      { items },
      { location: { lat: 25.09, lng: 55.15 } },
      { window: laterWindow, items },
    ]);
    const request = { id, clientId: null, expectedVersion: null, change, by };
    this.#ask(
      `change ${id}`,
      async ({ app }) => (await app.orchestration.change([request], { waitMs: 1_000 }))[0] ?? null,
      (result) => {
        if (result.kind === "order") this.#hear(`change of ${id}`, result.order);
      },
    );
  }

  #operate(id: string): void {
    const action = this.#world.random.pick(["reroute", "retry", "force_cancel"] as const);
    if (action !== "retry") this.answeredFor.add(id);
    const request = {
      id,
      action,
      note: "because",
      key: `${id}-${action}`,
      by: { actor: "operator:key_1", source: null },
    };
    this.#ask(
      `${action} ${id}`,
      async ({ app }) => (await app.orchestration.operate([request], { waitMs: 1_000 }))[0] ?? null,
      (result) => {
        if (result.kind === "order") this.#hear(`${action} of ${id}`, result.order);
      },
    );
  }

  /** Kitchens report like partners do; some only in part. */
  #cook({ id, legs }: OrderView): void {
    const [leg] = legs;
    if (leg?.channel.type !== "internal_kitchen" && leg?.channel.type !== "dark_store") return;
    const key = attemptKey(id, leg.leg, leg.attempt);
    let afterMs = 0;
    for (const kind of ["preparing", "ready", "dispatched", "delivered"] as const) {
      afterMs += this.#world.random.between(0, 2_000);
      if (this.#world.random.chance(0.1)) return;
      this.#world.schedule.in(afterMs, () => this.report(leg.channel.id, key, kind, `${key}-${kind}`));
    }
  }

  #hear(what: string, view: OrderView): void {
    this.#world.note(`the client hears of ${what}: ${view.id} is ${view.status}, version ${view.version}`);
    const before = this.#told.get(view.id);
    if (!before || before.version < view.version) this.#told.set(view.id, view);
  }

  report(channelId: string, attemptKey: string, kind: CallbackKind, callbackId: string): void {
    this.#ask(
      `report ${callbackId}`,
      async ({ app }) => {
        const at = new Date(this.#world.schedule.nowMs).toISOString();
        const report = { channelId, callbackId, attemptKey, kind, at, by };
        return (await app.orchestration.callbacks([report]))[0] ?? null;
      },
      (result) => {
        if (result.kind === "refused")
          this.#world.broken(`the report ${callbackId} was refused: ${result.detail}`);
      },
    );
  }

  /** Asks any process, and another one when no answer comes; `null` is "try again". */
  #ask<T>(what: string, request: (process: Process) => Promise<T | null>, heard: (answer: T) => void): void {
    if (this.#gone) return;
    let open = true;
    this.#asking += 1;
    const close = () => {
      open = false;
      this.#asking -= 1;
    };
    const again = (why: string) => {
      if (!open) return;
      close();
      this.#world.note(`${what}: ${why}, again`);
      this.#world.schedule.in(this.#world.random.between(50, 500), () => this.#ask(what, request, heard));
    };
    const serving = this.#world.serving();
    if (serving.length === 0) {
      again("nobody serves");
      return;
    }
    const process = this.#world.random.pick(serving);
    const give = (answer: T | null) =>
      this.#world.schedule.in(this.#world.random.between(0, 20), () => {
        // The way back, too, may be cut, and the process may have died after it answered.
        if (!open || process.dead) return;
        if (answer === null) return again("not now");
        close();
        heard(answer);
      });
    request(process).then(give, (error: Error) => again(error.message));
    this.#world.schedule.in(5_000, () => again("no answer"));
  }

  /** Compares what they were told with the orders as they are in the end: id and version. */
  judge(versions: ReadonlyMap<string, number>): void {
    for (const [id, { version }] of this.#told) {
      const stored = versions.get(id);
      if (stored === undefined) this.#world.broken(`I1: ${id} was acknowledged and is not there`);
      else if (stored < version)
        this.#world.broken(`I1: ${id} was told at version ${version} and is at ${stored}`);
    }
  }
}
