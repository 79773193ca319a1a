import { isDeepStrictEqual } from "node:util";
import { defaultPolicyId, defaultRules, type PolicyRules } from "../capacity/policy.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { UoopError } from "../platform/errors.ts";
import { digest, laneOfDigest } from "../platform/ids.ts";
import { appendJournal } from "../platform/journal.ts";
import type { Log } from "../platform/log.ts";
import type { Service } from "../platform/service.ts";
import type { PoliciesApi, PolicyBody, PolicyView } from "./api.ts";
import { createBook, type PolicyBook } from "./policy-book.ts";
import { checkPolicy, conflictOf } from "./policy-check.ts";
import * as store from "./policy-store.ts";

export interface PoliciesDependencies {
  database: Database;
  clock: Clock;
  log: Log;
  /** How often they are read anew, for what other processes changed. */
  refreshMs?: number;
}

/** Policies at most: all are in memory, and each list shows all. */
const maxPolicies = 200;
const maxShownVersions = 100;

/** What is there before anybody wrote one. */
const builtIn: PolicyView = {
  id: defaultPolicyId,
  version: 1,
  description: "Built in",
  ...defaultRules,
  updatedAt: "2026-01-01T00:00:00.000Z",
  updatedBy: "uoop",
};

/** Routing policies: PostgreSQL has every version, memory what routing uses. */
export function createPolicies({
  database,
  clock,
  log,
  refreshMs = 5_000,
}: PoliciesDependencies): PoliciesApi & Service {
  let book: PolicyBook = createBook([builtIn]);
  let used: readonly PolicyView[] = [builtIn];
  let stopped = true;
  let forgetTimer: () => void = () => undefined;

  let reads = 0;
  let appliedRead = 0;
  async function refresh(): Promise<void> {
    reads += 1;
    const thisRead = reads;
    const read = withBuiltIn(await store.readNewest(database));
    // One that began before a change and ends after it must not bring the old policy back.
    if (thisRead < appliedRead) return;
    appliedRead = thisRead;
    // One that can't be used, of an older release maybe, is no reason to route by nothing: what was good before goes on.
    const good = read.flatMap((view) => {
      const [wrong] = checkPolicy(view);
      if (!wrong) return [view];
      log.error(
        { policy: view.id, version: view.version, wrong },
        "a routing policy is not used: it is wrong",
      );
      return used.filter(({ id }) => id === view.id);
    });
    if (isDeepStrictEqual(good, used)) return;
    used = good;
    book = createBook(good);
  }

  function refreshLater(): void {
    if (stopped) return;
    forgetTimer = clock.after(refreshMs, () => {
      refresh()
        .catch((error: unknown) =>
          log.warn({ error }, "routing policies could not be read anew; routing goes on with what it has"),
        )
        .finally(refreshLater);
    });
  }

  return {
    name: "policies",
    async start() {
      stopped = false;
      await refresh();
      refreshLater();
    },
    async stop() {
      stopped = true;
      forgetTimer();
    },
    list: async () =>
      withBuiltIn(await store.readNewest(database)).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    async get(id, version) {
      const found =
        version === undefined
          ? (await store.readVersions(database, id, 1))[0]
          : await store.readVersion(database, id, version);
      return found ?? orBuiltIn(id, version);
    },
    async versions(id) {
      const found = await store.readVersions(database, id, maxShownVersions);
      if (found.length === 0) return [orBuiltIn(id)];
      return id === defaultPolicyId && found.length < maxShownVersions ? [...found, builtIn] : found;
    },
    async put(id, body, expectedVersion, by) {
      checkAlone(body);
      const view = await putPolicy(database, { id, body, expectedVersion, by, nowMs: clock.nowMs() });
      await refresh();
      return view;
    },
    check: checkAlone,
    policyFor: (key) => book.policyFor(key),
  };
}

const withBuiltIn = (views: readonly PolicyView[]): readonly PolicyView[] =>
  views.some(({ id }) => id === defaultPolicyId) ? views : [builtIn, ...views];

function orBuiltIn(id: string, version = 1): PolicyView {
  if (id === defaultPolicyId && version === 1) return builtIn;
  const which = version === 1 ? id : `${id}@${version}`;
  throw new UoopError("policy_not_found", `There is no routing policy ${which}.`);
}

function checkAlone(body: PolicyRules): void {
  const wrong = checkPolicy(body);
  if (wrong.length === 0) return;
  const more = wrong.length > 1 ? ` (and ${wrong.length - 1} more; see errors)` : "";
  throw new UoopError("validation_failed", `${wrong[0]!.pointer} ${wrong[0]!.message}${more}.`, {
    fields: wrong,
  });
}

interface Putting {
  id: string;
  body: PolicyBody;
  expectedVersion: number | null;
  by: { actor: string; source: string | null };
  nowMs: number;
}

/** One transaction: the version and its journal row, checked against the other policies under a lock. */
function putPolicy(
  database: Database,
  { id, body, expectedVersion, by, nowMs }: Putting,
): Promise<PolicyView> {
  return database.transaction(async (tx) => {
    await store.lockPolicies(tx);
    const all = withBuiltIn(await store.readNewest(tx));
    const before = all.find((one) => one.id === id);
    const version = before?.version ?? 0;
    if (expectedVersion !== null && version !== expectedVersion) {
      const is = before ? `at version ${version}` : "not there";
      throw new UoopError(
        "version_conflict",
        `Routing policy ${id} is ${is}; If-Match says ${expectedVersion}.`,
      );
    }
    if (before && isDeepStrictEqual(bodyOf(before), body)) return before;
    await refuseConflicts(tx, id, body, all);
    const at = new Date(nowMs).toISOString();
    const view: PolicyView = { id, version: version + 1, ...body, updatedAt: at, updatedBy: by.actor };
    await store.insertVersion(tx, view);
    const lane = laneOfDigest(digest(id));
    const entries = [{ what: before ? "routing policy changed" : "routing policy made", policy: body }];
    await appendJournal(tx, [{ subject: `policy:${id}`, version: view.version, lane, at, ...by, entries }]);
    return view;
  });
}

function bodyOf({ id: _i, version: _v, updatedAt: _a, updatedBy: _b, ...body }: PolicyView): PolicyBody {
  return body;
}

async function refuseConflicts(
  tx: Parameters<typeof store.readNewest>[0],
  id: string,
  body: PolicyBody,
  all: readonly PolicyView[],
): Promise<void> {
  const others = all.filter((one) => one.id !== id);
  if (others.length >= maxPolicies) {
    throw new UoopError("policy_conflict", `There are ${maxPolicies} routing policies, as many as may be.`);
  }
  const conflict = conflictOf(id, body, others);
  if (conflict) throw new UoopError("policy_conflict", conflict);
  const [unknown] = await store.readUnknownClients(tx, body.clients ?? []);
  if (unknown === undefined) return;
  const fields = [{ pointer: "/clients", message: `holds ${unknown}, which is no client` }];
  throw new UoopError("validation_failed", `/clients holds ${unknown}, which is no client.`, { fields });
}
