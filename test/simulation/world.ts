import { runCheck } from "../../src/check/check.ts";
import { parseAttemptKey } from "../../src/orchestration/carried.ts";
import { isEnd, type OrderStatus } from "../../src/orchestration/order-state.ts";
import { sealOnce } from "../../src/orchestration/sealer.ts";
import { statement } from "../../src/platform/database.ts";
import { Customers } from "./customers.ts";
import type { VirtualDatabase } from "./database.ts";
import { createPartners, type Partners } from "./partners.ts";
import { createProcess, type Process } from "./process.ts";
import { createRandom, type Random } from "./random.ts";
import { busyMs, by, channelOf, hourMs, secondMs, startMs, window } from "./scene.ts";
import { createSchedule, type Schedule } from "./schedule.ts";
import { createWire, fair, type Wire } from "./wire.ts";

export interface SeedResult {
  seed: number;
  /** Nothing: all invariants held. */
  violations: readonly string[];
  /** What happened, line by line, with its virtual time. */
  history: readonly string[];
  orders: number;
  statements: number;
}

/** One world of one seed: processes, partners and customers, faults, and at its end the verdict. */
export async function runSeed(seed: number, database: VirtualDatabase): Promise<SeedResult> {
  await database.empty();
  const world = new World(seed, database);
  try {
    await world.play();
  } catch (error) {
    world.violate(`the simulation broke: ${(error as Error).stack}`);
  }
  return world.result();
}

class World {
  readonly #seed: number;
  readonly #database: VirtualDatabase;
  readonly #random: Random;
  readonly #schedule: Schedule;
  readonly #wire: Wire;
  readonly #partners: Partners;
  readonly #history: string[] = [];
  readonly #violations: string[] = [];
  readonly #customers: Customers;
  #processes: Process[] = [];
  #named = 0;
  #statements = 0;
  #submitted = 0;
  #ending = false;

