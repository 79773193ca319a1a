import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { keyDigest } from "../orchestration/keys.ts";
import { isEnd, orderStatuses } from "../orchestration/order-state.ts";
import { type Database, type Executor, statement } from "../platform/database.ts";
import { isId } from "../platform/ids.ts";
import { collect, type Finding, newFinding } from "./finding.ts";
import { type RuleAnswer, sqlList, type Violation } from "./rule.ts";
import { inSnapshot } from "./snapshot.ts";

/** One answer that a client got, as it wrote it down. */
export interface Acknowledgement {
  id?: string;
  idempotencyKey?: string;
  externalId?: string;
  /** HTTP status of the answer. */
  status: number;
  /** The order's status in the answer's body. */
  orderStatus?: string;
  /** When the answer came, RFC 3339. */
  at?: string;
}

/** An acknowledgement and the line that it stands on. */
type Numbered = Acknowledgement & { line: number };

const recordsAtOnce = 2_000;

/** 201 and 202 promise that the order exists; nothing else does. */
const promises = (record: Acknowledgement): boolean => record.status === 201 || record.status === 202;

/**
 * Reads a client's record in batches. A last line that was cut off (the client was killed while it wrote) is left out; any other
 * line that is not such a record is an error naming the line.
 */
export async function* readAcknowledged(file: string): AsyncGenerator<readonly Numbered[]> {
  let batch: Numbered[] = [];
  let line = 0;
  let broken: Error | undefined;
  for await (const text of createInterface({
    input: createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    line += 1;
    if (broken) throw broken;
    if (text.trim() === "") continue;
    const record = parseRecord(text);
    if (typeof record === "string") broken = new Error(`${file} line ${line} ${record}`);
    else batch.push({ ...record, line });
    if (batch.length >= recordsAtOnce) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** The record, or what is wrong with the line. */
function parseRecord(text: string): Acknowledgement | string {
  try {
    const record = JSON.parse(text) as Partial<Acknowledgement> | null;
    if (typeof record !== "object" || record === null) return "is not a JSON object";
    if (!Number.isInteger(record.status)) return "has no HTTP status";
    return record as Acknowledgement;
  } catch {
    return "is not JSON";
  }
}

const findPromised = statement(
  "check.acknowledged",
  `select r.line, r.id, o.status, o.client_id as "clientId",
     exists (select from journal j, json_array_elements(j.entries::json) e
       where j.order_id = r.id and e->>'to' = 'confirmed') as "wasConfirmed",
     coalesce(o.status in (${sqlList(orderStatuses.filter(isEnd))}), false) as ended
   from json_to_recordset($1::json) as r(line int, id text) left join orders o on o.id = r.id`,
);

interface Found {
  line: number;
  id: string;
  /** null: there is no such order. */
  status: string | null;
  clientId: string | null;
  wasConfirmed: boolean;
  ended: boolean;
}

const findKeys = statement(
  "check.acknowledged_keys",
  `select r.line, k.order_id as "orderId" from json_to_recordset($1::json) as r(line int, key uuid)
   left join idempotency_keys k on k.key_hash = r.key`,
);

type Kind = "exists" | "confirmed" | "sameOrder" | "ended";

const heads = {
  exists: { invariant: "I1", name: "every order that was answered 201 or 202 exists", of: "answers" },
  confirmed: { invariant: "I1", name: "every order that was answered 201 was confirmed", of: "answers" },
  sameOrder: { invariant: "I6", name: "an answer names the one order of its key", of: "answers" },
  ended: { invariant: "I1", name: "every acknowledged order has ended", of: "answers" },
} as const;

/** Holds a client's record against the database, batch by batch: what was answered 201 or 202 must be there. */
export async function acknowledgedRules(
  database: Database,
  batches: AsyncIterable<readonly Numbered[]>,
  mustHaveEnded: boolean,
): Promise<Finding[]> {
  const kinds = (Object.keys(heads) as Kind[]).filter((kind) => kind !== "ended" || mustHaveEnded);
  const findings = Object.fromEntries(kinds.map((kind) => [kind, newFinding(heads[kind])])) as Record<
    Kind,
    Finding
  >;
  for await (const batch of batches) {
    const promised = batch.filter(promises);
    await inSnapshot(database, async (tx) => {
      const found = await look(tx, promised);
      collect(findings.exists, existing(promised, found));
      collect(findings.confirmed, confirmed(promised, found));
      collect(findings.sameOrder, await sameOrder(tx, promised, found));
      if (mustHaveEnded) collect(findings.ended, ended(promised, found));
    });
  }
  return kinds.map((kind) => findings[kind]);
}

async function look(tx: Executor, promised: readonly Numbered[]): Promise<ReadonlyMap<number, Found>> {
  const asked = promised.filter(({ id }) => id !== undefined).map(({ line, id }) => ({ line, id }));
  const rows = await tx.run<Found>(findPromised, [JSON.stringify(asked)]);
  return new Map(rows.map((row) => [row.line, row]));
}

const told = (record: Numbered): string =>
  `answered ${record.status}${record.at === undefined ? "" : ` at ${record.at}`} (line ${record.line})`;

function existing(promised: readonly Numbered[], found: ReadonlyMap<number, Found>): RuleAnswer {
  const violations = promised.flatMap((record): Violation[] => {
    if (record.id === undefined) return [{ subject: "no id", what: `${told(record)} without an order's id` }];
    return found.get(record.line)?.status
      ? []
      : [{ subject: record.id, what: `${told(record)}, does not exist` }];
  });
  return { checked: promised.length, violations };
}

function confirmed(promised: readonly Numbered[], found: ReadonlyMap<number, Found>): RuleAnswer {
  const of = promised.filter(({ status }) => status === 201);
  const violations = of.flatMap((record): Violation[] => {
    const row = found.get(record.line);
    if (!row?.status || row.wasConfirmed) return [];
    return [{ subject: row.id, what: `${told(record)}, was never confirmed; it is ${row.status}` }];
  });
  return { checked: of.length, violations };
}

function ended(promised: readonly Numbered[], found: ReadonlyMap<number, Found>): RuleAnswer {
  const violations = promised.flatMap((record): Violation[] => {
    const row = found.get(record.line);
    return row?.status && !row.ended ? [{ subject: row.id, what: `${told(record)}, is ${row.status}` }] : [];
  });
  return { checked: promised.length, violations };
}

/** The key as the platform stores it: only the header counts where there is one, and a key that the server made is known by its shape. */
function keyOf({ idempotencyKey, externalId }: Acknowledgement, clientId: string): string | null {
  if (idempotencyKey !== undefined) {
    const keyNamespace = isId("key", idempotencyKey) ? "server" : "header";
    return keyDigest({ clientId, keyNamespace, idempotencyKey });
  }
  return externalId === undefined
    ? null
    : keyDigest({ clientId, keyNamespace: "external", idempotencyKey: externalId });
}

async function sameOrder(
  tx: Executor,
  promised: readonly Numbered[],
  found: ReadonlyMap<number, Found>,
): Promise<RuleAnswer> {
  const asked = promised.flatMap((record) => {
    const clientId = found.get(record.line)?.clientId ?? null;
    const key = clientId === null ? null : keyOf(record, clientId);
    return key === null ? [] : [{ line: record.line, key }];
  });
  const keys = await tx.run<{ line: number; orderId: string | null }>(findKeys, [JSON.stringify(asked)]);
  const orderOf = new Map(keys.map(({ line, orderId }) => [line, orderId]));
  const violations = promised.flatMap((record): Violation[] => {
    const orderId = orderOf.get(record.line);
    if (orderId === undefined || orderId === record.id) return [];
    return [{ subject: record.id!, what: `${told(record)}; its key is of ${orderId ?? "no order"}` }];
  });
  return { checked: asked.length, violations };
}
