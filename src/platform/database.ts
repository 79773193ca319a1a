import pg from "pg";
import { UoopError } from "./errors.ts";

/** A named statement: the name is its prepared-statement key, so it is planned once per connection. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export const statement = (name: string, text: string): Statement => ({ name, text });

/** What runs SQL: the pool (each statement its own transaction) or one transaction. */
export interface Executor {
  /** Runs one statement. `Row` is what the caller knows that it selects. */
  run<Row>(statement: Statement, params?: readonly unknown[]): Promise<Row[]>;
}

export interface Database extends Executor {
  /** Several statements in one transaction; rolled back when `work` throws. */
  transaction<T>(work: (tx: Executor) => Promise<T>): Promise<T>;
  /** Statements sent so far (a test holds that a batch costs as many as one order). */
  readonly statementsSent: number;
  close(): Promise<void>;
}

// Hot statements join arrays that came in (small, hashed) to tables by primary key: never a scan, one plan for all batch
// sizes. A frozen process must not hold locks: what it has open is cut after transaction_timeout.
//
// No partition pruning while a statement runs: when a row that it locks was changed meanwhile, PostgreSQL 18 (to 18.4 at least) evaluates
// the row anew in a copy of the plan that shares the pruning state of the first, which goes on with the copy's parameters: under load
// the server crashed once in some hundred thousand orders (in perform_pruning_base_step). Looking into each partition's index costs 1 µs.
const sessionSettings = [
  "-c enable_partition_pruning=off",
  "-c plan_cache_mode=force_generic_plan",
  "-c enable_seqscan=off",
  "-c enable_mergejoin=off",
  "-c jit=off",
  "-c statement_timeout=30000",
  "-c transaction_timeout=60000",
  "-c idle_in_transaction_session_timeout=10000",
  "-c timezone=UTC",
].join(" ");

// bigint and timestamptz arrive as numbers and RFC 3339 text: no Date objects, positions stay below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => new Date(text).toISOString());

/** Longer than statement_timeout: nothing came because the connection is dead and nobody told us, as when a firewall forgot it. */
const answerTimeoutMs = 35_000;

export function openDatabase(
  url: string,
  options: { connections: number; application: string; answerTimeoutMs?: number },
): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.connections,
    application_name: options.application,
    options: sessionSettings,
    connectionTimeoutMillis: 10_000,
    query_timeout: options.answerTimeoutMs ?? answerTimeoutMs,
    keepAlive: true,
  });
  // A dropped connection is replaced at the next use; the error that matters comes with the statement. The pool listens
  // to its idle connections only: one that a transaction holds between two statements would end the process.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  let statementsSent = 0;

  const runOn = (target: pg.Pool | pg.PoolClient): Executor => ({
    async run<Row>(query: Statement, params: readonly unknown[] = []) {
      statementsSent += 1;
      try {
        const result = await target.query({
          name: query.name,
          text: query.text,
          values: params as unknown[],
        });
        return result.rows as Row[];
      } catch (error) {
        throw asUoopError(error, query.name);
      }
    },
  });

  return {
    ...runOn(pool),
    async transaction(work) {
      const client = await pool.connect().catch((error: unknown) => {
        throw asUoopError(error, "connect");
      });
      let broken: Error | undefined;
      try {
        await control(client, "begin");
        const answer = await work(runOn(client));
        await control(client, "commit");
        return answer;
      } catch (error) {
        await client.query("rollback").catch((cause: unknown) => {
          broken = cause as Error;
        });
        throw error;
      } finally {
        client.release(broken);
      }
    },
    get statementsSent() {
      return statementsSent;
    },
    close: () => pool.end(),
  };
}

async function control(client: pg.PoolClient, command: "begin" | "commit"): Promise<void> {
  try {
    await client.query(command);
  } catch (error) {
    throw asUoopError(error, command);
  }
}

/** SQLSTATE of an error that PostgreSQL answered with; undefined when no answer came (then the commit is ambiguous). */
export const sqlState = (error: unknown): string | undefined => {
  const cause = error instanceof UoopError ? error.cause : error;
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && code !== "EPIPE" ? code : undefined;
};

// Connections (08), what the server lacks (53: connections, memory, disk), who stops it or a statement (57), its files (58).
const trouble = /^(08|53|57|58)/;

/** Trouble of the database's own, a full disk included, becomes `unavailable` (503, retryable); the rest stays what it is. */
function asUoopError(error: unknown, where: string): unknown {
  const code = sqlState(error);
  const away = code === undefined || trouble.test(code);
  return away && error instanceof Error
    ? new UoopError("unavailable", `The database did not answer (${where}: ${error.message})`, {
        cause: error,
      })
    : error;
}