  constructor(seed: number, database: VirtualDatabase) {
    this.#seed = seed;
    this.#database = database;
    this.#random = createRandom(seed);
    this.#schedule = createSchedule(startMs, this.#random);
    this.#wire = createWire({
      schedule: this.#schedule,
      random: this.#random,
      database,
      onDone: async ({ name }) => {
        this.#statements += 1;
        if (writesOrders.has(name)) await this.#assertAtAllTimes(name);
      },
    });
    const common = {
      schedule: this.#schedule,
      random: this.#random,
      note: (what: string) => this.#note(what),
      broken: (what: string) => this.violate(what),
    };
    this.#customers = new Customers({ ...common, seed, serving: this.#serving });
    this.#partners = createPartners({
      ...common,
      report: (...report) => this.#customers.report(...report),
      answeredFor: this.#customers.answeredFor,
    });
  }

  result(): SeedResult {
    return {
      seed: this.#seed,
      violations: this.#violations,
      history: this.#history,
      orders: this.#submitted,
      statements: this.#statements,
    };
  }

  violate(what: string): void {
    if (!this.#violations.includes(what)) this.#violations.push(what);
    this.#note(`VIOLATION ${what}`);
  }

  #note(what: string): void {
    if (process.env.SIM_TRACE) console.log(what);
    this.#history.push(`${((this.#schedule.nowMs - startMs) / secondMs).toFixed(3).padStart(10)} s  ${what}`);
  }

  async play(): Promise<void> {
    this.#startProcess();
    await this.#until("a process has started", () => this.#serving().length > 0);
    await this.#openChannels();
    this.#startProcess();
    await this.#until("both have started", () => this.#serving().length > 1);
    this.#submitted = this.#random.between(5, 25);
    this.#customers.come(this.#submitted);
    this.#letThingsBreak();
    await this.#schedule.run(startMs + busyMs);
    this.#heal();
    for (let rounds = 0; rounds < 30; rounds += 1) {
      await this.#schedule.run(this.#schedule.nowMs + 2 * secondMs);
      if (rounds >= 4 && (await this.#isCalm())) break;
    }
    // Deadlines come hours later: nothing happens until then, so time jumps, and one process is enough.
    for (const process of this.#serving().slice(1)) process.stop();
    for (const byMs of [6 * hourMs, hourMs]) {
      this.#schedule.jump(byMs);
      this.#note(`${byMs / hourMs} hours later`);
      await this.#schedule.run(this.#schedule.nowMs + 8 * secondMs);
    }
    this.#ending = true;
    this.#customers.leave();
    for (const process of this.#processes) process.kill("at the end");
    await this.#schedule.run(this.#schedule.nowMs);
    await this.#judge();
  }

  /** Nobody is asked anything, no partner is at work, and no order is under way (but those for which there is no room). */
  async #isCalm(): Promise<boolean> {
    if (this.#customers.asking > 0 || this.#partners.working > 0) return false;
    const [row] = await this.#database.database.run<{ moving: boolean }>(
      statement(
        "simulation_moving",
        "select exists (select from orders where status in ('reserved', 'booked', 'cancelling', 'failing')) as moving",
      ),
    );
    return !row!.moving;
  }

  #serving = (): readonly Process[] => this.#processes.filter((one) => one.serving);

  #startProcess(): void {
    this.#named += 1;
    const process = createProcess(`process ${this.#named}`, {
      schedule: this.#schedule,
      random: this.#random,
      wire: this.#wire,
      adapterOf: (caller, channel) => this.#partners.adapterOf(caller, channel),
      ledgerOf: (caller, channel) => this.#partners.ledgerOf(caller, channel),
      note: (what) => this.#note(what),
      wrong: (what) => this.violate(`logged as an error: ${what}`),
    });
    this.#processes.push(process);
    process.start();
    this.#superviseProcess(process);
  }

  /** Whoever is killed is started anew a little later. */
  #superviseProcess(process: Process): void {
    this.#schedule.in(200, () => {
      if (this.#ending || process.stopped) return;
      if (!process.dead) return this.#superviseProcess(process);
      this.#processes = this.#processes.filter((one) => one !== process);
      this.#schedule.in(this.#random.between(0, 4_000), () => this.#startProcess());
    });
  }

  async #until(what: string, done: () => boolean): Promise<void> {
    await this.#schedule.run(this.#schedule.nowMs + 60 * secondMs, done);
    if (!done()) throw new Error(`in a minute not: ${what}`);
  }

  /** Waits for something that the program does in virtual time. */
  async #await<T>(what: string, work: Promise<T>): Promise<T> {
    let outcome: { value: T } | { error: unknown } | undefined;
    work.then(
      (value) => {
        outcome = { value };
      },
      (error: unknown) => {
        outcome = { error };
      },
    );
    await this.#until(what, () => outcome !== undefined);
    if ("error" in outcome!) throw outcome.error;
    return outcome!.value;
  }

  async #openChannels(): Promise<void> {
    const [{ app }] = this.#serving() as [Process];
    const tight = this.#random.chance(0.5);
    for (const type of [
      "internal_kitchen",
      "external_partner",
      "partner_network",
      "external_partner",
      "dark_store",
    ] as const) {
      // Some partners' stock is counted, too: then what they refuse gives it back.
      const counted = this.#random.chance(0.2) ? { tracksStock: true } : {};
      const { channel } = await this.#await(
        "a channel",
        app.capacity.createChannel({ ...channelOf(type), ...counted }, by),
      );
      const capacity = tight ? this.#random.between(1, 8) : 100;
      await this.#await("its slots", app.capacity.putCapacity(channel.id, [{ ...window, capacity }], by));
      if (channel.tracksStock) await this.#await("its stock", this.#customers.fill(app, channel.id));
    }
  }

  #letThingsBreak(): void {
    const random = this.#random;
    const some = (probability: number, most: number) =>
      random.chance(probability) ? random.next() * most : 0;
    this.#wire.weather = {
      lost: some(0.5, 0.03),
      answerLost: some(0.5, 0.03),
      killed: some(0.5, 0.01),
      slow: some(0.3, 0.02),
    };
    const often = random.between(0, 4);
    for (let count = 0; count < often; count += 1) {
      this.#schedule.in(random.between(0, busyMs), () => {
        if (this.#processes.length === 0) return;
        const victim = random.pick(this.#processes);
        const forMs = random.between(100, 12_000);
        const what = random.between(0, 2);
        if (what === 0) victim.kill("at random");
        else if (what === 1) victim.freeze(forMs);
        else victim.shiftClock(random.between(-3_000, 3_000));
      });
    }
  }

  #heal(): void {
    this.#note("all is healed");
    this.#wire.weather = fair;
    this.#partners.heal();
  }

  async #assertAtAllTimes(after: string): Promise<void> {
    const broken = await this.#database.database.run<{ what: string; id: string }>(atAllTimes);
    for (const { what, id } of broken) this.violate(`after ${after}: ${what} (${id})`);
  }

  /** Everything is at rest: the whole of `uoop check`, what clients were told, and what partners hold. */
  async #judge(): Promise<void> {
    const { database } = this.#database;
    await sealOnce(database);
    const clock = { nowMs: () => this.#schedule.nowMs, after: () => () => undefined };
    const { findings, notes } = await runCheck({ database, clock, out: () => undefined });
    for (const { invariant, name, violations } of findings)
      for (const { subject, what } of violations) this.violate(`${invariant}: ${name}: ${subject} ${what}`);
    for (const note of notes) this.#note(note);
    const orders = await database.run<{ id: string; status: OrderStatus; version: number }>(
      statement("", "select id, status, version from orders order by id"),
    );
    this.#customers.judge(new Map(orders.map(({ id, version }) => [id, version])));
    for (const { id, status } of orders) this.#judgeOrder(id, status);
    const [left] = await database.run<{ count: number }>(statement("", "select count(*) from outbox"));
    if (left!.count > 0) this.violate(`I5: ${left!.count} rows were never published`);
  }

  #judgeOrder(id: string, status: OrderStatus): void {
    const own = this.#partners.live().filter(({ key }) => parseAttemptKey(key)!.orderId === id);
    const tooLate = status === "stuck" && own.length > 0;
    if (!isEnd(status) && !tooLate) this.violate(`I1: ${id} has not ended: ${status}`);
    if (this.#customers.answeredFor.has(id)) return;
    if ((status === "failed" || status === "cancelled") && own.length > 0)
      this.violate(`I3: ${id} is ${status} and ${own[0]!.key} stands at its channel`);
    if (own.some(({ delivered }) => delivered) && status !== "delivered" && !tooLate)
      this.violate(`${id} was delivered and reported, and is ${status}`);
  }
}

