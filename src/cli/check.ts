import { runCheck } from "../check/check.ts";
import { readConfig } from "../platform/config.ts";
import { withDatabase } from "./database-access.ts";
import type { CheckCommandOptions } from "./program.ts";

/** Checks the invariants on the platform's database; exit code 1 when one is violated. */
export function check(options: CheckCommandOptions): Promise<number> {
  return withDatabase(readConfig(), "check", { migrated: false, mustExist: true }, async (databaseUrl) => {
    const report = await runCheck({
      databaseUrl,
      out: (line) => console.log(line),
      ...(options.acknowledged === undefined ? {} : { acknowledgedFile: options.acknowledged }),
      ...(options.ended === undefined ? {} : { ended: options.ended }),
      ...(options.ledger === undefined ? {} : { ledgerUrl: options.ledger }),
      ...(options.json === undefined ? {} : { json: options.json }),
    });
    return report.ok ? 0 : 1;
  });
}
