import { toIso } from "../platform/clock.ts";
import { booked, cancelled, code, refused } from "./expectations.ts";
import { Broken, type Came, notOfferedSkip, type Probe, Skipped } from "./probe.ts";
import type { Rule, Run } from "./rule.ts";

type Entry = { key?: unknown; state?: unknown; bookingRef?: unknown };

/** Sends these calls as one batch; the answers as if each had come alone. */
async function batch({ probe, maxBatch }: Run, calls: readonly object[], words: string) {
  if (maxBatch === 0) throw new Skipped("the capabilities offer no batches");
  const call = { call: "batch", ...probe.target.addressee, calls };
  const came = await probe.ask(call, { words });
  probe.must(came, {
    says: `200 with results, one for each of the ${calls.length} calls`,
    holds: ({ status, json }) =>
      status === 200 && Array.isArray(json?.results) && json.results.length === calls.length,
  });
  return (came.json!.results as Record<string, unknown>[]).map(
    (json, index): Came => ({
      sent: `call ${index + 1} of that batch`,
      status: json?.status === "refused" ? 409 : 200,
      json,
      text: JSON.stringify(json),
    }),
  );
}

const batchRules: readonly Rule[] = [
  {
    id: "batch.answers",
    rule: "a batch is answered with one answer per call, in order, each as it would be alone",
    section: "Batch",
    async run(run) {
      const { probe } = run;
      const [taken, unknown, late, again] = Array.from({ length: 4 }, () => probe.newKey());
      probe.open.add(taken!);
      const before = probe.must(await probe.ask(probe.book(again!)), booked(again!));
      const calls = [
        probe.book(taken!),
        probe.cancel(unknown!),
        probe.book(late!, { notAfter: toIso(probe.nowMs() - 60_000) }),
        probe.book(again!),
      ];
      const results = await batch(run, calls, "a booking, an unknown cancel, a late booking, a repeat");
      const first = probe.must(results[0]!, booked(taken!));
      probe.must(results[1]!, cancelled(unknown!));
      probe.must(results[2]!, refused(late!, "too_late"));
      probe.must(results[3]!, booked(again!, before));
      probe.must(await probe.ask(probe.book(taken!)), booked(taken!, first));
      probe.must(await probe.ask(probe.book(unknown!)), refused(unknown!, "cancelled"));
    },
  },
  {
    id: "batch.size",
    rule: "as many calls as your maxBatch fit into one",
    section: "Capabilities",
    async run(run) {
      const { probe } = run;
      const keys = Array.from({ length: run.maxBatch }, () => probe.newKey());
      const calls = keys.map((key) => probe.cancel(key));
      const results = await batch(run, calls, `${keys.length} cancellations of unknown keys`);
      keys.forEach((key, index) => void probe.must(results[index]!, cancelled(key)));
    },
  },
];

const entry = (key: string, state: string, bookingRef?: unknown) => ({
  says: `200 with the key and state ${state}${bookingRef === undefined ? "" : `, bookingRef ${bookingRef}`}`,
  holds: ({ status, json }: Came) =>
    status === 200 &&
    json?.key === key &&
    json.state === state &&
    (bookingRef === undefined || json.bookingRef === bookingRef),
});

async function status(probe: Probe, key: string): Promise<Came> {
  const call = { call: "status", ...probe.target.addressee, key };
  const came = await probe.ask(call);
  notOfferedSkip(came, "status is not offered");
  return came;
}

async function list(probe: Probe, limit: number, cursor: string | undefined): Promise<Came> {
  const from = cursor === undefined ? {} : { cursor };
  const call = { call: "list", ...probe.target.addressee, limit, ...from };
  const came = await probe.ask(call);
  notOfferedSkip(came, "list is not offered");
  return probe.must(came, {
    says: `200 with items, ${limit} at most, and nextCursor, a text or null`,
    holds: ({ status: http, json }) =>
      http === 200 &&
      Array.isArray(json?.items) &&
      json.items.length <= limit &&
      (json.nextCursor === null || typeof json.nextCursor === "string"),
  });
}

const pageLimit = 1_000;
const maxPages = 200;

const reconciliationRules: readonly Rule[] = [
  {
    id: "status.states",
    rule: "status tells what became of a key: none, booked, cancelled, tombstone, refused",
    section: "Status and list",
    async run({ probe }) {
      const [none, taken, stone, late] = Array.from({ length: 4 }, () => probe.newKey());
      probe.must(await status(probe, none!), entry(none!, "none"));
      const booking = probe.must(await probe.ask(probe.book(taken!)), booked(taken!));
      probe.must(await status(probe, taken!), entry(taken!, "booked", booking.json!.bookingRef));
      probe.must(await probe.ask(probe.cancel(taken!)), cancelled(taken!));
      probe.must(await status(probe, taken!), entry(taken!, "cancelled"));
      probe.must(await probe.ask(probe.cancel(stone!)), cancelled(stone!));
      probe.must(await status(probe, stone!), entry(stone!, "tombstone"));
      const notAfter = toIso(probe.nowMs() - 60_000);
      probe.must(await probe.ask(probe.book(late!, { notAfter })), refused(late!));
      probe.must(await status(probe, late!), entry(late!, "refused"));
    },
  },
  {
    id: "list.complete",
    rule: "list tells of every key once, oldest first, page by page",
    section: "Status and list",
    async run({ probe }) {
      const keys = Array.from({ length: 3 }, () => probe.newKey());
      for (const key of keys) probe.must(await probe.ask(probe.cancel(key)), cancelled(key));
      const first = await list(probe, 1, undefined);
      const seen = first.json!.items as Entry[];
      let cursor = first.json!.nextCursor as string | null;
      for (let page = 1; cursor !== null && page < maxPages; page += 1) {
        const came = await list(probe, pageLimit, cursor);
        seen.push(...(came.json!.items as Entry[]));
        cursor = came.json!.nextCursor as string | null;
      }
      const found = seen.map(({ key }) => key).filter((key) => keys.includes(String(key)));
      const ok = found.join() === keys.join();
      const came = found.length === 0 ? "none of them" : found.join(", ");
      const expected = `${keys.join(", ")}, each once, in this order`;
      probe.steps.push({ sent: "POST /list, all pages", expected, came, ok });
      if (!ok) throw new Broken();
    },
  },
];

/** Runs first: what the endpoint offers. */
export const capabilitiesRule: Rule = {
  id: "capabilities.form",
  rule: "capabilities name the protocol and say whether batches are taken",
  section: "Capabilities",
  async run(run) {
    const came = await run.probe.get("/capabilities");
    if (came.status !== 200) notOfferedSkip(came, "no capabilities: the platform sends single calls");
    run.probe.must(came, code(200));
    const { json } = run.probe.must(came, {
      says: '{ "protocol": "uoop-channel/1", "batch": true or false, "maxBatch"?: a whole number from 1 }',
      holds: ({ json: told }) =>
        told?.protocol === "uoop-channel/1" &&
        typeof told.batch === "boolean" &&
        (told.maxBatch === undefined || (Number.isInteger(told.maxBatch) && (told.maxBatch as number) > 0)),
    });
    if (json!.batch) run.maxBatch = Math.min((json!.maxBatch as number | undefined) ?? 100, 500);
  },
};

export const optionalRules: readonly Rule[] = [...batchRules, ...reconciliationRules];
