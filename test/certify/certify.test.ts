import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, test } from "node:test";
import { certify } from "../../src/certify/certify.ts";
import { type CertifyReport, toText } from "../../src/certify/report.ts";
import { createSigner } from "../../src/channels/signature.ts";
import type { Entry } from "../../src/channels/simulator/judge.ts";
import { startSimulator } from "../../src/channels/simulator/simulator.ts";
import { sleep, systemClock } from "../../src/platform/clock.ts";
import { log, newSecret, put } from "../channels/support.ts";
import { startPartner, type Wrong } from "./partner.ts";

const channelId = "chn_01kc3z3nvceqka9vjbc8rz2qxn";
const secret = newSecret();
const stageMs = 300;

const certifyAt = (endpoint: string, more: Partial<Parameters<typeof certify>[0]> = {}) =>
  certify({
    endpoint,
    addressee: { channelId },
    secret,
    timeoutMs: 2_000,
    waitMs: 10_000,
    clock: systemClock,
    ...more,
  });

const verdicts = (report: CertifyReport, verdict: string) =>
  report.checks.filter((check) => check.verdict === verdict).map(({ id }) => id);

const callbackIds = [
  "callbacks.signed",
  "callbacks.form",
  "callbacks.repeated",
  "callbacks.own-id",
  "cancel.too-late",
];

/** The simulator, whose bookings reach the door within a second. */
async function simulated() {
  const simulator = await startSimulator({ port: 0, log, seed: 1 });
  after(() => simulator.close());
  const soon = { min: stageMs, max: stageMs };
  const times = { prepMs: soon, readyMs: soon, dispatchMs: soon, deliverMs: soon };
  const behaviour = { latencyMs: { min: 0, max: 3 }, ...times };
  await put(simulator.url, `/control/channels/${channelId}`, { secret, behaviour });
  return simulator;
}

test("the simulator keeps every rule, reports included, as a channel and as a member of a network", async () => {
  const simulator = await simulated();
  const onListening = (url: string) => put(simulator.url, "/control/platform", { url, apiKey: "none" });
  const endpoint = `${simulator.url}/channels/${channelId}`;
  const listening = { listen: 0, onListening };
  const reports = await Promise.all([certifyAt(endpoint, listening)]);
  reports.push(
    await certifyAt(`${endpoint}/partners/ant`, { ...listening, addressee: { channelId, partner: "ant" } }),
  );
  for (const report of reports) {
    assert.ok(report.ok, toText(report).join("\n"));
    assert.deepEqual(verdicts(report, "skipped"), []);
    assert.ok(report.passed > 30);
  }
});

test("what is not offered or can't be seen is skipped with a note, and fails nothing", async () => {
  const wrong: Wrong = {
    capabilities: { code: 404, body: {} },
    unsupported: ["hold", "batch", "status", "list"],
  };
  const partner = await startPartner({ channelId, secret }, wrong);
  const report = await certifyAt(partner.url);
  assert.ok(report.ok, toText(report).join("\n"));
  const skipped = verdicts(report, "skipped");
  for (const id of ["capabilities.form", "hold.repeat", "batch.answers", "status.states", "list.complete"])
    assert.ok(skipped.includes(id), id);
  for (const id of callbackIds) assert.ok(skipped.includes(id), id);
  for (const check of report.checks.filter(({ verdict }) => verdict === "skipped")) assert.ok(check.note);
});

const takenKeys = new Set<string>();
const cancelledKeys = new Set<string>();

