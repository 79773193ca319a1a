import { type Database, type Executor, statement } from "../platform/database.ts";

// These statements read much and rarely: the settings that make the hot path's plans predictable would make them slow.
const settings = statement(
  "check.settings",
  `select set_config(s.name, s.value, true) from (values
    ('enable_seqscan', 'on'), ('enable_mergejoin', 'on'), ('plan_cache_mode', 'force_custom_plan'),
    ('work_mem', '64MB'), ('statement_timeout', '0'), ('transaction_timeout', '0'),
    ('idle_in_transaction_session_timeout', '60000')) as s(name, value)`,
);

const isolation = statement("check.isolation", "set transaction isolation level repeatable read read only");

/**
 * One consistent picture of the database: all that `work` reads is as of one moment, whatever is written meanwhile. It
 * locks nothing and can't write.
 */
export function inSnapshot<T>(database: Database, work: (tx: Executor) => Promise<T>): Promise<T> {
  return database.transaction(async (tx) => {
    await tx.run(isolation);
    await tx.run(settings);
    return work(tx);
  });
}