const writesOrders = new Set([
  "orders_insert",
  "orders_insert_with_stock",
  "orders_advance",
  "orders_advance_with_stock",
  "owners_move_orders",
]);

const atAllTimes = statement(
  "simulation_at_all_times",
  `select 'I1: neither owner nor deadline' as what, id from orders
     where status not in ('delivered', 'undelivered', 'cancelled', 'failed') and owner_id is null and deadline_at is null
   union all select 'I2: reserved is not the sum of what is held', a.slot_id from allotments a
     where reserved <> (select coalesce(sum(units), 0) from attempts t where t.slot_id = a.slot_id and held)
   union all select 'I2: oversold', slot_id from allotments where reserved > sellable + overcommitted
   union all select 'I2: reserved stock is not the sum of what is held', sku from stock s
     where reserved <> (select coalesce(sum(l.quantity), 0) from attempts t cross join lateral stock_lines(t.stock) l
       where t.channel_id = s.channel_id and t.held and l.sku = s.sku)
   union all select 'I2: oversold stock', sku from stock where reserved > greatest(quantity - safety, 0) + overcommitted
   union all select 'I3: an ended order holds units or a booking', o.id from orders o join attempts t on t.order_id = o.id
     where o.status in ('failed', 'cancelled') and (t.held or t.booking in ('booked', 'pending'))
   union all select 'I4: two bookings', order_id from attempts where booking = 'booked' group by order_id, leg having count(*) > 1`,
);
