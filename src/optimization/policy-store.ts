import { type Executor, statement } from "../platform/database.ts";
import type { PolicyBody, PolicyView } from "./api.ts";

/** Owns the table routing_policies: every version of every policy, never changed. */

interface Row {
  id: string;
  version: number;
  doc: PolicyBody;
  actor: string;
  made_at: string;
}

const columns = "id, version, doc::json, actor, made_at";

const selectNewest = statement(
  "policies_newest",
  `select ${columns} from (
     select *, row_number() over w as nth, last_value(made_at) over w as first_made
     from routing_policies window w as (partition by id order by version desc rows between unbounded preceding and unbounded following)
   ) p where nth = 1 order by first_made, id`,
);
const selectVersions = statement(
  "policy_versions",
  `select ${columns} from routing_policies where id = $1 order by version desc limit $2`,
);
const selectVersion = statement(
  "policy_version",
  `select ${columns} from routing_policies where id = $1 and version = $2`,
);
const lock = statement("policies_lock", "lock table routing_policies in share row exclusive mode");
const insert = statement(
  "policy_insert",
  "insert into routing_policies (id, version, doc, actor, made_at) values ($1, $2, $3, $4, $5)",
);
const selectUnknownClients = statement(
  "policy_unknown_clients",
  "select c as id from unnest($1::text[]) c where not exists (select from clients k where k.id = c)",
);

const toView = ({ id, version, doc, actor, made_at }: Row): PolicyView => ({
  id,
  version,
  ...doc,
  updatedAt: made_at,
  updatedBy: actor,
});

/** Every policy at its newest version, oldest policy first. */
export const readNewest = async (db: Executor): Promise<PolicyView[]> =>
  (await db.run<Row>(selectNewest)).map(toView);

export const readVersions = async (db: Executor, id: string, limit: number): Promise<PolicyView[]> =>
  (await db.run<Row>(selectVersions, [id, limit])).map(toView);

export async function readVersion(db: Executor, id: string, version: number): Promise<PolicyView | null> {
  const [row] = await db.run<Row>(selectVersion, [id, version]);
  return row ? toView(row) : null;
}

/** Until the transaction ends nobody else writes a policy: they are checked against each other. */
export const lockPolicies = async (tx: Executor): Promise<void> => void (await tx.run(lock));

export async function insertVersion(
  tx: Executor,
  { id, version, updatedAt, updatedBy, ...body }: PolicyView,
): Promise<void> {
  await tx.run(insert, [id, version, JSON.stringify(body), updatedBy, updatedAt]);
}

export const readUnknownClients = async (tx: Executor, clients: readonly string[]): Promise<string[]> =>
  (await tx.run<{ id: string }>(selectUnknownClients, [clients])).map(({ id }) => id);
