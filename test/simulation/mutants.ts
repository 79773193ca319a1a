import type { Mutant } from "../support/plant.ts";

/** Bugs of the kind that an orchestrator dies of. No test was written for any of them: the invariants have to find them. */
export const mutants: readonly Mutant[] = [
  {
    name: "a write does not ask whether the order has changed since it was read",
    file: "src/orchestration/commit-sql.ts",
    find: "where o.revision = input.expected and (",
    replace: "where (",
  },
  {
    name: "a cancellation is not told to anybody",
    file: "src/orchestration/commit-sql.ts",
    find: "from changed where events is not null",
    replace: "from changed where events is not null and status <> 'cancelling'",
  },
  {
    name: "an undo does not call the channel",
    file: "src/orchestration/steps.ts",
    find: "Promise.all(orders.map((order) => cancelAttempts(order, world)));",
    replace:
      "(void world, void cancelAttempts, Promise.resolve(orders.map(() => ({ kind: 'undone' as const }))));",
  },
  {
    name: "a relay takes rows off the outbox that it did not publish",
    file: "src/relay/relay.ts",
    find: "await bus.publish(good, tx)",
    replace: "await bus.publish(good.slice(0, 3), tx)",
  },
  {
    name: "the read model keeps the oldest of several versions",
    file: "src/read-model/project.ts",
    find: "versionOf(row) > versionOf(before)",
    replace: "versionOf(row) < versionOf(before)",
  },
  {
    name: "a call without an answer counts as a call that never arrived",
    file: "src/orchestration/saga-runner.ts",
    find: "        entry.uncertain = true;\n",
    replace: "",
  },
  {
    name: "after a takeover it is forgotten that a channel may have been asked",
    file: "src/orchestration/saga-runner.ts",
    find: "uncertain: options.asked",
    replace: "uncertain: options.asked && false",
  },
  {
    name: "a channel is left though it was not seen to cancel",
    file: "src/orchestration/saga-runner.ts",
    find: 'if (outcome.kind === "retry") {\n      entry.tries += 1;',
    replace: 'if (outcome.kind === "retry" && !entry.leaving) {\n      entry.tries += 1;',
  },
  {
    name: "the next attempt has the number of the one before",
    file: "src/orchestration/decide.ts",
    find: "const attempt = order.saga.attempts + 1;",
    replace: "const attempt = Math.max(1, order.saga.attempts);",
  },
  {
    name: "a channel that refused keeps the units",
    file: "src/orchestration/decide.ts",
    find: 'booking: "refused" as const, release: true',
    replace: 'booking: "refused" as const, release: false',
  },
  {
    name: "an undone attempt is not recorded as cancelled",
    file: "src/orchestration/decide.ts",
    find: '    ...unchanged(attempt),\n    booking: "cancelled" as const,\n    release: true,\n  }));',
    replace: "    ...unchanged(attempt),\n    release: true,\n  }));",
  },
  {
    name: "a key is another one each time",
    file: "src/orchestration/keys.ts",
    find: "digest(",
    replace: "digest(Math.random() + ",
  },
  {
    name: "a report that comes before the booking's answer is lost",
    file: "src/orchestration/decide-report.ts",
    find: 'return { kind: "keep", detail:',
    replace: 'return { kind: "ignore", detail:',
  },
  {
    name: "nobody looks at deadlines",
    file: "src/orchestration/commit-sql.ts",
    find: "select id from orders where deadline_at <= $1",
    replace: "select id from orders where deadline_at <= $1 and false",
  },
  {
    name: "an order whose commit had no answer is acknowledged without a look",
    file: "src/orchestration/intake.ts",
    find: "const stored = loaded.map((one) => one?.carried ?? error);",
    replace: "const stored: (Carried | UoopError)[] = rows.map((row) => asCarried(row, false));",
  },
  {
    name: "stock stays reserved when its order is undone",
    file: "src/orchestration/commit-sql.ts",
    find: "from released_attempts r cross join lateral stock_lines(r.stock) l",
    replace: "from released_attempts r cross join lateral stock_lines(null) l",
  },
  {
    name: "stock is taken though there is not enough",
    file: "src/capacity/slots-sql.ts",
    find: "(running > free and quantity > 0)",
    replace: "(false)",
  },
  {
    name: "food that has left stays on the shelf of the books",
    file: "src/orchestration/stock.ts",
    find: '"dispatched", "delivered", "undelivered"',
    replace: '"undelivered"',
  },
];