/** Each breaks one thing; what must find it, and nothing else unless it is not `alone` in what it spoils. */
const wrongs: readonly { name: string; wrong: Wrong; found: readonly string[]; alone?: false }[] = [
  {
    name: "capabilities of another protocol",
    wrong: { capabilities: { code: 200, body: { protocol: "uoop-channel/2", batch: true } } },
    found: ["capabilities.form"],
  },
  {
    name: "signatures are not looked at",
    wrong: { signed: () => true },
    found: ["signature.wrong", "signature.missing", "signature.body", "signature.old", "signature.future"],
  },
  {
    name: "calls without a signature are let in",
    wrong: { signed: (right, headers) => right || headers["webhook-signature"] === undefined },
    found: ["signature.missing"],
  },
  {
    name: "the body is made anew before it is verified",
    wrong: { signed: (right, _, body) => right && !/\\u0020/.test(body) },
    found: ["signature.bytes"],
  },
  { name: "bodies for others are taken", wrong: { trusting: true }, found: ["signature.receiver"] },
  { name: "bad input is a 500", wrong: { badInput: { code: 500, body: {} } }, found: ["input.bad"] },
  { name: "unknown fields are refused", wrong: { strict: true }, found: ["input.unknown-fields"] },
  {
    name: "a repeat books again",
    wrong: {
      recall: (entry, call) => (call.call === "book" && entry?.state === "booked" ? undefined : entry),
    },
    found: ["book.repeat"],
    alone: false,
  },
  {
    name: "repeats at once book twice",
    wrong: { forgetful: true },
    found: ["book.concurrent"],
    alone: false,
  },
  {
    name: "notAfter is not looked at",
    wrong: { reads: (call) => (call.call === "book" ? { ...call, notAfter: "2999-01-01T00:00:00Z" } : call) },
    found: ["book.not-after"],
    alone: false,
  },
  {
    name: "a refused key is judged anew",
    wrong: { recall: (entry) => (entry?.state === "refused" ? undefined : entry) },
    found: ["book.not-after"],
  },
  {
    name: "a booking is forgotten at its notAfter",
    wrong: {
      recall: (entry, call) =>
        call.call === "book" && entry?.state === "booked" && Date.parse(call.notAfter) < Date.now()
          ? undefined
          : entry,
    },
    found: ["book.late-repeat"],
  },
  {
    name: "an order is booked once, whatever the attempt",
    wrong: {
      says: (answer, call) =>
        call.call === "book" && call.key.endsWith(".2")
          ? { key: call.key, status: "refused", reason: "known" }
          : answer,
    },
    found: ["book.next-attempt"],
  },
  {
    name: "no bookingRef",
    wrong: { says: ({ bookingRef: _, ...answer }) => answer },
    found: ["book.form"],
    alone: false,
  },
  {
    name: "a refusal is a 200",
    wrong: { refusalCode: 200 },
    found: ["cancel.stays", "withdraw.booked"],
    alone: false,
  },
  {
    name: "an unknown key leaves no tombstone",
    wrong: { recall: (entry) => (entry?.state === "tombstone" ? undefined : entry) },
    found: ["cancel.tombstone", "withdraw.unknown"],
    alone: false,
  },
  {
    name: "an unknown key can't be cancelled",
    wrong: {
      says: (answer, call) =>
        call.call === "cancel" && !call.unlessBooked && !takenKeys.has(call.key)
          ? { key: call.key, status: "refused", reason: "not_found" }
          : answer,
      reads: (call) => {
        if (call.call !== "cancel") takenKeys.add(call.key);
        return call;
      },
    },
    found: ["cancel.unknown"],
    alone: false,
  },
  {
    name: "a cancelled key can be booked",
    wrong: {
      recall: (entry, call) => (call.call === "book" && entry?.state === "cancelled" ? undefined : entry),
    },
    found: ["cancel.stays"],
    alone: false,
  },
  {
    name: "a second cancel is refused",
    wrong: {
      recall: (entry) => entry,
      says: (answer, call) => {
        if (call.call !== "cancel") return answer;
        const again = cancelledKeys.has(call.key);
        cancelledKeys.add(call.key);
        return again ? { key: call.key, status: "refused", reason: "already" } : answer;
      },
    },
    found: ["cancel.booked"],
    alone: false,
  },
  {
    name: "a withdrawal cancels a booking",
    wrong: { reads: (call) => (call.call === "cancel" ? { ...call, unlessBooked: false } : call) },
    found: ["withdraw.booked"],
  },
  {
    name: "a hold outlives expiresAt",
    wrong: {
      reads: (call) => (call.call === "hold" ? { ...call, expiresAt: "2999-01-01T00:00:00Z" } : call),
    },
    found: ["hold.expires", "hold.repeat"],
    alone: false,
  },
  {
    name: "a withdrawn offer can be booked",
    wrong: {
      recall: (entry, call) =>
        call.call === "book" && entry?.state === "cancelled" && entry.expiresAt ? undefined : entry,
    },
    found: ["hold.withdraw"],
  },
  {
    name: "a hold answers another key",
    wrong: { says: (answer, call) => (call.call === "hold" ? { ...answer, key: "ord_x.1.1" } : answer) },
    found: ["hold.repeat"],
    alone: false,
  },
  {
    name: "a batch is answered in another order",
    wrong: { batch: (results) => ({ results: results.toReversed() }) },
    found: ["batch.answers", "batch.size"],
  },
  {
    name: "a batch drops what it refused",
    wrong: { batch: (results) => ({ results: results.filter(({ status }) => status !== "refused") }) },
    found: ["batch.answers"],
  },
  {
    name: "status takes a tombstone for cancelled",
    wrong: { state: (state) => (state === "tombstone" ? "cancelled" : state) },
    found: ["status.states"],
  },
  {
    name: "list begins with the newest",
    wrong: { page: (items, limit) => items.toReversed().slice(0, limit) },
    found: ["list.complete"],
  },
  { name: "list has no limit", wrong: { page: (items) => items }, found: ["list.complete"] },
  {
    name: "cancellations take too long",
    wrong: { delayMs: (call) => (call.call === "cancel" && call.unlessBooked ? 2_300 : 0) },
    found: ["answers.in-time"],
  },
];

const runs = wrongs.map(async ({ wrong }) =>
  certifyAt((await startPartner({ channelId, secret }, wrong)).url),
);
for (const run of runs) run.catch(() => undefined);

