import { checks } from "./checks.ts";
import { Broken, type Exchange, Session, type SessionOptions, Skipped } from "./session.ts";

/** What came of one rule. */
export interface CheckResult {
  id: string;
  rule: string;
  section: string;
  outcome: "passed" | "failed" | "skipped";
  /** Why it was skipped. */
  why?: string;
  expected?: string;
  got?: string;
  /** The calls of a check that failed, the last one last. */
  exchanges?: readonly Exchange[];
}

export interface Certificate {
  endpoint: string;
  protocol: string;
  ok: boolean;
  results: readonly CheckResult[];
}

/**
 * Holds an endpoint against the channel protocol, rule by rule, and cancels in the end what it booked. Never throws for what the
 * endpoint does: that is in the results.
 */
export async function certify(
  options: SessionOptions & { protocol: string; onResult?(result: CheckResult): void },
): Promise<Certificate> {
  const session = new Session(options);
  const results: CheckResult[] = [];
  let booksNothing = false;
  for (const { id, rule, section, run } of checks) {
    session.exchanges = [];
    const outcome: Outcome = booksNothing ? untried : await outcomeOf(() => run(session), session);
    const result = { id, rule, section, ...outcome };
    if (id === "book") booksNothing = outcome.outcome === "failed";
    results.push(result);
    options.onResult?.(result);
  }
  await session.cancelAll();
  const ok = results.every(({ outcome }) => outcome !== "failed");
  return { endpoint: options.endpoint, protocol: options.protocol, ok, results };
}

type Outcome = Omit<CheckResult, "id" | "rule" | "section">;

const untried: Outcome = { outcome: "skipped", why: "nothing can be tried until a booking is taken" };

async function outcomeOf(run: () => Promise<void>, session: Session): Promise<Outcome> {
  try {
    await run();
    return { outcome: "passed" };
  } catch (error) {
    if (error instanceof Skipped) return { outcome: "skipped", why: error.message };
    if (!(error instanceof Broken)) throw error;
    const { expected, got } = error;
    return { outcome: "failed", expected, got, exchanges: session.exchanges };
  }
}
