import type { Mutant } from "../support/plant.ts";

/**
 * Bugs that show only where processes meet in one database or die in it: locks, visibility, what is on disk. No test was written for any
 * of them; chaos with several processes has to find them.
 */
export const mutants: readonly Mutant[] = [
  {
    name: "units are granted without a lock on their slot",
    file: "src/capacity/slots-sql.ts",
    find: "  order by a.slot_id\n  for update\n",
    replace: "  order by a.slot_id\n",
  },
  {
    name: "an order is written by whoever read it, locked or not",
    file: "src/orchestration/commit-sql.ts",
    find: "where o.revision = input.expected and (input.intent or o.owner_id = $1) and exists (select from me)\n  order by o.id for update of o",
    replace: "where exists (select from me) order by o.id",
  },
  {
    name: "a key that is there already makes another order",
    file: "src/orchestration/commit-sql.ts",
    find: "on conflict do nothing returning order_id",
    replace: "on conflict (key_hash) do update set order_id = excluded.order_id returning order_id",
  },
  {
    name: "the audit chain is sealed while others still write below it",
    file: "src/orchestration/sealer.ts",
    find: ') as "tooEarly"`',
    replace: ') and false as "tooEarly"`',
  },
  {
    name: "commits are answered before they are on disk",
    file: "src/platform/database.ts",
    find: "-c jit=off",
    replace: "-c jit=off -c synchronous_commit=off",
  },
];