for (const [index, { name, found, alone = true }] of wrongs.entries()) {
  test(`a partner is found out: ${name}`, async () => {
    const report = await runs[index]!;
    const failed = verdicts(report, "failed");
    assert.equal(report.ok, false);
    for (const id of found) assert.ok(failed.includes(id), `${id} is not among ${failed}`);
    if (alone) assert.deepEqual(failed.toSorted(), found.toSorted());
    const broken = report.checks.find(({ id }) => id === found[0])!;
    assert.ok(broken.steps.length > 0 && broken.steps.at(-1)!.ok === false);
    assert.ok(toText(report).some((line) => line.startsWith(`WRONG    ${found[0]}`)));
  });
}

/** Reports as a kitchen would; each hook breaks one thing. */
interface ReportFault {
  secret?: string;
  path?: string;
  kind?: string;
  once?: boolean;
  sameId?: boolean;
  stays?: boolean;
}

async function certifyReports(fault: ReportFault): Promise<CertifyReport> {
  let base = "";
  const signer = createSigner(fault.secret ?? secret);
  const tell = async (entry: Entry, kind: string) => {
    const callbackId = fault.sameId ? `cbk_${entry.key}` : `cbk_${entry.key}_${kind}`;
    const report = {
      callbackId,
      attemptKey: entry.key,
      kind: fault.kind ?? kind,
      at: new Date().toISOString(),
    };
    const body = JSON.stringify(report);
    for (let status = 503; status === 503; ) {
      const headers = { ...signer.sign(callbackId, Date.now(), body), "content-type": "application/json" };
      const path = fault.path ?? `/v1/channels/${channelId}/callbacks`;
      status = (await fetch(`${base}${path}`, { method: "POST", headers, body })).status;
      if (fault.once) return;
    }
  };
  const onBooked = async (entry: Entry) => {
    for (const kind of ["preparing", "ready", "dispatched", "delivered"] as const) {
      await sleep(systemClock, stageMs); // longer than a check needs between booking and cancelling
      if (entry.state !== "booked") return;
      if (!fault.stays) entry.stage = kind;
      await tell(entry, kind).catch(() => undefined); // certify has ended
    }
  };
  const partner = await startPartner({ channelId, secret }, { onBooked: (entry) => void onBooked(entry) });
  const onListening = (url: string) => {
    base = url;
  };
  return certifyAt(partner.url, { listen: 0, onListening, waitMs: 4_000 });
}

const reportFaults: readonly { name: string; fault: ReportFault; found: string }[] = [
  { name: "signed with another secret", fault: { secret: newSecret() }, found: "callbacks.signed" },
  { name: "sent to another address", fault: { path: "/callbacks" }, found: "callbacks.form" },
  { name: "of a kind of their own", fault: { kind: "baking" }, found: "callbacks.form" },
  { name: "not repeated after a 503", fault: { once: true }, found: "callbacks.repeated" },
  { name: "all with one id", fault: { sameId: true }, found: "callbacks.own-id" },
  { name: "dispatched, and yet cancelled", fault: { stays: true }, found: "cancel.too-late" },
];
const reportRuns = reportFaults.map(({ fault }) => certifyReports(fault));
for (const run of reportRuns) run.catch(() => undefined);

for (const [index, { name, found }] of reportFaults.entries()) {
  test(`a partner is found out by its reports: ${name}`, async () => {
    const failed = verdicts(await reportRuns[index]!, "failed");
    assert.ok(failed.includes(found), `${found} is not among ${failed}`);
    if (found === "callbacks.form" || found === "callbacks.own-id") assert.deepEqual(failed, [found]);
  });
}

test("a right partner keeps every rule that needs no report", async () => {
  const partner = await startPartner({ channelId, secret });
  const report = await certifyAt(partner.url);
  assert.ok(report.ok, toText(report).join("\n"));
  assert.deepEqual(verdicts(report, "skipped").toSorted(), callbackIds.toSorted());
});

test("the command ends with 0, 1 or 2, in words or as one JSON object", async () => {
  const partner = await startPartner({ channelId, secret });
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  const command = async (...args: string[]) => {
    const child = spawn(process.execPath, [main, "certify", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    const [status] = await once(child, "close");
    return { status, out };
  };
  const right = ["--channel", channelId, "--secret", secret];
  const [good, broken, unusable, unsecret] = await Promise.all([
    command(partner.url, ...right, "--json"),
    command(partner.url, "--channel", channelId, "--secret", newSecret()),
    command("kitchen.example", ...right),
    command(partner.url, "--channel", channelId),
  ]);
  assert.equal(good.status, 0);
  assert.equal((JSON.parse(good.out) as CertifyReport).ok, true);
  assert.equal(broken.status, 1);
  assert.match(
    broken.out,
    /expected {2}200 with the key, status booked[\s\S]*came {6}401[\s\S]*WRONG: \d+ rules kept/,
  );
  assert.deepEqual([unusable.status, unsecret.status], [2, 2]);
});
