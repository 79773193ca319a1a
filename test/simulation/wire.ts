import type { Database, Executor, Statement } from "../../src/platform/database.ts";
import { statement } from "../../src/platform/database.ts";
import { UoopError } from "../../src/platform/errors.ts";
import type { VirtualDatabase } from "./database.ts";
import type { Random } from "./random.ts";
import type { Schedule } from "./schedule.ts";

/** How bad it is between a process and its database; probabilities per statement. */
export interface Weather {
  /** The statement never arrives. */
  lost: number;
  /** It is done, and its answer never arrives. */
  answerLost: number;
  /** The process is killed just before or just after it is done. */
  killed: number;
  /** It takes seconds, not milliseconds. */
  slow: number;
}

export const fair: Weather = { lost: 0, answerLost: 0, killed: 0, slow: 0 };

/** Who sends: dead or frozen processes hear nothing. */
export interface Caller {
  readonly dead: boolean;
  /** Runs it as soon as the process is not frozen; never when it is dead. */
  whenAwake(run: () => void): void;
  kill(why: string): void;
}

export interface Wire {
  weather: Weather;
  /** The database as this process sees it. */
  connect(caller: Caller): Database;
  /** What the process had open is rolled back, as the server does when a connection goes. */
  cut(caller: Caller): Promise<void>;
}

/** Runs something when it may: within the present event (what it returns is to be awaited) or in a later one. */
type Turn = (run: (error?: Error) => Promise<void>) => Promise<void> | void;

/** A transaction of a frozen process is ended by the server after this long (transaction_timeout). */
const transactionTimeoutMs = 60_000;

/**
 * Between the simulated processes and the one real database: each statement travels, waits for its turn, is done, and its
 * answer travels. A transaction of several statements has the database to itself, since all share one connection.
 */
export function createWire(options: {
  schedule: Schedule;
  random: Random;
  database: VirtualDatabase;
  /** After each statement that was done. */
  onDone(query: Statement, caller: Caller): Promise<void>;
}): Wire {
  const { schedule, random, database } = options;
  let holder: Caller | null = null;
  let holding = 0;
  const waiting: (() => void)[] = [];

  const away = (what: string) =>
    new UoopError("unavailable", `The database did not answer (${what}: simulated)`);
  const delayMs = () =>
    random.chance(wire.weather.slow) ? random.between(500, 8_000) : random.between(0, 6);

  function letNext(): void {
    if (holder === null) waiting.shift()?.();
  }

  /** Waits until no transaction is open; its turn is an event of its own, so there is nothing here to wait for. */
  const whenFree: Turn = (run) => {
    if (holder !== null) waiting.push(() => whenFree(run));
    else schedule.in(0, () => (holder === null ? run().finally(letNext) : whenFree(run)));
  };

  /** One statement's way there and back. `turn` decides when the database takes it. */
  function send<Row>(
    caller: Caller,
    query: Statement,
    params: readonly unknown[],
    turn: Turn,
  ): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      if (caller.dead) return;
      const answer = (tell: () => void) => void schedule.in(delayMs(), () => caller.whenAwake(tell));
      const refuse = (error: unknown) => answer(() => reject(error as Error));
      schedule.in(delayMs(), () => {
        if (random.chance(wire.weather.killed / 2)) caller.kill(`before ${query.name}`);
        // What a process sent before it died may still arrive.
        if (caller.dead && random.chance(0.5)) return;
        if (random.chance(wire.weather.lost)) return refuse(away(query.name));
        return turn(async (error) => {
          if (error) return refuse(error);
          try {
            const rows = await database.runAt<Row>(schedule.nowMs, query, params);
            await options.onDone(query, caller);
            if (random.chance(wire.weather.killed / 2)) caller.kill(`after ${query.name}`);
            if (random.chance(wire.weather.answerLost)) refuse(away(`${query.name}, answer lost`));
            else answer(() => resolve(rows));
          } catch (error) {
            refuse(error);
          }
        });
      });
    });
  }

  const plain = (text: string) => database.runAt(schedule.nowMs, statement("", text));

  /** Takes back what is open, unless it has ended. */
  async function end(number: number): Promise<void> {
    if (holding !== number || holder === null) return;
    await plain("rollback");
    release();
  }

  function release(): void {
    holder = null;
    letNext();
  }

  function begin(caller: Caller): Promise<number> {
    return new Promise((resolve) => {
      whenFree(async () => {
        if (caller.dead) return;
        await plain("begin");
        holder = caller;
        holding += 1;
        const number = holding;
        schedule.in(transactionTimeoutMs, () => end(number));
        resolve(number);
      });
    });
  }

  async function transaction<T>(caller: Caller, work: (tx: Executor) => Promise<T>): Promise<T> {
    const number = await begin(caller);
    const isOpen = () => holding === number && holder === caller;
    const within: Turn = (run) => run(isOpen() ? undefined : away("its transaction was ended"));
    try {
      const result = await work({ run: (query, params = []) => send(caller, query, params, within) });
      await send(caller, statement("", "commit"), [], (run) =>
        isOpen() ? run().finally(release) : within(run),
      );
      return result;
    } catch (error) {
      await new Promise((resolve) => schedule.in(0, () => end(number).finally(() => resolve(null))));
      throw error;
    }
  }

  const wire: Wire = {
    weather: fair,
    connect: (caller) => ({
      run: (query, params = []) => send(caller, query, params, whenFree),
      transaction: (work) => transaction(caller, work),
      statementsSent: 0,
      close: async () => undefined,
    }),
    async cut(caller) {
      if (holder === caller) await end(holding);
    },
  };
  return wire;
}
